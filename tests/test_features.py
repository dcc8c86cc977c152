"""The feature store, and that each image passes the network once."""

from __future__ import annotations

import hashlib
import multiprocessing
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
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from skdeep import CNNFeatureExtractor, features
from skdeep.backbones import resolve_backbone
from skdeep.exceptions import FeatureStoreWarning, ImageError
from skdeep.features import FeatureStore, extract, extract_features, open_store, store
from skdeep.images import as_images
from skdeep.multilabel import BinaryRelevance

Array = NDArray[Any]


def make_rows(n: int, size: int = 8, start: int = 0) -> dict[bytes, NDArray[np.float32]]:
    numbers = range(start, start + n)
    return {key_of(number): np.full(size, number, dtype=np.float32) for number in numbers}


def key_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()[:16]


def assert_rows_equal(rows: dict[bytes, Any], expected: dict[bytes, Any]) -> None:
    assert rows.keys() == expected.keys()
    for key, row in rows.items():
        assert row.dtype == np.float32
        np.testing.assert_array_equal(row, expected[key])


def database_of(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / store._FILE, isolation_level=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_store_gives_back_what_was_written(folder: Path) -> None:
    rows = make_rows(1200)  # more than one query takes
    FeatureStore(folder).write(rows)
    cold = FeatureStore(folder)
    assert_rows_equal(cold.read([*rows, key_of(5000)]), rows)
    assert_rows_equal(cold.read(rows), rows)


def test_store_says_what_it_holds_and_forgets_it(folder: Path) -> None:
    opened = FeatureStore(folder)
    assert opened.info() == store.StoreInfo(folder, 0, 0, 0)
    assert not folder.exists()
    opened.write(make_rows(3))
    opened.write(make_rows(3))
    info = opened.info()
    assert (info.n_rows, info.n_computed) == (3, 6)
    assert info.n_bytes == (folder / store._FILE).stat().st_size > 0
    opened.clear()
    assert opened.read(make_rows(3)) == {}
    assert opened.info().n_rows == 0


@pytest.mark.parametrize("column", ["value", "checksum", "key"])
def test_a_damaged_row_is_never_given_back(column: str, folder: Path) -> None:
    rows = make_rows(3)
    FeatureStore(folder).write(rows)
    wrong: dict[str, Any] = {"value": np.ones(8, dtype=np.float32).tobytes(), "checksum": 0, "key": key_of(77)}
    with closing(database_of(folder)) as database:
        database.execute(f"UPDATE features SET {column} = ? WHERE key = ?", (wrong[column], key_of(2)))
    opened = FeatureStore(folder)
    assert_rows_equal(opened.read([*rows, key_of(77)]), make_rows(2))
    assert opened.info().n_rows == 2
    opened.write(rows)
    assert_rows_equal(FeatureStore(folder).read(rows), rows)


def test_memory_layer_is_bounded_and_lets_the_oldest_go() -> None:
    layer = store._MemoryLayer(max_bytes=3 * 32)
    rows = make_rows(4)
    layer.write({key_of(number): rows[key_of(number)] for number in range(3)})
    layer.read([key_of(0)])
    layer.write({key_of(3): rows[key_of(3)]})
    found, missing = layer.read(rows)
    assert missing == [key_of(1)]
    assert_rows_equal(found, {key: row for key, row in rows.items() if key != key_of(1)})


def test_memory_layer_does_not_keep_whole_batches_alive() -> None:
    batch = np.ones((100, 8), dtype=np.float32)
    layer = store._MemoryLayer(max_bytes=10**6)
    layer.write({key_of(0): batch[0]})
    batch[:] = 2
    np.testing.assert_array_equal(layer.read([key_of(0)])[0][key_of(0)], np.ones(8))


@pytest.mark.parametrize("batch", [2, 100])
def test_store_stays_bounded(batch: int, folder: Path) -> None:
    max_bytes = 100_000
    opened = FeatureStore(folder, max_bytes=max_bytes)
    for start in range(0, 200, batch):
        opened.write(make_rows(batch, size=500, start=start))
        with closing(database_of(folder)) as database:
            assert store._used_bytes(database) <= max_bytes
    assert opened.info().n_rows >= 20


def test_store_ends_when_even_one_row_is_too_much(folder: Path) -> None:
    opened = FeatureStore(folder, max_bytes=1)
    opened.write(make_rows(3))
    assert opened.info().n_rows == 0


def test_store_lets_the_least_recently_used_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000_000.0
    monkeypatch.setattr(store.time, "time", lambda: now)
    for number in range(40):
        now += 10
        FeatureStore(folder).write(make_rows(1, size=500, start=number))
    now += 2 * store._TOUCH_SECONDS
    read_again = [key_of(number) for number in range(5)]
    FeatureStore(folder).read(read_again)
    now += 10
    with closing(database_of(folder)) as database:
        used = store._used_bytes(database)
    FeatureStore(folder, max_bytes=used - 10_000).write(make_rows(1, size=500, start=40))
    left = FeatureStore(folder).read([key_of(number) for number in range(41)])
    n_gone = 41 - len(left)
    assert n_gone >= 4
    assert {key_of(number) for number in range(5, 5 + n_gone)}.isdisjoint(left)
    assert set(read_again) <= set(left)


def test_reading_writes_nothing_within_the_hour(folder: Path) -> None:
    FeatureStore(folder).write(make_rows(5))
    with closing(database_of(folder)) as database:
        before = database.execute("PRAGMA data_version").fetchone()
        FeatureStore(folder).read(make_rows(5))
        assert database.execute("PRAGMA data_version").fetchone() == before


def break_file(folder: Path, how: str) -> None:
    FeatureStore(folder).write(make_rows(200))
    path = folder / store._FILE
    with closing(database_of(folder)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    if how == "text":
        path.write_text("no database at all, but long enough to be looked at " * 100)
    elif how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "folder":
        path.unlink()
        path.mkdir()
    else:
        page = 4096
        path.write_bytes(content[:page] + np.random.default_rng(0).bytes(len(content) - page))


@pytest.mark.parametrize("how", ["text", "truncated", "folder", "random pages"])
def test_a_damaged_file_costs_one_warning_and_no_feature(how: str, cache_folder: Path, pictures: Array) -> None:
    break_file(cache_folder, how)
    extractor = CNNFeatureExtractor("small_cnn", weights=None, image_size=32, random_state=0)
    expected = extractor.set_params(cache=False).fit_transform(pictures)
    extractor.set_params(cache=True)
    with pytest.warns(FeatureStoreWarning, match=r"The feature store in .* cannot be used .*clear\(\)") as caught:
        np.testing.assert_array_equal(extractor.transform(pictures), expected)
    assert len(caught) == 1
    np.testing.assert_array_equal(extractor.transform(pictures), expected)


@pytest.mark.parametrize("how", ["text", "truncated", "random pages"])
def test_clear_mends_a_damaged_store(how: str, cache_folder: Path, pictures: Array) -> None:
    break_file(cache_folder, how)
    extractor = CNNFeatureExtractor("small_cnn", weights=None, image_size=32, random_state=0).fit(pictures)
    with pytest.warns(FeatureStoreWarning):
        extractor.transform(pictures)
    features.clear()
    extractor.transform(pictures)
    assert features.info().n_rows == len(pictures)


def test_a_folder_that_cannot_be_made_costs_one_warning(tmp_path: Path, pictures: Array) -> None:
    (tmp_path / "file").touch()
    extractor = CNNFeatureExtractor(
        "small_cnn", weights=None, image_size=32, random_state=0, cache=tmp_path / "file" / "x"
    )
    extractor.fit(pictures)
    with pytest.warns(FeatureStoreWarning, match="SKDEEP_CACHE_DIR or cache=") as caught:
        found = extractor.transform(pictures)
    assert len(caught) == 1
    np.testing.assert_array_equal(extractor.set_params(cache=False).transform(pictures), found)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_costs_one_warning(cache_folder: Path, pictures: Array) -> None:
    cache_folder.chmod(0o500)
    try:
        with pytest.warns(FeatureStoreWarning) as caught:
            CNNFeatureExtractor("small_cnn", weights=None, image_size=32, random_state=0).fit_transform(pictures)
        assert len(caught) == 1
    finally:
        cache_folder.chmod(0o700)


def test_claims_come_in_batches_and_are_not_given_twice(folder: Path) -> None:
    keys = list(make_rows(1203))
    first, second = FeatureStore(folder), FeatureStore(folder)
    second.write({key: np.ones(2, dtype=np.float32) for key in keys[:3]})
    claimed = [key for batch in first.claims(keys, 100) for key in batch]
    assert claimed == keys[3:]
    assert [len(batch) for batch in first.claims(keys[:3], 2)] == []


def test_claims_wait_for_what_another_thread_computes(folder: Path) -> None:
    opened, keys = FeatureStore(folder), list(make_rows(4))
    claimed = next(opened.claims(keys, 2))
    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(lambda: list(FeatureStore(folder).claims(keys, 2)))
        time.sleep(0.2)
        assert not others.done()
        opened.write({key: np.ones(2, dtype=np.float32) for key in claimed})
        assert others.result(timeout=10) == [keys[2:]]


def test_released_claims_are_free(folder: Path) -> None:
    opened, keys = FeatureStore(folder), list(make_rows(3))
    assert next(opened.claims(keys, 3)) == keys
    opened.release(keys[1:])
    assert next(FeatureStore(folder).claims(keys, 3)) == keys[1:]


def test_claims_expire(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = list(make_rows(3))
    assert next(FeatureStore(folder).claims(keys, 3)) == keys
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
    claims = [(keys[0], "dead", process.pid, later), (keys[1], "alive", os.getppid(), later)]
    claims.append((keys[2], "an earlier process of this very pid", os.getpid(), later))
    FeatureStore(folder).write(make_rows(1, start=9))
    with closing(database_of(folder)) as database:
        database.executemany("INSERT INTO claims VALUES (?, ?, ?, ?)", claims)
        assert store._claim(database, keys, 3) == ([keys[0], keys[2]], [keys[1]])


def compute_claims(folder: str, n: int, start: Any) -> list[int]:
    """Claim, compute and write rows as extraction does; return what was computed here."""
    opened, rows, mine = FeatureStore(Path(folder)), make_rows(n), []
    start.wait()
    for batch in opened.claims(list(rows), 5):
        mine += [int(rows[key][0]) for key in batch]
        time.sleep(0.01)
        opened.write({key: rows[key] for key in batch})
    assert len(opened.read(rows)) == n
    return mine


def test_many_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    for attempt in range(5):
        start, folder = threading.Barrier(8), tmp_path / str(attempt)

        def write(number: int, start: threading.Barrier = start, folder: Path = folder) -> None:
            start.wait()
            FeatureStore(folder).write(make_rows(1, start=number))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
        assert len(FeatureStore(folder).read(make_rows(8))) == 8


def test_store_waits_while_another_connection_hinders_its_set_up(folder: Path) -> None:
    folder.mkdir()
    with ThreadPoolExecutor(1) as pool, closing(database_of(folder)) as database:
        database.execute("CREATE TABLE other (number)")
        database.execute("BEGIN IMMEDIATE")  # SQLite refuses at once to turn to WAL mode beside a writer
        written = pool.submit(FeatureStore(folder).write, make_rows(3))
        time.sleep(0.2)
        assert not written.done()
        database.execute("COMMIT")
        written.result(timeout=10)
    assert len(FeatureStore(folder).read(make_rows(3))) == 3


def test_two_processes_compute_disjoint_rows_and_each_once(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(2) as pool:
        start = manager.Barrier(2)
        jobs = [pool.apply_async(compute_claims, (str(folder), 100, start)) for _ in range(2)]
        computed = [job.get(timeout=60) for job in jobs]
    assert sorted(computed[0] + computed[1]) == list(range(100))
    assert min(map(len, computed)) > 0
    assert FeatureStore(folder).info().n_computed == 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_uses_a_store_of_its_own(cache_folder: Path) -> None:
    opened = open_store(True)
    assert opened is not None
    opened.write(make_rows(3))
    with opened._memory._lock:  # held by another thread at the moment of the fork
        child = os.fork()
        if child == 0:
            # no assertion may unwind into pytest's copy of the session
            inherited = open_store(True)
            right = inherited is not opened and len(inherited.read(make_rows(3))) == 3  # type: ignore[union-attr]
            inherited.write(make_rows(2, start=3))  # type: ignore[union-attr]
            os._exit(0 if right else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(opened.read(make_rows(5))) == 5


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


def test_cache_false_leaves_no_trace(cache_folder: Path, pictures: Array) -> None:
    CNNFeatureExtractor("small_cnn", weights=None, image_size=32, cache=False).fit_transform(pictures)
    assert not list(cache_folder.iterdir())


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    torch.save(resolve_small_cnn().state_dict(), tmp_path / "small.pth")
    return tmp_path / "small.pth"


def resolve_small_cnn() -> nn.Module:
    from skdeep.backbones.small_cnn import SmallCNN

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return SmallCNN()


BASE = {"backbone": "small_cnn", "weights": None, "image_size": 32, "random_state": 0}


@pytest.mark.parametrize(
    "changed",
    [{"backbone": "squeezenet1_1"}, {"weights": "file"}, {"image_size": 40}, {"image_size": None}, {"random_state": 1}],
    ids=str,
)
def test_what_shapes_features_changes_their_keys(changed: dict[str, Any], weights_file: Path, pictures: Array) -> None:
    if "weights" in changed:
        changed = {"weights": weights_file}
    CNNFeatureExtractor(**BASE).fit_transform(pictures)
    CNNFeatureExtractor(**{**BASE, **changed}).fit_transform(pictures)
    assert features.info().n_computed == 12


@pytest.mark.parametrize("changed", [{"batch_size": 1}, {"device": "cpu"}, {"pixel_range": 255}], ids=str)
def test_what_does_not_shape_features_leaves_their_keys(changed: dict[str, Any], pictures: Array) -> None:
    first = CNNFeatureExtractor(**BASE).fit_transform(pictures)
    second = CNNFeatureExtractor(**{**BASE, **changed}).fit_transform(pictures)
    assert features.info().n_computed == 6
    np.testing.assert_array_equal(first, second)


def test_equal_weights_share_features_wherever_the_file_lies(weights_file: Path, pictures: Array) -> None:
    other = weights_file.with_name("copy.pth")
    other.write_bytes(weights_file.read_bytes())
    for path in (weights_file, str(other)):
        CNNFeatureExtractor("small_cnn", weights=path, image_size=32).fit_transform(pictures)
    assert features.info().n_computed == 6


class Logging(nn.Module):
    """Mean colours by quarter of the picture; writes a line with a hash of each picture that passes."""

    def __init__(self, log: str) -> None:
        super().__init__()
        self.log = log

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        lines = [hashlib.sha256(image.numpy().tobytes()).hexdigest() + "\n" for image in images.contiguous()]
        with open(self.log, "a") as file:  # noqa: PTH123
            file.write("".join(lines))
        return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


EMPTY = hashlib.sha256(np.zeros((3, 16, 16), dtype=np.float32).tobytes()).hexdigest()


def passed(log: Path) -> list[str]:
    """What passed the network, but for the empty picture that asks it for its size."""
    lines = log.read_text().split() if log.exists() else []
    return [line for line in lines if line != EMPTY]


def logging_extractor(log: Path, **options: Any) -> CNNFeatureExtractor:
    return CNNFeatureExtractor(Logging(str(log)), **{"image_size": 16, "fingerprint": "quarters", **options})


def make_scenes(n: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    Y = np.array([[row % 2, row // 2 % 2, row // 4 % 2] for row in range(n)])
    X = rng.integers(100, size=(n, 16, 16, 3)) + 100 * Y[:, None, None, :]
    return X.astype(np.uint8), Y


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_passes_each_image_through_the_network_once(n_jobs: int | None, tmp_path: Path) -> None:
    X, Y = make_scenes(40)
    log = tmp_path / "log"
    pipeline = make_pipeline(logging_extractor(log, batch_size=8), BinaryRelevance(LogisticRegression()))
    candidates = {"binaryrelevance__estimator__C": np.logspace(-3, 3, 12)}
    search = GridSearchCV(pipeline, candidates, cv=5, n_jobs=n_jobs, scoring="roc_auc", error_score="raise")
    search.fit(X, Y)
    assert len(passed(log)) == len(set(passed(log))) == len(X)
    assert search.best_score_ > 0.9
    search.fit(X, Y)
    search.predict(X)
    assert len(passed(log)) == len(X)


def test_a_module_without_fingerprint_is_not_stored(tmp_path: Path, cache_folder: Path) -> None:
    X, _ = make_scenes(8)
    extractor = logging_extractor(tmp_path / "log", fingerprint=None).fit(X)
    np.testing.assert_array_equal(extractor.transform(X), extractor.transform(X))
    assert len(passed(tmp_path / "log")) == 16
    assert not list(cache_folder.iterdir())


@pytest.mark.parametrize("cache", [True, False])
def test_equal_images_pass_the_network_once(cache: bool, tmp_path: Path) -> None:
    X, _ = make_scenes(4)
    found = logging_extractor(tmp_path / "log", cache=cache).fit_transform(X[[0, 1, 0, 2, 2, 0, 3]])
    assert len(passed(tmp_path / "log")) == 4
    np.testing.assert_array_equal(found[[0, 3]], found[[5, 4]])
    np.testing.assert_allclose(found[:, 0], X[[0, 1, 0, 2, 2, 0, 3], :8, :8, 0].mean(axis=(1, 2)) / 255, rtol=1e-5)


def test_stored_and_computed_features_are_equal(tmp_path: Path, pictures: Array) -> None:
    extractor = CNNFeatureExtractor(**BASE).fit(pictures)
    computed = extractor.transform(pictures)
    store._shared_store.cache_clear()  # as in another process
    np.testing.assert_array_equal(extractor.transform(pictures), computed)
    np.testing.assert_array_equal(extractor.set_params(cache=False).transform(pictures), computed)
    np.testing.assert_array_equal(
        extractor.set_params(cache=tmp_path / "other").transform(pictures[::-1]), computed[::-1]
    )


def test_a_broken_image_leaves_what_was_computed_and_no_claim(
    tmp_path: Path, paths: list[str], cache_folder: Path
) -> None:
    broken = Path(paths[4])
    whole = broken.read_bytes()
    # a bit inside: what is cut short would be found before anything is computed
    broken.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    extractor = CNNFeatureExtractor(**BASE, batch_size=2).fit(paths)
    with pytest.raises(ImageError, match=r"4\.png"):
        extractor.transform(paths)
    assert features.info().n_computed == 4
    with closing(database_of(cache_folder)) as database:
        assert database.execute("SELECT count(*) FROM claims").fetchone() == (0,)
    broken.write_bytes(whole)
    assert extractor.transform(paths).shape == (6, 64)
    assert features.info().n_computed == 6


class Failing(nn.Module):
    """A network that runs out of memory on the second batch."""

    def __init__(self) -> None:
        super().__init__()
        self.n_calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.n_calls += 1
        if self.n_calls == 3:
            raise RuntimeError("out of memory")
        return images.flatten(1)


def test_a_failing_network_releases_its_claims_and_ends_its_thread(pictures: Array, cache_folder: Path) -> None:
    extractor = CNNFeatureExtractor(Failing(), image_size=8, fingerprint="failing", batch_size=1).fit(pictures)
    with pytest.raises(RuntimeError, match="out of memory"):
        extractor.transform(pictures)
    with closing(database_of(cache_folder)) as database:
        assert database.execute("SELECT count(*) FROM claims").fetchone() == (0,)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skdeep-images")]
    assert extractor.transform(pictures).shape == (6, 192)


def test_rows_that_vanish_are_computed_again(pictures: Array, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    images = as_images(pictures)
    backbone = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
    options = {"batch_size": 2, "device": "cpu"}
    expected = extract_features(images, backbone, store=None, **options)
    tiny = FeatureStore(folder, max_bytes=1)
    monkeypatch.setattr(tiny, "_memory", store._MemoryLayer(0))

    def another_was_faster(keys: Any, size: int, stop: Any) -> Iterator[list[bytes]]:
        monkeypatch.undo()
        yield from ()

    monkeypatch.setattr(tiny, "claims", another_was_faster)
    np.testing.assert_array_equal(extract_features(images, backbone, store=tiny, **options), expected)


def test_threads_share_the_work(pictures: Array, tmp_path: Path) -> None:
    X, _ = make_scenes(24)
    extractor = logging_extractor(tmp_path / "log", batch_size=2).fit(X)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(extractor.transform, [X, X[::-1], X, X[::-1]]))
    assert len(passed(tmp_path / "log")) == 24
    np.testing.assert_array_equal(found[0], found[1][::-1])


def test_nothing_warns_in_ordinary_use(pictures: Array) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CNNFeatureExtractor(**BASE).fit_transform(pictures)


class OutOfMemory(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory")


def test_an_error_does_not_wait_for_what_others_claimed(pictures: Array, folder: Path) -> None:
    images = as_images(pictures)
    backbone = resolve_backbone(OutOfMemory(), weights=None, image_size=32, seed=0, fingerprint="failing")
    opened, another = FeatureStore(folder), FeatureStore(folder)
    keys = extract._keys(images, backbone, "cpu")
    claimed = next(another.claims(keys[3:], 3))
    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(extract_features, images, backbone, store=opened, batch_size=3, device="cpu")
        with pytest.raises(RuntimeError, match="out of memory"):
            failing.result(timeout=20)
    assert claimed == keys[3:]
    assert next(another.claims(keys[:3], 3)) == keys[:3]


def test_features_are_float32_even_within_autocast(pictures: Array) -> None:
    images = as_images(pictures)
    backbone = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
    options = {"store": None, "batch_size": 6, "device": "cpu"}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = extract_features(images, backbone, **options)
    np.testing.assert_array_equal(within, extract_features(images, backbone, **options))


def test_a_store_that_is_switched_off_is_neither_told_of_nor_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    for call in (features.info, features.clear):
        with pytest.raises(ValueError, match="switched off"):
            call(False)
    monkeypatch.setenv("SKDEEP_CACHE_DIR", "")
    assert open_store(True) is None
