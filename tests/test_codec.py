"""Values as JSON and tensors: they come back as they were, and nothing else can be made."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import PCG64, RandomState
from torchvision.models import ResNet18_Weights, SqueezeNet1_1_Weights

from skdeep._codec import UnknownValueError, dataclass_record, decode, describe, encode


@dataclass(frozen=True)
class Point:
    x: Any
    y: Any = 0

    def __post_init__(self) -> None:
        if isinstance(self.x, str) and self.x == "wrong":
            raise ValueError("x is wrong")


KNOWN = {"Point": dataclass_record(Point)}

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=600)
hashable = plain | st.tuples(plain, plain) | st.frozensets(plain, max_size=3) | st.builds(Path, st.just("a/b"))
values = st.recursive(
    hashable | st.sets(plain, max_size=3),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(hashable, inner) | st.builds(Point, inner)
    ),
    max_leaves=10,
)


def kept(value: Any) -> Any:
    """What comes back by way of JSON."""
    tensors: dict[str, torch.Tensor] = {}

    def put(tensor: torch.Tensor) -> str:
        tensors[name := str(len(tensors))] = tensor
        return name

    return decode(json.loads(json.dumps(encode(value, put, KNOWN), allow_nan=False)), tensors, KNOWN)


@settings(max_examples=60, deadline=None)
@given(values)
def test_nested_values_come_back_equal_and_of_equal_kinds(value: Any) -> None:
    again = kept(value)
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value) or "{" in repr(value)


def test_numbers_that_json_does_not_know_come_back() -> None:
    nan, *others = kept([math.nan, math.inf, -math.inf, -0.0, 2**70])
    assert math.isnan(nan)
    assert others == [math.inf, -math.inf, 0.0, 2**70]
    assert math.copysign(1, others[2]) == -1


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u2", "u4", "u8", ">i4", "<i8", "f2", ">f8", "f4", "U3", "S2", "O", "<U0"], ids=str
)
@pytest.mark.parametrize("shape", [(), (0,), (6,), (2, 3)], ids=str)
def test_arrays_come_back(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    again = kept(array)
    assert again.dtype == array.dtype
    assert again.shape == shape
    np.testing.assert_array_equal(again, array)
    assert again.flags.writeable


def test_arrays_need_not_be_plain(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "array", dtype=np.float32, mode="w+", shape=(3, 4))
    mapped[:] = np.arange(12).reshape(3, 4)
    frozen = np.arange(4.0)
    frozen.flags.writeable = False
    for array in (mapped, frozen, np.arange(10)[::-2], np.array(["é", None, 3], dtype=object)):
        np.testing.assert_array_equal(kept(array), array)
    assert kept(np.asfortranarray(np.ones((3, 4)))).flags.f_contiguous


@pytest.mark.parametrize(
    "scalar",
    [np.float64(1.5), np.float32("nan"), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True), np.str_("long " * 9)],
)
def test_numpy_scalars_keep_their_dtype(scalar: np.generic) -> None:
    again = kept(scalar)
    assert again.dtype == scalar.dtype
    np.testing.assert_equal(again, scalar)


def test_random_states_go_on_where_they_were() -> None:
    state = RandomState(3)
    state.normal(size=5)  # leaves half a pair of normal numbers behind
    again = kept(state)
    np.testing.assert_array_equal(again.normal(size=7), state.normal(size=7))


def test_tensors_and_the_order_of_dicts_come_back() -> None:
    value = OrderedDict(b=torch.arange(3.0), a=torch.zeros((), dtype=torch.bfloat16))
    again = kept(value)
    assert list(again) == ["b", "a"]
    assert all(torch.equal(again[name], tensor) and again[name].dtype == tensor.dtype for name, tensor in value.items())


def test_members_of_enumerations_of_weights_come_back() -> None:
    for member in (ResNet18_Weights.DEFAULT, SqueezeNet1_1_Weights.IMAGENET1K_V1):
        assert kept(member) is member


@pytest.mark.parametrize("index", [None, ["p", "q", "r"], [2.5, 1.0, 0.5]], ids=str)
def test_data_frames_come_back(index: Any) -> None:
    frame = pd.DataFrame(
        {"n": [1, 2, 3], "x": [0.5, math.nan, math.inf], "text": ["a", "b", "c"], "mixed": ["head", 2, "all"]},
        index=index,
    )
    pd.testing.assert_frame_equal(kept(frame), frame)
    pd.testing.assert_frame_equal(kept(frame.iloc[:0]), frame.iloc[:0])
    twice = pd.concat([frame, frame], axis=1)
    pd.testing.assert_frame_equal(kept(twice), twice)


def test_sets_make_equal_json_in_any_order() -> None:
    one, other = set([0, 8, 16]), set([16, 8, 0])  # noqa: C405
    assert list(one) != list(other)
    assert encode(one, None, {}) == encode(other, None, {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (len, "len"),
        (Path.exists, "Path.exists"),
        (Point, "tests.test_codec.Point"),
        (1j, "an instance of complex"),
        (Fraction(1, 2), "an instance of fractions.Fraction"),
        (torch.nn.Identity(), "an instance of torch.nn.modules.linear.Identity"),
        (namedtuple("Pair", "a b")(1, 2), "Pair"),
        (np.array([1j]), "an instance of numpy.ndarray"),
        (np.array([(1, 2)], dtype=[("a", int), ("b", int)]), "ndarray"),
        (np.ma.masked_array([1]), "MaskedArray"),
        (RandomState(PCG64(0)), "RandomState"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_code_or_unknown_is_refused_by_name(value: Any, named: str) -> None:
    assert named.rpartition(".")[2] in describe(value)
    for nested in (value, [{"key": (value,)}], Point(value)):
        with pytest.raises(UnknownValueError, match=r"cannot be written to a file that loads without running code"):
            kept(nested)


def test_what_is_refused_may_be_told_in_another_way() -> None:
    assert encode([len, 1], None, {}, lambda value: f"<{describe(value)}>") == ["<len>", 1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "encoded",
    [
        {},
        {"a": 1, "b": 2},
        {"__reduce__": ["os.system", ["true"]]},
        {"pickle": "gASVIQAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAR0cnVllIWUUpQu"},
        {"record": ["subprocess.Popen", {"args": ["true"]}]},
        {"record": ["Point", {"x": 1, "z": 2}]},
        {"record": ["Point", {"x": "wrong"}]},
        {"record": ["Point"]},
        {"record": "Point"},
        {"tensor": "missing"},
        {"array": ["O", "t"]},
        {"array": ["<f8", "t"]},
        {"array": [["a", "b"], "t"]},
        {"objects": ["<f8", [1], [1]]},
        {"objects": ["O", [2], [1]]},
        {"scalar": ["O", 1]},
        {"scalar": ["<M8[s]", 1]},
        {"weights": "os.system"},
        {"weights": "ResNet18_Weights.__class__"},
        {"random_state": {"dict": [["bit_generator", "PCG64"]]}},
        {"frame": {"columns": [], "index": [0, 1, 1]}},
        {"dict": [[[1], 2]]},
        {"set": [{"dict": []}]},
        {"bytes": "not base64!"},
        {"float": "1; import os"},
        {"tuple": None},
        {"path": 3},
    ],
    ids=str,
)
def test_whatever_else_a_file_says_is_refused(encoded: Any) -> None:
    with pytest.raises(ValueError, match="stands for no value"):
        decode([encoded], {"t": torch.zeros(2)}, KNOWN)
