"""Values under keys: bounded, checked, in a file and in memory."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from skdeep import _blobcache
from skdeep._blobcache import SCHEMA, BlobCache, MemoryLayer, used_bytes
from skdeep._cachefile import CacheFile, CacheFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def key_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()[:16]


def make_blobs(n: int, size: int = 40, start: int = 0) -> dict[bytes, bytes]:
    return {key_of(number): bytes([number % 256]) * size for number in range(start, start + n)}


def make_cache(folder: Path, *, max_bytes: int = 2**30, max_bytes_memory: int = 2**20) -> BlobCache:
    file = CacheFile(CacheFolder(folder), "blobs", SCHEMA, version=1, page_size=4096)
    return BlobCache(file, max_bytes=max_bytes, max_bytes_memory=max_bytes_memory)


def database_of(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "blobs-v1.sqlite", isolation_level=None)


def test_a_cache_gives_back_what_was_written(folder: Path) -> None:
    blobs = make_blobs(1200)  # more than one query takes
    make_cache(folder).write(blobs)
    cold = make_cache(folder)
    for _ in range(2):
        assert cold.read([*blobs, key_of(5000)]) == blobs
    assert cold.count() == 1200


def test_a_cache_without_file_keeps_values_in_memory() -> None:
    cache = BlobCache(None, max_bytes=0, max_bytes_memory=10**6)
    cache.write(make_blobs(3))
    assert cache.read(make_blobs(4)) == make_blobs(3)
    assert (cache.count(), cache.n_bytes()) == (0, 0)
    cache.clear()
    assert cache.read(make_blobs(4)) == {}


def test_a_cache_knows_what_it_holds_without_reading_it(folder: Path) -> None:
    blobs = make_blobs(1200)
    make_cache(folder).write(blobs)
    cold = make_cache(folder)
    assert cold.holds([*blobs, key_of(5000)]) == blobs.keys()
    cold.write(make_blobs(1, start=5000))
    with closing(database_of(folder)) as database:
        database.execute("DELETE FROM entries")
    # only what was written a moment ago is in memory
    assert cold.holds([*blobs, key_of(5000)]) == {key_of(5000)}
    alone = BlobCache(None, max_bytes=0, max_bytes_memory=10**6)
    alone.write(make_blobs(2))
    assert alone.holds(make_blobs(3)) == make_blobs(2).keys()


def test_a_cache_lists_the_keys_of_its_file_in_order(folder: Path) -> None:
    cache = make_cache(folder)
    assert cache.keys() == BlobCache(None, max_bytes=0, max_bytes_memory=10**6).keys() == []
    assert not folder.exists()
    cache.write(make_blobs(1200))
    with closing(database_of(folder)) as database:
        database.execute("INSERT INTO entries VALUES ('no key', 5000, 0)")
    assert make_cache(folder).keys() == sorted(make_blobs(1200))


def test_a_value_written_again_takes_the_place_of_the_first(folder: Path) -> None:
    make_cache(folder).write({key_of(0): b"first"})
    make_cache(folder).write({key_of(0): b"second"})
    assert make_cache(folder).read([key_of(0)]) == {key_of(0): b"second"}
    with closing(database_of(folder)) as database:
        assert database.execute("SELECT count(*) FROM blobs").fetchone() == (1,)


WRONG = {
    "value": "UPDATE blobs SET value = zeroblob(40) WHERE id = 3",
    "longer value": "UPDATE blobs SET value = value || x'00' WHERE id = 3",
    "number as value": "UPDATE blobs SET value = 5 WHERE id = 3",
    "text as value": "UPDATE blobs SET value = CAST(x'ffff' AS TEXT) WHERE id = 3",
    "checksum": "UPDATE blobs SET checksum = x'00' WHERE id = 3",
    "number as checksum": "UPDATE blobs SET checksum = 7 WHERE id = 3",
    "key": "UPDATE entries SET key = x'00112233445566778899aabbccddeeff' WHERE id = 3",
    "another's value": "UPDATE entries SET id = 2 WHERE id = 3",
    "no value": "DELETE FROM blobs WHERE id = 3",
}


@pytest.mark.parametrize("how", WRONG)
def test_a_damaged_value_is_missing_until_it_is_written_again(how: str, folder: Path) -> None:
    blobs = make_blobs(3)
    for key, blob in blobs.items():
        make_cache(folder).write({key: blob})
    other = bytes.fromhex("00112233445566778899aabbccddeeff")
    with closing(database_of(folder)) as database:
        assert database.execute(WRONG[how]).rowcount == 1
    cache = make_cache(folder)
    found = cache.read([*blobs, other])
    assert key_of(2) not in found
    assert found.items() <= make_blobs(2).items()
    cache.write(blobs)
    assert make_cache(folder).read([*blobs, other]) == blobs
    assert make_cache(folder).count() == 3


def test_memory_is_bounded_and_lets_the_least_recently_used_go() -> None:
    layer = MemoryLayer(max_bytes=3 * (40 + _blobcache._OVERHEAD))
    blobs = make_blobs(4)
    layer.write(make_blobs(3))
    layer.read([key_of(0)])
    layer.write(make_blobs(1, start=3))
    assert layer.read(list(blobs)) == {key: blob for key, blob in blobs.items() if key != key_of(1)}


@pytest.mark.parametrize("batch", [2, 100])
def test_the_file_is_bounded(batch: int, folder: Path) -> None:
    max_bytes = 100_000
    cache = make_cache(folder, max_bytes=max_bytes)
    for start in range(0, 200, batch):
        cache.write(make_blobs(batch, size=2000, start=start))
        with closing(database_of(folder)) as database:
            assert used_bytes(database) <= max_bytes
    assert cache.count() >= 20


def test_writing_ends_when_even_one_value_is_too_much(folder: Path) -> None:
    cache = make_cache(folder, max_bytes=1)
    cache.write(make_blobs(3))
    assert cache.count() == 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Now, in seconds, as a test sets it."""
    now = [1_000_000_000.0]
    monkeypatch.setattr(_blobcache.time, "time", lambda: now[0])
    return now


def test_the_least_recently_used_go_first(folder: Path, clock: list[float]) -> None:
    for number in range(40):
        clock[0] += 3600
        make_cache(folder).write(make_blobs(1, size=2000, start=number))
    clock[0] += 3600
    read_again = [key_of(number) for number in range(5)]
    make_cache(folder).read(read_again)
    with closing(database_of(folder)) as database:
        used = used_bytes(database)
    make_cache(folder, max_bytes=used - 10_000).write(make_blobs(1, size=2000, start=40))
    left = make_cache(folder).read([key_of(number) for number in range(41)])
    n_gone = 41 - len(left)
    assert n_gone >= 4
    assert {key_of(number) for number in range(5, 5 + n_gone)}.isdisjoint(left)
    assert set(read_again) <= set(left)


def test_passing_over_more_than_fits_finds_some_of_it_each_time(folder: Path) -> None:
    blobs = make_blobs(200, size=2000)
    found = []
    for _ in range(4):
        n_found = 0
        for key, blob in blobs.items():
            cache = make_cache(folder, max_bytes=300_000)
            n_found += len(cache.read([key]))
            cache.write({key: blob})
        found.append(n_found)
    assert found[0] == 0
    assert min(found[1:]) > 50


def test_reading_writes_once_an_hour(folder: Path, clock: list[float]) -> None:
    make_cache(folder).write(make_blobs(5))
    with closing(database_of(folder)) as database:

        def changes() -> bool:
            before = database.execute("PRAGMA data_version").fetchone()
            make_cache(folder).read(make_blobs(5))
            return database.execute("PRAGMA data_version").fetchone() != before

        assert not changes()
        clock[0] += 3600
        assert changes()
        assert not changes()


@pytest.mark.parametrize("statement", ["UPDATE entries SET used = 'soon'", "UPDATE entries SET used = x'ff'"])
def test_a_damaged_time_of_use_does_no_harm(statement: str, folder: Path) -> None:
    make_cache(folder).write(make_blobs(5))
    with closing(database_of(folder)) as database:
        database.execute(statement)
    assert make_cache(folder).read(make_blobs(5)) == make_blobs(5)


def test_clear_forgets_memory_and_file(folder: Path) -> None:
    cache: Any = make_cache(folder)
    cache.write(make_blobs(3))
    cache.clear()
    assert cache.read(make_blobs(3)) == {}
    assert cache.n_bytes() < 50_000
