"""The feature store: rows that processes share, and claims on those that are missing."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skdeep import features
from skdeep._cachefile import CacheFolder
from skdeep.features import FeatureStore, Store, StoreInfo, open_store, store


def make_rows(n: int, size: int = 8, start: int = 0) -> dict[bytes, bytes]:
    numbers = range(start, start + n)
    return {key_of(number): np.full(size, number, dtype=np.float32).tobytes() for number in numbers}


def key_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()[:16]


def make_store(folder: Path) -> FeatureStore:
    return FeatureStore(CacheFolder(folder))


def database_of(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "features-v2.sqlite", isolation_level=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_a_store_says_what_it_holds_and_forgets_it(folder: Path) -> None:
    opened = Store(folder)
    assert opened.info() == StoreInfo(folder, 0, 0, 0, 0)
    assert not folder.exists()
    for _ in range(2):
        opened.features.write(make_rows(3))
    opened.pictures.write({key_of(0): np.zeros((3, 4, 5), dtype=np.uint8)})
    info = opened.info()
    assert (info.n_rows, info.n_computed, info.n_pictures) == (3, 6, 1)
    files = [path for path in folder.iterdir() if not path.name.endswith(("-door", "-lock"))]
    assert info.n_bytes == sum(path.stat().st_size for path in files) > 0
    opened.clear()
    assert opened.features.read(make_rows(3)) == {}
    assert opened.pictures.read([key_of(0)]) == {}
    assert opened.info() == StoreInfo(folder, 0, 0, 0, opened.features.n_bytes() + opened.pictures.cache.n_bytes())


def test_features_that_were_computed_while_the_store_was_cleared_are_kept_elsewhere_in_memory(folder: Path) -> None:
    one, other = Store(folder), Store(folder)
    one.features.write(make_rows(3))
    assert other.features.read(make_rows(3)) == make_rows(3)
    one.clear()
    other.features.write(make_rows(1, start=3))
    assert one.features.read(make_rows(4)) == make_rows(1, start=3)
    assert other.features.read(make_rows(4)) == make_rows(4)


def test_claims_come_in_batches_and_are_not_given_twice(folder: Path) -> None:
    keys = list(make_rows(1203))
    first, second = make_store(folder), make_store(folder)
    second.write(dict.fromkeys(keys[:3], b"row"))
    claimed = [key for batch in first.claims(keys, 100) for key in batch]
    assert claimed == keys[3:]
    assert list(first.claims(keys[:3], 2)) == []


def test_claims_wait_for_what_another_thread_computes(folder: Path) -> None:
    opened, keys = make_store(folder), list(make_rows(4))
    claimed = next(opened.claims(keys, 2))
    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(lambda: list(make_store(folder).claims(keys, 2)))
        time.sleep(0.2)
        assert not others.done()
        opened.write(dict.fromkeys(claimed, b"row"))
        assert others.result(timeout=10) == [keys[2:]]


def test_waiting_for_others_writes_nothing(folder: Path) -> None:
    keys, stop = list(make_rows(4)), threading.Event()
    next(make_store(folder).claims(keys, 4))
    with ThreadPoolExecutor(1) as pool, closing(database_of(folder)) as database:
        others = pool.submit(lambda: list(make_store(folder).claims(keys, 4, stop)))
        time.sleep(0.2)  # until it has tried to claim once
        before = database.execute("PRAGMA data_version").fetchone()
        time.sleep(0.5)
        after = database.execute("PRAGMA data_version").fetchone()
        make_store(folder).release(keys)
        try:
            assert others.result(timeout=10) == [keys]
        finally:
            stop.set()
    assert after == before


def test_a_process_that_waits_shows_that_it_lives(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_CLAIM_SECONDS", 2)
    keys, stop = list(make_rows(2)), threading.Event()
    next(make_store(folder).claims(keys[1:], 1))
    with closing(database_of(folder)) as database, ThreadPoolExecutor(1) as pool:
        database.execute("INSERT INTO claims VALUES (?, ?, ?, ?)", (keys[0], b"other", os.getppid(), time.time() + 1.9))

        def expiry() -> float:
            return database.execute("SELECT expires FROM claims WHERE key = ?", (keys[1],)).fetchone()[0]

        waiting = pool.submit(lambda: list(make_store(folder).claims(keys[:1], 1, stop)))
        time.sleep(0.2)  # until it has tried to claim once
        before = expiry()
        time.sleep(0.8)
        after = expiry()
        stop.set()
        assert waiting.result(timeout=10) == []
    assert after > before


def test_released_claims_are_free(folder: Path) -> None:
    opened, keys = make_store(folder), list(make_rows(3))
    assert next(opened.claims(keys, 3)) == keys
    opened.release(keys[1:])
    assert next(make_store(folder).claims(keys, 3)) == keys[1:]


def test_claims_expire(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = list(make_rows(3))
    assert next(make_store(folder).claims(keys, 3)) == keys
    now = time.time()
    monkeypatch.setattr(store.time, "time", lambda: now + store._CLAIM_SECONDS - 1)
    with closing(database_of(folder)) as database:
        assert store._claim(database, keys, 3) == ([], keys)  # and renews what is its own
        database.execute("UPDATE claims SET expires = ?", (now,))
        assert store._claim(database, keys, 3) == (keys, [])


@pytest.mark.skipif(os.name != "posix", reason="elsewhere only expiry frees a claim")
def test_the_claim_of_a_dead_process_is_free(folder: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    keys = list(make_rows(3))
    later = time.time() + 100
    claims = [(keys[0], b"dead", process.pid, later), (keys[1], b"alive", os.getppid(), later)]
    claims.append((keys[2], b"an earlier process of this very pid", os.getpid(), later))
    make_store(folder).write(make_rows(1, start=9))
    with closing(database_of(folder)) as database:
        database.executemany("INSERT INTO claims VALUES (?, ?, ?, ?)", claims)
        assert store._claim(database, keys, 3) == ([keys[0], keys[2]], [keys[1]])


def compute_claims(folder: str, n: int, start: Any) -> list[int]:
    """Claim, compute and write rows as extraction does; return what was computed here."""
    opened, rows, mine = make_store(Path(folder)), make_rows(n), []
    start.wait()
    for batch in opened.claims(list(rows), 5):
        mine += [int(np.frombuffer(rows[key], dtype=np.float32)[0]) for key in batch]
        time.sleep(0.01)
        opened.write({key: rows[key] for key in batch})
    assert len(opened.read(rows)) == n
    return mine


DAMAGED_CLAIMS = {
    "the far future": (b"owner", os.getppid(), 1e12),
    "no number of a process": (b"owner", b"pid", "soon"),
    "another kind of number": (b"owner", 1.5, "soon"),
    "a number too large": (b"owner", 2**62, "soon"),
    "a time that is none": (b"owner", os.getppid(), b"later"),
    "an owner that is none": (5, os.getpid(), "soon"),
}


@pytest.mark.parametrize("how", DAMAGED_CLAIMS)
def test_nobody_waits_for_a_damaged_claim(how: str, folder: Path) -> None:
    owner, pid, expires = DAMAGED_CLAIMS[how]
    keys = list(make_rows(1))
    make_store(folder).write(make_rows(1, start=9))
    with closing(database_of(folder)) as database:
        when = time.time() + 100 if expires == "soon" else expires
        database.execute("INSERT INTO claims VALUES (?, ?, ?, ?)", (keys[0], owner, pid, when))
    stop = threading.Event()
    timer = threading.Timer(5, stop.set)
    timer.start()
    assert list(make_store(folder).claims(keys, 1, stop)) == [keys]
    timer.cancel()


def test_two_processes_compute_disjoint_rows_and_each_once(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(2) as pool:
        start = manager.Barrier(2)
        jobs = [pool.apply_async(compute_claims, (str(folder), 100, start)) for _ in range(2)]
        computed = [job.get(timeout=60) for job in jobs]
    assert sorted(computed[0] + computed[1]) == list(range(100))
    assert min(map(len, computed)) > 0
    assert make_store(folder).count_computed() == 100


def test_cache_says_where_the_store_is(tmp_path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder_of(cache: Any) -> Path:
        opened = open_store(cache)
        assert opened is not None
        return opened.folder

    assert open_store(False) is None
    assert folder_of(True) == cache_folder
    assert folder_of(tmp_path / "a") == folder_of(str(tmp_path / "a")) == tmp_path / "a"
    monkeypatch.delenv("SKDEEP_CACHE_DIR")
    monkeypatch.setattr(store.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    assert folder_of(True) == tmp_path / "skdeep"


def test_a_folder_is_the_same_wherever_the_process_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened = open_store("here")
    assert opened is not None
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    opened.features.write(make_rows(1))
    assert (tmp_path / "here").is_dir()


def test_the_home_of_an_unknown_user_is_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened = open_store("~no-such-user/store")
    assert opened is not None
    assert opened.folder == tmp_path / "~no-such-user" / "store"


def test_a_store_that_is_switched_off_is_neither_told_of_nor_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    for call in (features.info, features.clear):
        with pytest.raises(ValueError, match="switched off"):
            call(False)
    monkeypatch.setenv("SKDEEP_CACHE_DIR", "")
    assert open_store(True) is None
