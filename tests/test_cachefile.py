"""A SQLite file that processes share, and that may fail without harm."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from skdeep import _cachefile
from skdeep._cachefile import CacheFile, CacheFolder, transaction
from skdeep.exceptions import FeatureStoreWarning

SCHEMA = "CREATE TABLE numbers (number INTEGER)"

forks = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
posix = pytest.mark.skipif(os.name != "posix", reason="locks, limits and forks of POSIX")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def make_file(folder: Path, *, version: int = 3, busy_seconds: float = 60) -> CacheFile:
    return CacheFile(CacheFolder(folder), "numbers", SCHEMA, version=version, busy_seconds=busy_seconds)


def add(file: CacheFile, *numbers: int) -> None:
    def work(database: sqlite3.Connection) -> None:
        with transaction(database):
            database.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in numbers])

    file.run(work, None, writes=True)


def numbers_of(file: CacheFile) -> list[int] | None:
    """The numbers in a file, None where it cannot be used."""
    query = "SELECT number FROM numbers ORDER BY number"
    return file.run(lambda database: [number for (number,) in database.execute(query)], None)


def test_a_file_gives_back_what_another_wrote_to_it(folder: Path) -> None:
    add(make_file(folder), 2, 1)
    file = make_file(folder)
    assert numbers_of(file) == [1, 2]
    assert file.path == folder / "numbers-v3.sqlite"
    assert file.n_bytes() == file.path.stat().st_size > 0


def test_a_transaction_that_fails_leaves_nothing(folder: Path) -> None:
    file = make_file(folder)

    def fail(database: sqlite3.Connection) -> None:
        with transaction(database):
            database.execute("INSERT INTO numbers VALUES (5)")
            raise KeyError("of the work itself")

    with pytest.raises(KeyError, match="of the work itself"):
        file.run(fail, None)
    assert numbers_of(file) == []


@pytest.mark.parametrize("found", [1, 4, 0])
def test_a_file_of_another_version_is_neither_used_nor_changed(found: int, folder: Path) -> None:
    file = make_file(folder)
    folder.mkdir()
    with closing(sqlite3.connect(file.path)) as database:
        database.executescript(f"CREATE TABLE numbers (number TEXT); PRAGMA user_version = {found};")
    before = file.path.read_bytes()
    with pytest.warns(FeatureStoreWarning, match=f"numbers-v3.sqlite is of version {found}, not 3"):
        assert numbers_of(file) is None
    add(file, 1)
    assert file.path.read_bytes() == before


def test_files_of_several_versions_lie_side_by_side(folder: Path) -> None:
    for version in (1, 2):
        add(make_file(folder, version=version), version)
    assert [numbers_of(make_file(folder, version=version)) for version in (1, 2)] == [[1], [2]]


def test_all_files_of_a_folder_cost_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = CacheFolder(tmp_path / "file")
    files = [CacheFile(folder, name, SCHEMA, version=1) for name in "ab"]
    with pytest.warns(FeatureStoreWarning, match=r"feature store in .* cannot be used .*SKDEEP_CACHE_DIR") as caught:
        assert [numbers_of(file) for file in files * 2] == [None] * 4
    assert len(caught) == 1


@pytest.mark.parametrize("name", ["with spaces ?#%&'\"", "ünïcode 图", "new\nline", "-v1.sqlite", "%00", "a" * 200])
def test_folders_may_have_odd_names(name: str, tmp_path: Path) -> None:
    add(make_file(tmp_path / name), 1)
    assert numbers_of(make_file(tmp_path / name)) == [1]
    assert (tmp_path / name / "numbers-v3.sqlite").is_file()


@pytest.mark.parametrize("name", ["a\0b", "a" * 300], ids=["null byte", "too long"])
def test_folders_with_impossible_names_cost_one_warning(name: str, tmp_path: Path) -> None:
    file = make_file(tmp_path / name)
    with pytest.warns(FeatureStoreWarning) as caught:
        assert [numbers_of(file) for _ in range(2)] == [None, None]
    assert len(caught) == 1
    assert file.n_bytes() == 0
    file.clear()


def test_a_file_waits_while_another_connection_hinders_its_set_up(folder: Path) -> None:
    folder.mkdir()
    file = make_file(folder)
    with ThreadPoolExecutor(1) as pool, closing(sqlite3.connect(file.path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")  # SQLite refuses at once to turn to WAL mode beside a writer
        written = pool.submit(add, file, 1)
        time.sleep(0.2)
        assert not written.done()
        database.execute("ROLLBACK")
        written.result(timeout=10)
    assert numbers_of(make_file(folder)) == [1]


def test_a_file_that_stays_locked_costs_one_warning_and_a_bounded_wait(folder: Path) -> None:
    add(make_file(folder), 1)
    file = make_file(folder, busy_seconds=0.3)
    with closing(sqlite3.connect(file.path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.warns(FeatureStoreWarning, match="database is locked") as caught:
            add(file, 2)
        assert 0.2 < time.monotonic() - started < 5
        add(file, 3)
    assert len(caught) == 1
    assert numbers_of(make_file(folder)) == [1]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that may not grow: SQLite's error is that of a full disk."""
    set_up = CacheFile._set_up

    def set_up_full(file: CacheFile, database: sqlite3.Connection) -> None:
        set_up(file, database)
        database.execute("PRAGMA max_page_count = 1")  # SQLite takes the pages that are there as the least

    monkeypatch.setattr(CacheFile, "_set_up", set_up_full)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_costs_one_warning_and_reading_goes_on(folder: Path) -> None:
    file = make_file(folder)
    add(file, 1)
    with pytest.warns(FeatureStoreWarning, match="database or disk is full") as caught:
        add(file, *range(100_000))
    add(file, 2)
    assert len(caught) == 1
    assert numbers_of(file) == [1]


DROP_OVERRIDE = 1, 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: what lets root write everywhere


def become_ordinary() -> None:
    libc = ctypes.CDLL(None)
    for capability in DROP_OVERRIDE:
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; it counts for the program that starts now


USE_READ_ONLY = """
import sys, warnings
from pathlib import Path
from skdeep._cachefile import CacheFile, CacheFolder
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    file = CacheFile(CacheFolder(Path(sys.argv[1])), "numbers", "CREATE TABLE numbers (number INTEGER)", version=3)
    for _ in range(2):
        file.run(lambda database: database.execute("INSERT INTO numbers VALUES (2)"), None, writes=True)
print(len(caught), caught[0].category.__name__)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere root may write everywhere")
@pytest.mark.parametrize("what", ["folder", "empty folder", "file"])
def test_what_is_read_only_costs_one_warning(what: str, folder: Path) -> None:
    folder.mkdir()
    file = make_file(folder)
    if what != "empty folder":
        add(file, 1)
    locked = file.path if what == "file" else folder
    locked.chmod(0o400 if what == "file" else 0o500)
    try:
        done = subprocess.run(
            [sys.executable, "-c", USE_READ_ONLY, str(folder)],
            check=True,
            capture_output=True,
            text=True,
            preexec_fn=become_ordinary,
        )
    finally:
        locked.chmod(0o700)
    assert done.stdout.split() == ["1", "FeatureStoreWarning"]
    if what != "empty folder":
        assert numbers_of(make_file(folder)) == [1]


def test_clear_removes_the_file_and_all_beside_it(folder: Path) -> None:
    file = make_file(folder)
    file.clear()
    assert not folder.exists()
    add(file, 1)
    file.clear()
    assert file.n_bytes() == 0
    assert numbers_of(file) == []


@pytest.mark.parametrize("how", ["text", "folder"])
def test_clear_mends_a_file_that_cannot_be_used(how: str, folder: Path) -> None:
    file = make_file(folder)
    folder.mkdir()
    if how == "text":
        file.path.write_text("no database at all, but long enough to be looked at " * 100)
    else:
        file.path.mkdir()
    with pytest.warns(FeatureStoreWarning):
        assert numbers_of(file) is None
    file.clear()
    add(file, 1)
    assert numbers_of(file) == [1]


def test_clear_removes_no_folder_of_others(folder: Path) -> None:
    file = make_file(folder)
    (file.path / "thesis").mkdir(parents=True)
    with pytest.warns(FeatureStoreWarning):
        file.clear()
    assert (file.path / "thesis").is_dir()


@posix
def test_clear_waits_until_nobody_uses_the_file(folder: Path) -> None:
    file = make_file(folder)
    add(file, 1)
    with ThreadPoolExecutor(1) as pool:
        with make_file(folder)._in_use():
            cleared = pool.submit(make_file(folder).clear)
            time.sleep(0.1)
            assert not cleared.done()
            assert file.path.exists()
        cleared.result(timeout=10)
    assert not file.path.exists()


@posix
def test_clear_gives_up_with_a_warning_where_a_file_stays_in_use(folder: Path) -> None:
    file = make_file(folder, busy_seconds=0.1)
    add(file, 1)
    with make_file(folder)._in_use(), pytest.warns(FeatureStoreWarning):
        file.clear()
    assert numbers_of(file) == [1]


@forks
@posix
def test_a_fork_waits_until_no_thread_is_within_sqlite(folder: Path) -> None:
    file, within = make_file(folder), threading.Event()

    def slow(database: sqlite3.Connection) -> None:
        with transaction(database):
            database.execute("INSERT INTO numbers VALUES (7)")
            within.set()
            time.sleep(0.3)

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(file.run, slow, None)
        within.wait()
        child = os.fork()
        if child == 0:
            # no assertion may unwind into pytest's copy of the session
            inherited = numbers_of(file)
            add(file, 8)
            os._exit(0 if inherited == [7] else 1)
        written.result()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert numbers_of(file) == [7, 8]


@pytest.fixture
def never_warned() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("never_warned")
def test_a_folder_removed_while_in_use_is_made_again(folder: Path) -> None:
    file = make_file(folder)
    add(file, 1)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    add(file, 2)
    assert numbers_of(file) == [2]


def test_many_may_make_a_file_at_once(tmp_path: Path) -> None:
    for attempt in range(5):
        start, folder = threading.Barrier(8), tmp_path / str(attempt)

        def write(number: int, start: threading.Barrier = start, folder: Path = folder) -> None:
            start.wait()
            add(make_file(folder), number)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
        assert numbers_of(make_file(folder)) == list(range(8))


def test_sqlite_waits_no_longer_than_a_fork_may(folder: Path) -> None:
    add(make_file(folder), 1)
    with closing(make_file(folder)._connect()) as database:
        (milliseconds,) = database.execute("PRAGMA busy_timeout").fetchone()
    assert milliseconds <= 1000 * _cachefile._SQLITE_WAIT
