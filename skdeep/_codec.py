"""Values as JSON and tensors, and back; nothing is made but what this module and its caller know.

Whatever JSON has no word for becomes an object of one entry, whose key says what it is.
"""

from __future__ import annotations

import base64
import functools
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    import torch

Json = Any
Put = Callable[["torch.Tensor"], str]
Again = Callable[[Any], Any]

_NOT_FINITE = {repr(value): value for value in (math.nan, math.inf, -math.inf)}
_MOST_BYTES = 256  # that JSON holds; more become a tensor


class UnknownValueError(ValueError):
    """A value that is code, or of a class that is not known, cannot be written."""


@dataclass(frozen=True)
class Record:
    """A class whose objects may be made from what a file says.

    Attributes
    ----------
    cls : type
    take_apart : callable
        From an object to a dict of its parts.
    put_together : callable
        From such a dict to an object. It must be safe, whatever the parts are, and may raise any error.
    """

    cls: type
    take_apart: Callable[[Any], dict[str, Any]]
    put_together: Callable[[dict[str, Any]], Any]


def dataclass_record(cls: type) -> Record:
    """A dataclass, made anew from its fields."""
    names = [field.name for field in fields(cls)]
    return Record(cls, lambda value: {name: getattr(value, name) for name in names}, lambda parts: cls(**parts))


def describe(value: Any) -> str:
    """What a reader calls a class, a function, or an object of a class.

    Examples
    --------
    >>> describe(math.prod), describe(1j)
    ('math.prod', 'an instance of complex')
    """
    named = value if hasattr(value, "__qualname__") else type(value)
    module = "" if named.__module__ in {None, "builtins"} else f"{named.__module__}."
    name = f"{module}{named.__qualname__}"
    return name if named is value else f"an instance of {name}"


def refuse(value: Any) -> NoReturn:
    """Raise the error of what cannot be written."""
    raise UnknownValueError(f"{describe(value)} cannot be written to a file that loads without running code.")


def encode(value: Any, put: Put, known: Mapping[str, Record], otherwise: Callable[[Any], Json] = refuse) -> Json:
    """Turn a value into what JSON can write.

    Parameters
    ----------
    value : object
        None, a boolean, number, text, bytes, path, list, tuple, dict, set, numpy scalar, RandomState, array of numbers
        or of such values, DataFrame, tensor, member of torchvision's enumerations of weights, or of a known class.
    put : callable
        Keeps a tensor and gives the name under which :func:`decode` will find it.
    known : mapping of str to Record
        By the names of the classes.
    otherwise : callable, default=refuse
        Gives the JSON of any other value, or raises an error.

    Returns
    -------
    encoded : None, bool, int, float, str, list or dict

    Raises
    ------
    UnknownValueError
        If there is no other way for some part of the value.

    Examples
    --------
    >>> encode((1, float("inf")), put=None, known={})
    {'tuple': [1, {'float': 'inf'}]}
    """
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return value
    again = functools.partial(encode, put=put, known=known, otherwise=otherwise)
    if kind is list:
        return [again(part) for part in value]
    record = known.get(kind.__name__)
    if record is not None and record.cls is kind:
        return {"record": [kind.__name__, {name: again(part) for name, part in record.take_apart(value).items()}]}
    tag, content = _tagged(value, put, again)
    return otherwise(value) if tag is None else {tag: content}


def decode(encoded: Json, tensors: Mapping[str, torch.Tensor], known: Mapping[str, Record]) -> Any:
    """Make the value that :func:`encode` took.

    Raises
    ------
    ValueError
        If ``encoded`` is nothing that :func:`encode` gives, or of a class that is not known.

    Examples
    --------
    >>> decode({"tuple": [1, {"float": "inf"}]}, {}, known={})
    (1, inf)
    """
    if isinstance(encoded, list):
        return [decode(part, tensors, known) for part in encoded]
    if not isinstance(encoded, dict):
        return encoded
    tag, content = next(iter(encoded.items())) if len(encoded) == 1 else ("", ("", {}))
    again = functools.partial(decode, tensors=tensors, known=known)
    try:
        if tag == "record":
            name, parts = content
            return known[name].put_together({key: again(part) for key, part in parts.items()})
        return _DECODERS[tag](content, again, tensors)
    except Exception as error:  # of whatever kind: what a damaged file says may be anything
        raise ValueError(f"{str(encoded)[:80]} stands for no value: {type(error).__name__}: {error}") from error


def _tagged(value: Any, put: Put, again: Again) -> tuple[str | None, Json]:
    """What a value is, and its content as JSON; None if it is nothing of the kind."""
    kind = type(value)
    if kind in _ENCODERS:
        return _ENCODERS[kind](value, put, again)
    if isinstance(value, PurePath):
        return "path", str(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biufUS" and value.dtype.itemsize <= 8:
        return "scalar", [value.dtype.str, again(value.item())]
    if isinstance(value, np.str_):
        return "scalar", [value.dtype.str, str(value)]
    if isinstance(value, Enum):
        return _encode_enum(value)
    # by name, so that neither library is imported for values that are not its own
    name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    if name == "torch.Tensor":
        return "tensor", put(value)
    return ("frame", _encode_frame(value, again)) if name == "pandas.DataFrame" else (None, None)


def _encode_bytes(value: bytes, put: Put, again: Again) -> tuple[str, Json]:
    import torch

    if len(value) <= _MOST_BYTES:
        return "bytes", base64.b64encode(value).decode()
    return "blob", put(torch.frombuffer(bytearray(value), dtype=torch.uint8))


def _encode_set(value: set[Any] | frozenset[Any], put: Put, again: Again) -> tuple[str, Json]:
    # the order of a set changes from one process to the next
    return type(value).__name__, sorted((again(part) for part in value), key=json.dumps)


def _encode_dict(value: Mapping[Any, Any], put: Put, again: Again) -> tuple[str, Json]:
    return "dict", [[again(key), again(part)] for key, part in value.items()]


def _encode_array(value: NDArray[Any], put: Put, again: Again) -> tuple[str | None, Json]:
    import torch

    kind = value.dtype.kind
    if kind in "biuf" and value.dtype.itemsize <= 8:
        # a copy that is dense, in the machine's order of bytes, and may be written to: torch wants all three
        dense = np.array(value, dtype=value.dtype.newbyteorder("="), order="K", copy=True)
        return "array", [value.dtype.str, put(torch.from_numpy(dense))]
    if kind in "USO" and not value.dtype.names:
        return "objects", [value.dtype.str, list(value.shape), [again(part) for part in value.ravel().tolist()]]
    return None, None


def _encode_state(value: RandomState, put: Put, again: Again) -> tuple[str | None, Json]:
    state: Any = value.get_state(legacy=False)
    return ("random_state", again(state)) if state["bit_generator"] == "MT19937" else (None, None)


def _encode_enum(value: Enum) -> tuple[str | None, Json]:
    from torchvision.models import WeightsEnum, get_weight

    name = f"{type(value).__name__}.{value.name}"
    if isinstance(value, WeightsEnum) and type(value).__module__.startswith("torchvision.models"):
        return ("weights", name) if get_weight(name) is value else (None, None)
    return None, None


def _encode_frame(frame: pd.DataFrame, again: Again) -> Json:
    import pandas as pd

    if isinstance(frame.index, pd.RangeIndex):
        index: Json = [frame.index.start, frame.index.stop, frame.index.step]
    else:
        index = {"dtype": str(frame.index.dtype), "values": again(frame.index.to_numpy())}
    columns = [frame.iloc[:, position] for position in range(frame.shape[1])]
    return {
        "columns": again(frame.columns.tolist()),
        "index": index,
        "dtypes": [str(column.dtype) for column in columns],
        "values": [again(column.to_numpy()) for column in columns],
    }


_ENCODERS: dict[type, Callable[[Any, Put, Again], tuple[str | None, Json]]] = {
    float: lambda value, put, again: ("float", repr(value)),
    tuple: lambda value, put, again: ("tuple", [again(part) for part in value]),
    dict: _encode_dict,
    OrderedDict: _encode_dict,
    set: _encode_set,
    frozenset: _encode_set,
    bytes: _encode_bytes,
    np.ndarray: _encode_array,
    np.memmap: _encode_array,
    RandomState: _encode_state,
}


def _decode_array(content: Json, again: Again, tensors: Mapping[str, torch.Tensor]) -> NDArray[Any]:
    dtype, name = content
    return tensors[name].numpy().astype(_dtype(dtype, "biuf"), casting="equiv", order="K")


def _decode_objects(content: Json, again: Again, tensors: Mapping[str, torch.Tensor]) -> NDArray[Any]:
    dtype, shape, parts = content
    array = np.empty(len(parts), dtype=_dtype(dtype, "USO"))
    for position, part in enumerate(parts):
        array[position] = again(part)
    return array.reshape(shape)


def _decode_scalar(content: Json, again: Again, tensors: Mapping[str, torch.Tensor]) -> np.generic:
    dtype, value = content
    return _dtype(dtype, "biufUS").type(again(value))


def _decode_state(content: Json, again: Again, tensors: Mapping[str, torch.Tensor]) -> RandomState:
    state = RandomState(0)
    state.set_state(again(content))
    return state


def _decode_weights(content: Json, again: Again, tensors: Mapping[str, torch.Tensor]) -> Enum:
    from torchvision.models import get_weight

    return get_weight(content)


def _decode_frame(content: Json, again: Again, tensors: Mapping[str, torch.Tensor]) -> pd.DataFrame:
    import pandas as pd

    of_rows = content["index"]
    if isinstance(of_rows, list):
        index: pd.Index[Any] = pd.RangeIndex(*of_rows)
    else:
        index = pd.Index(again(of_rows["values"]), dtype=of_rows["dtype"])
    columns = [
        pd.Series(again(values), index=index, dtype=dtype)
        for values, dtype in zip(content["values"], content["dtypes"], strict=True)
    ]
    frame = pd.DataFrame(dict(enumerate(columns)), index=index)
    frame.columns = pd.Index(again(content["columns"]))
    return frame


def _dtype(name: str, kinds: str) -> np.dtype[Any]:
    dtype = np.dtype(str(name))
    if dtype.kind not in kinds or dtype.names:
        raise ValueError(f"no array of dtype {name!r} was written")
    return dtype


_DECODERS: dict[str, Callable[[Json, Again, Mapping[str, torch.Tensor]], Any]] = {
    "float": lambda content, again, tensors: _NOT_FINITE[content],
    "tuple": lambda content, again, tensors: tuple(again(content)),
    "dict": lambda content, again, tensors: {again(key): again(part) for key, part in content},
    "set": lambda content, again, tensors: set(again(content)),
    "frozenset": lambda content, again, tensors: frozenset(again(content)),
    "bytes": lambda content, again, tensors: base64.b64decode(content, validate=True),
    "blob": lambda content, again, tensors: tensors[content].numpy().tobytes(),
    "path": lambda content, again, tensors: Path(content),
    "tensor": lambda content, again, tensors: tensors[content],
    "array": _decode_array,
    "objects": _decode_objects,
    "scalar": _decode_scalar,
    "random_state": _decode_state,
    "weights": _decode_weights,
    "frame": _decode_frame,
}
