"""Feature files: rows computed elsewhere are found to the bit, and whatever befalls a file, no wrong one is."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import pickle
import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import clone
from torch import nn

from skdeep import CNNClassifier, CNNFeatureExtractor, features
from skdeep._tensorfile import write_tensors
from skdeep.exceptions import FeatureStoreWarning, ImageWarning
from skdeep.features import FeatureFile, Store, export_features, extract, file_info, files, open_files, split_cache
from skdeep.features.__main__ import main
from skdeep.features.files import write_features

Array = NDArray[Any]
Blobs = dict[bytes, bytes]

BASE = {"backbone": "small_cnn", "weights": None, "image_size": 32, "precision": "float32", "random_state": 0}


def key_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()[:16]


def make_rows(n: int, width: int = 8, start: int = 0) -> Blobs:
    numbers = range(start, start + n)
    return {
        key_of(number): np.random.default_rng(number).normal(size=width).astype("f4").tobytes() for number in numbers
    }


def make_extractor(cache: Any, **options: Any) -> CNNFeatureExtractor:
    return CNNFeatureExtractor(**{**BASE, **options}, cache=cache)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "features.safetensors"


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images passed a network, batch by batch."""
    sizes: list[int] = []
    pass_pictures = extract.pass_pictures

    def noting(network: Any, backbone: Any, pixels: torch.Tensor, precision: str) -> torch.Tensor:
        sizes.append(len(pixels))
        return pass_pictures(network, backbone, pixels, precision)

    monkeypatch.setattr(extract, "pass_pictures", noting)
    return sizes


@pytest.mark.parametrize("kind", ["arrays", "paths"])
def test_features_in_a_file_are_found_to_the_bit_and_no_image_passes_the_network(
    kind: str, path: Path, pictures: Array, paths: list[str], passed: list[int]
) -> None:
    X = pictures if kind == "arrays" else paths
    extractor = make_extractor(False).fit(X)
    info = extractor.export(X, path)
    expected = extractor.transform(X)
    passed.clear()
    np.testing.assert_array_equal(make_extractor([False, path]).fit_transform(X), expected)
    np.testing.assert_array_equal(make_extractor([False, str(path)]).fit_transform(X[::-1]), expected[::-1])
    assert passed == []
    assert info == file_info(path)
    assert (info.n_rows, info.n_bytes) == (6, path.stat().st_size)


def test_only_what_a_file_lacks_is_computed_and_stored(
    path: Path, tmp_path: Path, pictures: Array, passed: list[int]
) -> None:
    extractor = make_extractor(False).fit(pictures)
    extractor.export(pictures[[1, 3, 4, 1]], path)
    exported, expected = extractor.transform(pictures[[1, 3, 4]]), extractor.transform(pictures)
    passed.clear()
    folder = tmp_path / "store"
    found = make_extractor([folder, path]).fit_transform(pictures)
    assert sum(passed) == features.info(folder).n_rows == 3
    np.testing.assert_array_equal(found[[1, 3, 4]], exported)
    # of batches that are composed otherwise
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_store_is_not_touched_for_what_a_file_holds(path: Path, tmp_path: Path, pictures: Array) -> None:
    make_extractor(False).fit(pictures).export(pictures, path)
    make_extractor([tmp_path / "store", path]).fit_transform(pictures)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "other", [{"random_state": 1}, {"precision": "bf16"}, {"image_size": 40}, {"pool": "max"}], ids=str
)
def test_features_of_another_kind_are_not_found(
    other: dict[str, Any], path: Path, pictures: Array, passed: list[int]
) -> None:
    make_extractor(False).fit(pictures).export(pictures, path)
    expected = make_extractor(False, **other).fit_transform(pictures)
    passed.clear()
    np.testing.assert_array_equal(make_extractor([False, path], **other).fit_transform(pictures), expected)
    assert sum(passed) == 6


def test_a_file_tells_what_shaped_its_features(path: Path, pictures: Array) -> None:
    context = make_extractor(False).fit(pictures).export(pictures, path).context
    assert context is not None
    assert context["network"]["backbone"] == "small_cnn"
    assert (context["precision"][0], context["device"]) == ("float32", "cpu")
    assert torch.__version__ in context["versions"]


def test_images_that_cannot_be_used_are_left_out_of_a_file(path: Path, paths: list[str]) -> None:
    Path(paths[2]).unlink()
    Path(paths[4]).write_text("no picture")
    extractor = make_extractor(False, on_error="nan").fit(paths)
    with pytest.warns(ImageWarning, match="2 of 6"):
        assert extractor.export(paths, path).n_rows == 4
    with pytest.warns(ImageWarning, match="2 of 6"):
        found = extractor.set_params(cache=[False, path]).transform(paths)
    assert np.isnan(found).all(axis=1).nonzero()[0].tolist() == [2, 4]


class Quarters(nn.Module):
    """Mean colours by quarter of the picture; an error where pictures pass that should have been found."""

    def __init__(self, *, refuses: bool = False) -> None:
        super().__init__()
        self.refuses = refuses

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # what asks it for its size is empty
        if self.refuses and images.any():
            raise RuntimeError("an image passed the network")
        return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def make_quarters(cache: Any, *, refuses: bool = False) -> CNNFeatureExtractor:
    return CNNFeatureExtractor(Quarters(refuses=refuses), image_size=16, fingerprint="quarters", cache=cache)


def test_features_of_a_module_without_fingerprint_cannot_be_exported(path: Path, pictures: Array) -> None:
    extractor = make_quarters(False).set_params(fingerprint=None).fit(pictures)
    with pytest.raises(ValueError, match="told from others by fingerprint= only"):
        extractor.export(pictures, path)
    assert not path.exists()


def test_a_folder_that_is_missing_is_told_before_any_image_passes(tmp_path: Path, pictures: Array) -> None:
    extractor = make_quarters(False, refuses=True).fit(pictures)
    with pytest.raises(FileNotFoundError, match=r"nowhere' is not there"):
        extractor.export(pictures, tmp_path / "nowhere" / "file")
    with pytest.raises(FileNotFoundError, match=r"nowhere' is not there"):
        export_features(tmp_path / "nowhere" / "file")


def test_all_rows_of_a_store_are_exported_whatever_their_widths(
    path: Path, tmp_path: Path, pictures: Array, passed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_READ_ROWS", 5)
    kinds: list[dict[str, Any]] = [{}, {"pool": "flatten"}]
    expected = [make_extractor(tmp_path / "store", **kind).fit_transform(pictures) for kind in kinds]
    passed.clear()
    info = export_features(path, cache=tmp_path / "store")
    assert (info.n_rows, info.context) == (12, None)
    for kind, rows in zip(kinds, expected, strict=True):
        np.testing.assert_array_equal(make_extractor([False, path], **kind).fit_transform(pictures), rows)
    assert passed == []


def test_a_store_without_features_is_not_exported(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no features to write"):
        export_features(path, cache=tmp_path / "store")
    with pytest.raises(ValueError, match="switched off"):
        export_features(path, cache=[False, path])
    assert list(tmp_path.iterdir()) == []


def test_any_reader_of_safetensors_can_read_a_file(path: Path) -> None:
    rows = make_rows(20) | make_rows(5, width=3, start=20)
    write_features(path, rows)
    tensors = safetensors.numpy.load_file(path)
    found = {
        key.tobytes(): row.tobytes()
        for width in (3, 8)
        for key, row in zip(tensors[f"keys/{width}"], tensors[f"rows/{width}"], strict=True)
    }
    assert found == rows
    keys = [key.tobytes() for key in tensors["keys/8"]]
    assert keys == sorted(keys)


few_bytes = st.lists(st.sampled_from([0, 1, 127, 128, 255]), min_size=16, max_size=16).map(bytes)
keys_of_all_kinds = st.one_of(
    st.binary(min_size=16, max_size=16), few_bytes, st.binary(max_size=3).map(lambda head: head.ljust(16, b"\0"))
)


@settings(max_examples=60, deadline=None)
@given(
    stored=st.dictionaries(keys_of_all_kinds, st.sampled_from([4, 12]), min_size=1, max_size=40),
    others=st.lists(keys_of_all_kinds, max_size=20),
    n_asked=st.integers(0, 40),
)
def test_a_file_gives_the_rows_that_were_written_and_no_others(
    stored: dict[bytes, int], others: list[bytes], n_asked: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = {key: hashlib.sha256(key).digest()[:size] for key, size in stored.items()}
    path = tmp_path_factory.mktemp("keys") / "file"
    write_features(path, rows)
    asked = [*others, *list(rows)[:n_asked]]
    assert FeatureFile(path).read(asked) == {key: rows[key] for key in asked if key in rows}


@pytest.mark.parametrize("n_bytes", [1, 32, 100, 10**6])
def test_rows_are_the_same_however_many_are_read_at_once(
    n_bytes: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_READ_BYTES", n_bytes)
    rows = make_rows(100)
    write_features(path, rows)
    for step in (1, 7, 99):
        some = dict(list(rows.items())[::step])
        assert FeatureFile(path).read(some) == some


def test_rows_that_were_read_before_are_found_in_memory(path: Path) -> None:
    rows = make_rows(10)
    write_features(path, rows)
    file = FeatureFile(path)
    assert file.read(rows) == rows
    path.unlink()
    assert file.read(rows) == rows
    write_features(path, rows)
    forgetful = FeatureFile(path, max_bytes_memory=0)
    assert forgetful.read(rows) == rows
    path.unlink()
    with pytest.warns(FeatureStoreWarning, match="No such file"):
        assert forgetful.read(rows) == {}


def damage_a_row(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(safetensors.numpy.load(bytes(content))["rows/64"][2].tobytes())] ^= 1
    path.write_bytes(content)


def damage_a_key(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(safetensors.numpy.load(bytes(content))["keys/64"][2].tobytes())] ^= 1
    path.write_bytes(content)


def test_a_damaged_row_alone_is_computed_again_with_one_warning(path: Path, pictures: Array, passed: list[int]) -> None:
    extractor = make_extractor(False).fit(pictures)
    extractor.export(pictures, path)
    expected = extractor.transform(pictures)
    damage_a_row(path)
    passed.clear()
    extractor.set_params(cache=[False, path])
    with pytest.warns(FeatureStoreWarning, match=r"features\.safetensors'.*damaged rows: 1\)") as caught:
        found = [extractor.transform(pictures) for _ in range(2)]
    assert len(caught) == 1
    assert passed == [1, 1]
    for one in found:
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-6)


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "No such file"),
    "empty": (lambda path: path.write_bytes(b""), "damaged"),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "ends too early"),
    "its head alone": (lambda path: path.write_bytes(path.read_bytes()[:100]), "damaged"),
    "a damaged key": (damage_a_key, "digest"),
    "text": (lambda path: path.write_text("no features at all\n" * 9), "damaged, or no file of skdeep"),
    "other tensors": (lambda path: safetensors.numpy.save_file({"a": np.zeros(3)}, path), "no file of skdeep"),
    "a model": (lambda path: write_tensors(path, {"a": torch.zeros(3)}, {"kind": "model"}), "no feature file"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "directory|denied"),
}


@pytest.mark.parametrize("how", UNUSABLE)
def test_a_file_that_cannot_be_used_costs_one_warning(how: str, path: Path, pictures: Array) -> None:
    extractor = make_extractor(False).fit(pictures)
    extractor.export(pictures, path)
    expected = extractor.transform(pictures)
    change, reason = UNUSABLE[how]
    change(path)
    extractor.set_params(cache=[False, path])
    with pytest.warns(FeatureStoreWarning, match=f"features.safetensors' cannot be used .*({reason})") as caught:
        found = [extractor.transform(pictures) for _ in range(2)]
    assert len(caught) == 1
    for one in found:
        np.testing.assert_array_equal(one, expected)
    with pytest.raises((OSError, ValueError), match=reason):
        file_info(path)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "file"
    write_features(path, make_rows(6) | make_rows(4, width=2, start=6))
    return path


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), content=st.binary(min_size=1, max_size=12), is_cut=st.booleans())
def test_no_damage_makes_a_wrong_row(place: float, content: bytes, is_cut: bool, small_file: Path) -> None:
    rows = make_rows(6) | make_rows(4, width=2, start=6)
    whole = small_file.read_bytes()
    start = int(place * len(whole))
    damaged = small_file.with_name("damaged")
    damaged.write_bytes(whole[:start] if is_cut else whole[:start] + content + whole[start + len(content) :])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = FeatureFile(damaged).read(rows)
    assert found.items() <= rows.items()
    assert len(found) == len(rows) or [warning.category for warning in caught] == [FeatureStoreWarning]


def lying(content: bytes, **changes: Any) -> bytes:
    """The same file, whose header says something else of the rows of 8."""
    n_header = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n_header])
    header["rows/8"].update(changes)
    written = json.dumps(header).encode()
    return len(written).to_bytes(8, "little") + written + content[8 + n_header :]


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": []},
        {"shape": [6.0, 8]},
        {"shape": [3, 16]},
        {"shape": [7, 8]},
        {"dtype": "I32"},
        {"data_offsets": [0, 10**9]},
        {"data_offsets": [-192, 0]},
        {"data_offsets": [0.0, 192]},
        {"data_offsets": "here"},
    ],
    ids=str,
)
def test_a_header_that_lies_of_rows_gives_none(changes: dict[str, Any], path: Path) -> None:
    write_features(path, make_rows(6))
    path.write_bytes(lying(path.read_bytes(), **changes))
    with pytest.warns(FeatureStoreWarning, match="damaged"):
        assert FeatureFile(path).read(make_rows(6)) == {}


def test_a_file_that_is_cut_short_after_it_was_opened_gives_what_is_left(path: Path) -> None:
    rows = make_rows(100)
    write_features(path, rows)
    file = FeatureFile(path, max_bytes_memory=0)
    assert file.read(rows) == rows
    status = path.stat()
    # as a network file system may show it: shorter, and yet not known to be another
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.warns(FeatureStoreWarning, match=r"damaged rows: \d+"):
        found = file.read(rows)
    assert found.items() < rows.items()
    os.truncate(path, 50)
    assert file.read(rows) == {}


def test_a_file_that_takes_the_place_of_another_is_read(path: Path) -> None:
    file = FeatureFile(path)
    for start in (0, 5, 100):
        rows = make_rows(10, start=start)
        write_features(path, rows)
        assert file.read(rows) == rows


def test_nothing_is_written_to_the_folder_of_a_file(path: Path, pictures: Array) -> None:
    make_extractor(False).fit(pictures).export(pictures, path)
    folder = path.parent
    before = path.read_bytes(), path.stat().st_mtime_ns, folder.stat().st_mtime_ns
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        make_quarters([False, path]).fit_transform(pictures)
        make_extractor([False, path]).fit_transform(pictures)
    finally:
        folder.chmod(0o755)
    assert (path.read_bytes(), path.stat().st_mtime_ns, folder.stat().st_mtime_ns) == before


def test_the_environment_names_files_for_the_default(
    tmp_path: Path, cache_folder: Path, pictures: Array, passed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = make_extractor(False).fit(pictures)
    names = [str(tmp_path / name) for name in ("one", "other")]
    for name, rows in zip(names, (slice(0, 2), slice(2, 5)), strict=True):
        extractor.export(pictures[rows], name)
    monkeypatch.setenv("SKDEEP_FEATURE_FILES", os.pathsep.join([*names, ""]))
    for cache, n_passed in [(False, 6), ([False, names[0]], 4), (tmp_path / "store", 6), (True, 1)]:
        passed.clear()
        extractor.set_params(cache=cache).transform(pictures)
        assert sum(passed) == n_passed
    assert features.info().n_rows == 1
    # without any store, where the user's folder is on a network file system
    monkeypatch.setenv("SKDEEP_CACHE_DIR", "")
    passed.clear()
    extractor.set_params(cache=[True]).transform(pictures)
    assert sum(passed) == 1


def test_a_list_names_a_store_and_then_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKDEEP_FEATURE_FILES", os.pathsep.join(["c", "d"]))
    assert split_cache([True, "a", Path("b")]) == (True, ["a", "b", "c", "d"])
    assert split_cache(("folder", "a")) == ("folder", ["a"])
    assert split_cache(False) == (False, [])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    opened = open_files([False, "a", "~/b"])
    assert [file.path for file in opened] == [tmp_path / "a", tmp_path / "home" / "b"]
    assert open_files([False, tmp_path / "a"])[0] is opened[0]


@pytest.mark.parametrize("cache", [[], [None], [True, True], [["folder"]], [False, 3]], ids=str)
def test_a_list_of_anything_else_is_an_error_of_fit(cache: Any, pictures: Array) -> None:
    with pytest.raises(ValueError, match=r"The 'cache' parameter must be .* paths of feature files\. Got \["):
        make_extractor(cache).fit(pictures)


def test_clones_and_pickles_carry_the_path_alone(path: Path, pictures: Array) -> None:
    make_extractor(False).fit(pictures).export(pictures, path)
    extractor = make_extractor([False, path]).fit(pictures)
    before = pickle.dumps(extractor)
    expected = extractor.transform(pictures)
    assert pickle.dumps(extractor) == before
    assert clone(extractor).get_params()["cache"] == [False, path]
    np.testing.assert_array_equal(pickle.loads(before).transform(pictures), expected)


def test_a_classifier_whose_network_does_not_learn_finds_its_features(
    path: Path, tmp_path: Path, pictures: Array, passed: list[int]
) -> None:
    Y = np.array([[row % 2, row // 2 % 2] for row in range(6)])
    make_extractor(False).fit(pictures).export(pictures, path)
    options = {**BASE, "phases": "linear_probe", "max_epochs": 1}
    passed.clear()
    classifier = CNNClassifier(**options, cache=[False, str(path)]).fit(pictures, Y)
    predicted = classifier.predict_proba(pictures)
    assert passed == []
    classifier.save(tmp_path / "model")
    loaded = CNNClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(pictures), predicted)
    assert passed == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("fresh_workers")
def test_workers_find_features_at_once(path: Path, pictures: Array) -> None:
    computing = make_quarters(False).fit(pictures)
    computing.export(pictures, path)
    expected = computing.transform(pictures)
    finding = make_quarters([False, path], refuses=True).fit(pictures)
    finding.transform(pictures)
    found = Parallel(n_jobs=2)(delayed(finding.transform)(pictures[start:]) for start in range(4))
    for start, rows in enumerate(found):
        np.testing.assert_array_equal(rows, expected[start:])


def read_often(path: str, n: int) -> int:
    rows = make_rows(n)
    file = FeatureFile(Path(path), max_bytes_memory=0)
    return sum(file.read(rows) == rows for _ in range(20))


@pytest.mark.skipif(os.name != "posix", reason="forks of POSIX")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forks_and_threads_read_while_the_file_is_written_again(path: Path) -> None:
    rows = make_rows(300)
    write_features(path, rows)
    inherited = open_files([False, path])[0]
    assert inherited.read(rows) == rows
    with multiprocessing.get_context("fork").Pool(2) as pool, ThreadPoolExecutor(2) as threads:
        jobs = [pool.apply_async(read_often, (str(path), 300)) for _ in range(2)]
        others = [threads.submit(read_often, str(path), 300) for _ in range(2)]
        for n in range(5):
            write_features(path, make_rows(300 + n))
        assert [job.get(timeout=60) for job in jobs] == [other.result(timeout=60) for other in others] == [20, 20]
        assert pool.apply(inherited.read, (list(rows),)) == rows


def test_the_command_line_tells_and_exports(
    path: Path, tmp_path: Path, pictures: Array, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "store")
    make_extractor(folder).fit_transform(pictures)
    main(["info", "--cache", folder])
    assert f"{folder}: 6 rows, 0 pictures" in capsys.readouterr().out
    main(["export", str(path), "--cache", folder])
    exported = capsys.readouterr().out
    assert exported.startswith(f"{path}: 6 rows, {path.stat().st_size} bytes")
    main(["info", str(path)])
    assert capsys.readouterr().out == exported
    make_extractor(False).fit(pictures).export(pictures, path)
    main(["info", str(path)])
    assert "  device: cpu" in capsys.readouterr().out


def test_rows_that_are_damaged_in_a_store_are_not_exported(path: Path, tmp_path: Path) -> None:
    rows = make_rows(5)
    opened = Store(tmp_path / "store")
    opened.features.write(rows)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "store", copy)
    database = copy / "features-v2.sqlite"
    content = database.read_bytes()
    damaged = rows[key_of(3)]
    assert content.count(damaged) == 1
    database.write_bytes(content.replace(damaged, damaged[::-1]))
    assert export_features(path, cache=copy).n_rows == 4
    assert FeatureFile(path).read(rows) == {key: row for key, row in rows.items() if row != damaged}


def test_a_file_in_the_place_of_the_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    path.touch()
    for cache in (path, [path]):
        with pytest.raises(ValueError, match=r"in the place of a store, which is a folder: pass \[True, file\]"):
            split_cache(cache)
