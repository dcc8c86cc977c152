"""Whatever befalls the store's files, no feature is wrong, no run breaks, and one warning at most is given."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import shutil
import signal
import sqlite3
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from skdeep import CNNFeatureExtractor, _blobcache, features
from skdeep._cachefile import CacheFolder
from skdeep.exceptions import FeatureStoreWarning
from skdeep.features import FeatureStore, open_store

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="signals, limits and forks of POSIX"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

FILE = "features-v2.sqlite"
N_ROWS = 300


def key_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()[:16]


def row_of(number: int) -> bytes:
    """The one right row of a number."""
    return np.random.default_rng(number).standard_normal(64).astype(np.float32).tobytes()


ROWS = {key_of(number): row_of(number) for number in range(N_ROWS)}


def make_store(folder: Path, **options: Any) -> FeatureStore:
    return FeatureStore(CacheFolder(folder), **options)


def use(folder: Path) -> int:
    """Use a store in every way as a process does; fail at a wrong row or a second warning, and count right ones."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened = make_store(folder, busy_seconds=2)
        found = opened.read(ROWS)
        assert found.items() <= ROWS.items()
        missing = [key for key in ROWS if key not in found]
        computed = [key for batch in opened.claims(missing, 100, threading.Event()) for key in batch]
        opened.write({key: ROWS[key] for key in computed})
        assert set(computed) <= set(missing)
        opened.count()
        opened.count_computed()
        opened.release(missing)
        # by now the memory knows them all, wherever the file stands
        assert opened.read(ROWS) == ROWS
        assert make_store(folder, busy_seconds=2).read(ROWS).items() <= ROWS.items()
    assert all(warning.category is FeatureStoreWarning for warning in caught)
    assert len(caught) <= 2  # one for each of the two that opened it
    return len(found)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store at rest."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    make_store(folder).write(ROWS)
    return folder


@pytest.fixture(scope="module")
def in_use(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as a crash of the machine leaves it: half of it in SQLite's log."""
    folder, copy = (tmp_path_factory.mktemp("in_use") / name for name in ("store", "copy"))
    opened = make_store(folder)
    opened.write({key: ROWS[key] for key in list(ROWS)[:150]})
    with closing(sqlite3.connect(folder / FILE)) as database:
        database.execute("SELECT count(*) FROM entries").fetchone()
        opened.write({key: ROWS[key] for key in list(ROWS)[150:]})
        shutil.copytree(folder, copy)
    assert (copy / f"{FILE}-wal").stat().st_size > 0
    return copy


def test_the_stores_to_be_damaged_are_whole(whole: Path, in_use: Path, tmp_path: Path) -> None:
    for number, folder in enumerate((whole, in_use)):
        shutil.copytree(folder, tmp_path / str(number))
        assert use(tmp_path / str(number)) == N_ROWS


def overwrite(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 4)):
        size = int(rng.choice([1, 8, 100, 5000]))
        start = int(rng.integers(len(content)))
        content[start : start + size] = rng.bytes(len(content[start : start + size]))
    path.write_bytes(content)


def overwrite_head(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    start = int(rng.integers(100))
    content[start : start + 4] = rng.bytes(4)
    path.write_bytes(content)


def flip_bits(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    for start in rng.integers(len(content), size=20):
        content[start] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def truncate(path: Path, rng: np.random.Generator) -> None:
    os.truncate(path, int(rng.integers(path.stat().st_size)))


def shuffle_pages(path: Path, rng: np.random.Generator) -> None:
    content = path.read_bytes()
    pages = [content[start : start + 16384] for start in range(0, len(content), 16384)]
    path.write_bytes(b"".join([pages[0], *(pages[1 + place] for place in rng.permutation(len(pages) - 1))]))


DAMAGES = [overwrite, overwrite_head, flip_bits, truncate, shuffle_pages]


@pytest.mark.parametrize("part", ["", "-wal", "-shm"])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_random_damage_gives_no_wrong_row(
    damage: Callable[..., None], part: str, whole: Path, in_use: Path, tmp_path: Path
) -> None:
    for seed in range(16):
        rng = np.random.default_rng(seed)
        folder = tmp_path / str(seed)
        shutil.copytree(in_use if part or seed % 2 else whole, folder)
        damage(folder / f"{FILE}{part}", rng)
        use(folder)
        make_store(folder).clear()
        assert use(folder) == 0
        assert use(folder) == N_ROWS


@pytest.mark.parametrize("part", ["", "-wal", "-shm"])
@pytest.mark.parametrize("how", ["empty", "gone", "folder", "text", "zeros", "of another file"])
def test_a_file_in_the_place_of_the_right_one_gives_no_wrong_row(
    how: str, part: str, in_use: Path, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    shutil.copytree(in_use, folder)
    path = folder / f"{FILE}{part}"
    size = path.stat().st_size
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "of another file":
        shutil.copy(whole / FILE, path)
    elif how != "gone":
        path.write_bytes({"empty": b"", "text": b"text " * (size // 5), "zeros": bytes(size)}[how])
    use(folder)
    make_store(folder).clear()
    assert use(folder) == 0
    assert use(folder) == N_ROWS


@pytest.mark.parametrize("how", ["text", "truncated", "folder", "random pages"])
def test_a_damaged_store_costs_an_estimator_one_warning_and_no_feature(
    how: str, cache_folder: Path, pictures: NDArray[Any]
) -> None:
    make_store(cache_folder).write(ROWS)
    path = cache_folder / FILE
    content = path.read_bytes()
    path.unlink()
    if how == "folder":
        path.mkdir()
    else:
        noise = content[:4096] + np.random.default_rng(0).bytes(len(content))
        path.write_bytes(
            {"text": b"text " * 10_000, "truncated": content[: len(content) // 2], "random pages": noise}[how]
        )
    extractor = CNNFeatureExtractor("small_cnn", weights=None, image_size=32, random_state=0)
    expected = extractor.set_params(cache=False).fit_transform(pictures)
    extractor.set_params(cache=True)
    with pytest.warns(FeatureStoreWarning, match=r"The feature store in .* cannot be used .*clear\(\)") as caught:
        np.testing.assert_array_equal(extractor.transform(pictures), expected)
    assert len(caught) == 1
    np.testing.assert_array_equal(extractor.transform(pictures), expected)
    features.clear()
    np.testing.assert_array_equal(extractor.transform(pictures), expected)
    assert features.info().n_rows == len(pictures)


def in_child(work: Callable[[], object]) -> int:
    """Do something in a fork of this process; its pid."""
    child = os.fork()
    if child:
        return child
    # no error may unwind into pytest's copy of the session
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def outcome(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def write_for_ever(folder: Path, start: int) -> None:
    opened = make_store(folder, max_bytes=400_000)
    while True:
        for first in range(start, start + N_ROWS, 5):
            numbers = [number % N_ROWS for number in range(first, first + 5)]
            for batch in opened.claims([key_of(number) for number in numbers], 5):
                opened.write({key: ROWS[key] for key in batch})
            opened.write({key_of(number): row_of(number) for number in numbers})


def test_writers_killed_at_any_moment_leave_right_rows_and_a_store_that_works(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "store"
    n_found = []
    for _ in range(15):
        children = [in_child(lambda start=start: write_for_ever(folder, start)) for start in (0, 150)]  # type: ignore[misc]
        time.sleep(rng.uniform(0.005, 0.15))
        for child in children:
            os.kill(child, signal.SIGKILL)
            assert outcome(child) == -signal.SIGKILL
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            opened = make_store(folder, busy_seconds=5)
            found = opened.read(ROWS)
            assert found.items() <= ROWS.items()
            n_found.append(len(found))
            # claims of the dead are free, and a new writer works
            missing = [key for key in ROWS if key not in found][:20]
            claimed = [key for batch in opened.claims(missing, 7) for key in batch]
            assert claimed == missing
            opened.write({key: ROWS[key] for key in claimed})
        with closing(sqlite3.connect(folder / FILE)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert max(n_found) > 20


def test_a_limit_on_the_size_of_files_costs_one_warning(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    make_store(folder).write({key_of(0): row_of(0)})

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))
        assert use(folder) >= 1

    assert outcome(in_child(work)) == 0
    assert use(folder) >= 1
    assert use(folder) == N_ROWS


def test_features_are_right_where_a_store_stays_locked(tmp_path: Path) -> None:
    make_store(tmp_path).write({key: ROWS[key] for key in list(ROWS)[:10]})
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        assert use(tmp_path) == 10  # readers need not wait
        assert time.monotonic() - started < 10


def test_a_store_is_cleared_under_processes_that_use_it(tmp_path: Path) -> None:
    until = time.monotonic() + 1.5

    def work(start: int) -> None:
        warnings.simplefilter("error")
        n_rounds = 0
        while time.monotonic() < until:
            opened = make_store(tmp_path)
            some = {key: ROWS[key] for key in list(ROWS)[start : start + 50]}
            opened.write(some)
            assert make_store(tmp_path).read(ROWS).items() <= ROWS.items()
            assert opened.read(some) == some
            for batch in opened.claims(list(ROWS)[:20], 5):
                opened.release(batch)
            n_rounds += 1
        assert n_rounds > 3

    children = [in_child(lambda start=start: work(start)) for start in (0, 100)]  # type: ignore[misc]
    opened = make_store(tmp_path)
    n_cleared = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while time.monotonic() < until:
            opened.clear()
            n_cleared += 1
            time.sleep(0.01)
    assert [outcome(child) for child in children] == [0, 0]
    assert n_cleared > 3
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert use(tmp_path) >= 0
    assert use(tmp_path) == N_ROWS


def test_what_is_written_after_another_process_cleared_is_found(tmp_path: Path) -> None:
    opened = make_store(tmp_path)
    opened.write({key_of(0): row_of(0)})
    assert outcome(in_child(lambda: make_store(tmp_path).clear())) == 0
    opened.write({key_of(1): row_of(1)})
    assert make_store(tmp_path).read(ROWS) == {key_of(1): row_of(1)}


@pytest.mark.parametrize("lock", ["memory", "file"])
def test_a_fork_works_although_another_thread_held_the_store(lock: str, cache_folder: Path) -> None:
    opened = open_store(True)
    assert opened is not None
    opened.features.write({key_of(0): row_of(0)})
    held, free = threading.Event(), threading.Event()

    def hold_memory() -> None:
        with _blobcache._memory_lock:
            held.set()
            free.wait(0.3)

    def hold_file(database: sqlite3.Connection) -> None:
        held.set()
        free.wait(0.3)

    def work() -> None:
        assert open_store(True) is opened
        assert opened.features.read(ROWS) == {key_of(0): row_of(0)}
        opened.features.write({key_of(1): row_of(1)})
        assert next(opened.features.claims([key_of(2)], 1)) == [key_of(2)]

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold_memory) if lock == "memory" else pool.submit(opened.features._file.run, hold_file, None)
        held.wait()
        child = in_child(work)
        free.set()
    assert outcome(child) == 0
    assert len(opened.features.read(ROWS)) == 2
    # the child is dead, and its claim with it
    assert next(opened.features.claims([key_of(2)], 1)) == [key_of(2)]


def read_and_write(folder: str, number: int) -> int:
    opened = open_store(folder)
    assert opened is not None
    opened.features.write({key_of(number): row_of(number)})
    return len(opened.features.read(ROWS))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_both_kinds_share_a_store(method: str, tmp_path: Path) -> None:
    assert read_and_write(str(tmp_path), 0) == 1
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(read_and_write, (str(tmp_path), 1)) == 2
    assert read_and_write(str(tmp_path), 2) == 3
