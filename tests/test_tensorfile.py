"""One file of tensors and a document: exact, whole, and harmless."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from skdeep import _tensorfile
from skdeep._tensorfile import find_tensors, read_tensors, write_tensors

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.uint8, torch.bool]


def about(**changes: Any) -> dict[str, str]:
    parts = {"format": "skdeep", "version": 1, "document": {}, "aliases": {}, "strides": {}, **changes}
    return {"skdeep": json.dumps(parts)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept.safetensors"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_all_kinds_come_back_to_the_bit(dtype: torch.dtype, path: Path) -> None:
    values = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0)).mul(50).to(dtype)
    special = torch.tensor([float("nan"), float("inf"), -0.0]).to(dtype)
    tensors = {"values": values, "one": values[0, 0, 0, 0], "none": values[:0], "part": values[1, ::2], "s": special}
    write_tensors(path, tensors, {})
    kept, _ = read_tensors(path)
    assert kept.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert kept[name].dtype == dtype
        assert kept[name].shape == tensor.shape
        as_bytes = [one.contiguous().flatten().view(torch.uint8) for one in (kept[name], tensor)]
        assert torch.equal(*as_bytes)


def test_strides_come_back(path: Path) -> None:
    values = torch.randn(4, 3, 2, 2)
    tensors = {
        "channels_last": values.contiguous(memory_format=torch.channels_last),
        "one_by_one": torch.randn(4, 3, 1, 1).to(memory_format=torch.channels_last),
        "odd": torch.empty_strided((4, 3, 1, 1), (3, 1, 3, 3)).fill_(1),
        "transposed": torch.randn(5, 7).T,
        "usual": values,
    }
    write_tensors(path, tensors, {})
    kept, _ = read_tensors(path)
    for name, tensor in tensors.items():
        assert kept[name].stride() == tensor.stride()
        assert torch.equal(kept[name], tensor)
    # for other readers the order in memory is the usual one
    assert torch.equal(safetensors.torch.load_file(path)["transposed"], tensors["transposed"])


def test_what_has_gaps_or_repeats_is_written_as_values(path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {"column": whole[:, 1], "expanded": torch.ones(1).expand(5), "row": whole[1], "whole": whole}
    write_tensors(path, tensors, {})
    kept, _ = read_tensors(path)
    assert all(torch.equal(kept[name], tensor) for name, tensor in tensors.items())
    assert all(tensor.is_contiguous() for tensor in kept.values())


def test_one_tensor_under_two_names_is_written_once_and_is_one_again(path: Path, tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.randn(100, 100))
    write_tensors(path, {"encoder": weight, "decoder": weight, "other": weight + 1}, {})
    write_tensors(tmp_path / "two", {"encoder": weight, "other": weight + 1}, {})
    assert path.stat().st_size - (tmp_path / "two").stat().st_size < 200
    kept, _ = read_tensors(path)
    assert kept["encoder"].data_ptr() == kept["decoder"].data_ptr() != kept["other"].data_ptr()
    assert torch.equal(kept["decoder"], weight)


def test_the_document_comes_back_and_must_be_json(path: Path) -> None:
    document = {"text": "naïve \u2713", "numbers": [1, 2.5, -3], "deep": {"none": None, "yes": True}}
    write_tensors(path, {}, document)
    assert read_tensors(path) == ({}, document)
    for wrong in (float("nan"), object()):
        with pytest.raises((ValueError, TypeError), match="JSON"):
            write_tensors(path, {}, {"wrong": wrong})
    assert read_tensors(path) == ({}, document)


def test_equal_content_makes_equal_bytes_in_any_order_and_process(path: Path, tmp_path: Path) -> None:
    document = {"a": 1, "b": [2]}
    write_tensors(path, {letter: torch.arange(3.0) + ord(letter) for letter in "abcd"}, document)
    code = (
        "import sys, torch; from skdeep._tensorfile import write_tensors;"
        f"write_tensors(sys.argv[1], {{c: torch.arange(3.0) + ord(c) for c in 'dbca'}}, {document})"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "other")], check=True)
    assert path.read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="permissions are those of POSIX")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_those_of_any_new_file(mask: int, path: Path, tmp_path: Path) -> None:
    old = os.umask(mask)
    try:
        (tmp_path / "plain").touch()
        write_tensors(path, {"a": torch.zeros(2)}, {})
    finally:
        os.umask(old)
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tensors(path, {"a": torch.zeros(2)}, {"which": "old"})

    def fail(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(_tensorfile, "_sync", fail)
    with pytest.raises(OSError, match="No space"):
        write_tensors(path, {"a": torch.ones(2)}, {"which": "new"})
    assert read_tensors(path)[1] == {"which": "old"}
    assert list(path.parent.iterdir()) == [path]


def test_a_link_is_followed(path: Path, tmp_path: Path) -> None:
    write_tensors(path, {}, {"which": "old"})
    (tmp_path / "link").symlink_to(path)
    write_tensors(tmp_path / "link", {}, {"which": "new"})
    assert (tmp_path / "link").is_symlink()
    assert read_tensors(path)[1] == {"which": "new"}


def test_files_cut_short_anywhere_are_refused_by_name(path: Path) -> None:
    write_tensors(path, {"a": torch.randn(50)}, {"some": "text"})
    content = path.read_bytes()
    for n_bytes in [0, 1, 7, 8, 9, 60, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:n_bytes])
        with pytest.raises(ValueError, match=r"kept.safetensors' is damaged, or no file of skdeep"):
            read_tensors(path)


def test_files_of_another_kind_are_refused(path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("code of the file was run",))

    foreign = safetensors.torch.save({"a": torch.zeros(1)}, {"format": "pt"})
    for content in (pickle.dumps(Evil()), b"PK\x03\x04" + bytes(100), foreign):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged, or no file of skdeep"):
            read_tensors(path)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_lie_where_they_are_found(dtype: torch.dtype, path: Path) -> None:
    tensors = {"a": torch.arange(12).reshape(3, 4).to(dtype), "b": torch.arange(5).to(dtype), "none": torch.empty(0, 2)}
    write_tensors(path, tensors, {"some": "text"})
    with path.open("rb") as file:
        places, document = find_tensors(file)
    assert document == {"some": "text"}
    assert places.keys() == tensors.keys()
    content = path.read_bytes()
    for name, place in places.items():
        assert place.shape == tensors[name].shape
        found = content[place.start : place.start + place.n_bytes]
        assert found == tensors[name].flatten().view(torch.uint8).numpy().tobytes()


def test_tensors_are_not_looked_for_in_files_that_are_damaged_or_foreign(path: Path) -> None:
    write_tensors(path, {"a": torch.randn(50)}, {"some": "text"})
    content = path.read_bytes()
    foreign = safetensors.torch.save({"a": torch.zeros(1)}, {"format": "pt"})
    parts = [content[:n_bytes] for n_bytes in (0, 1, 7, 8, 9, 60, len(content) // 2, len(content) - 1)]
    for damaged in [*parts, foreign, b"\xff" * 100, content.replace(b"[0,200]", b"[9,200.]")]:
        path.write_bytes(damaged)
        with path.open("rb") as file, pytest.raises(ValueError, match=r"kept.safetensors' is damaged, or no file of"):
            find_tensors(file)


def test_a_newer_version_is_refused_with_the_remedy(path: Path) -> None:
    safetensors.torch.save_file({}, path, about(version=2))
    with pytest.raises(ValueError, match=r"newer version of skdeep \(format 2, and 1 is known\): update skdeep"):
        read_tensors(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "other"},
        {"version": "one"},
        {"document": []},
        {"aliases": {"b": "missing"}},
        {"strides": {"a": [10**15]}},
        {"strides": {"a": [-1]}},
        {"strides": {"a": [1, 1]}},
        {"strides": {"a": "x"}},
    ],
    ids=str,
)
def test_a_header_that_lies_is_refused(changes: dict[str, Any], path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(3)}, path, about(**changes))
    with pytest.raises(ValueError, match="damaged, or no file of skdeep"):
        read_tensors(path)


def test_a_missing_file_is_an_error_of_the_system(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"kept.safetensors"):
        read_tensors(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_tensors(path.parent / "nowhere" / "file", {}, {})


def test_tensors_without_values_in_order_are_refused(path: Path) -> None:
    for tensor in (torch.eye(2).to_sparse(), torch.empty(2, device="meta")):
        with pytest.raises(ValueError, match="'a' cannot be written: it must be dense"):
            write_tensors(path, {"a": tensor}, {})
    assert not path.exists()
