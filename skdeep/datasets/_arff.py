"""ARFF files, dense or sparse, as one matrix of numbers."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from skdeep._text import listed
from skdeep.exceptions import DatasetError

_SINGLE_QUOTED = r"'(?:[^'\\]|\\.)*+'"
_DOUBLE_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_ATTRIBUTE = re.compile(rf"({_SINGLE_QUOTED}|{_DOUBLE_QUOTED}|[^\s{{'\"][^\s{{]*)\s*(.*)", re.DOTALL)
_VALUE = re.compile(rf"(?:{_SINGLE_QUOTED}|{_DOUBLE_QUOTED}|[^,'\"]++)*+")
_ESCAPE = re.compile(r"\\(.)")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_PLAIN_ROW = re.compile(r"[-+.,0-9eE?\s]*+")
_NUMERIC_TYPES = frozenset({"numeric", "real", "integer"})

Row = TypeVar("Row")


@dataclass(frozen=True)
class Attribute:
    """One column and what its cells may hold.

    Attributes
    ----------
    name : str
    values : tuple of str or None
        The declared values of a nominal attribute; None for a numeric one.
    codes : dict of str to float or None
        The number that stands for each declared value, where a value is not its own number.
    numbers : frozenset of float or None
        The numbers that a nominal attribute allows, where every declared value is a number.
    """

    name: str
    values: tuple[str, ...] | None = None
    codes: dict[str, float] | None = None
    numbers: frozenset[float] | None = None

    @classmethod
    def nominal(cls, name: str, values: tuple[str, ...]) -> Attribute:
        """Make a nominal attribute: numbers stand for themselves, other values for their position."""
        if all(_NUMBER.fullmatch(value) for value in values):
            return cls(name, values, numbers=frozenset(map(float, values)))
        return cls(name, values, codes={value: float(position) for position, value in enumerate(values)})

    @property
    def default(self) -> float:
        """What a cell that a sparse row leaves out holds: 0, or the first declared value."""
        return float(self.values[0]) if self.values and self.numbers else 0.0

    def number(self, cell: str) -> float:
        """Give the number that stands for the text of one cell; NaN for ``?``.

        Raises
        ------
        ValueError
            If the text is neither a number nor a declared value.
        """
        if cell == "?":
            return math.nan
        text = unquote(cell)
        if self.codes is not None:
            if text not in self.codes:
                raise ValueError(self._undeclared(text))
            return self.codes[text]
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"attribute {self.name!r} holds {text!r}, which is not a number")
        number = float(text)
        if self.numbers is not None and number not in self.numbers:
            raise ValueError(self._undeclared(text))
        return number

    def _undeclared(self, text: str) -> str:
        declared = listed(self.values or ())
        return f"attribute {self.name!r} holds {text!r}, which is not among its declared values {{{declared}}}"


@dataclass(frozen=True)
class Relation:
    """What an ARFF file holds.

    Attributes
    ----------
    path : Path
    name : str
        The text after ``@relation``.
    attributes : list of Attribute
    data : ndarray or csr_array of float64, of shape (n_rows, n_attributes)
        Sparse if the rows are.
    lines : ndarray of int of shape (n_rows,)
        The line of the file, counted from 1, that each row stands on.
    """

    path: Path
    name: str
    attributes: list[Attribute]
    data: Any
    lines: NDArray[np.int64]


def read_arff(path: Path) -> Relation:
    """Read an ``.arff`` or ``.arff.gz`` file.

    Numeric attributes are read as they stand. A nominal attribute whose declared values are all numbers is read as
    those numbers; any other nominal value becomes its position among the declared ones. ``?`` becomes NaN. A cell
    that a sparse row leaves out is 0, or the first declared value, as the format has it.

    Parameters
    ----------
    path : Path
        UTF-8 or, failing that, Latin-1 text.

    Returns
    -------
    relation : Relation

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DatasetError
        If the file breaks the format, is cut short, or has string, date or relational attributes.
    """
    lines = enumerate(_read_text(path).replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1)
    name, attributes = _read_header(path, lines)
    rows = [(number, text) for number, line in lines if (text := line.strip()) and not text.startswith("%")]
    if not rows:
        raise DatasetError(f"{path}: no rows follow @data; the file may have been cut short.")
    read_rows = _read_sparse if rows[0][1].startswith("{") else _read_dense
    data = read_rows(path, rows, attributes)
    return Relation(path, name, attributes, data, np.array([number for number, _ in rows], dtype=np.int64))


def unquote(text: str) -> str:
    """Take off the quotes around a text and the escapes in it; bare text stays as it is."""
    if len(text) < 2 or text[0] not in "'\"" or text[0] != text[-1]:
        return text
    return _ESCAPE.sub(lambda match: _CONTROL.get(match[1], match[1]), text[1:-1])


def split_values(text: str) -> list[str]:
    """Split at the commas that stand outside quotes; quotes are kept.

    Raises
    ------
    ValueError
        If a quote is not closed.
    """
    values: list[str] = []
    start = 0
    while True:
        match = _VALUE.match(text, start)
        end = match.end() if match else start
        values.append(text[start:end].strip())
        if end == len(text):
            return values
        if text[end] != ",":
            raise ValueError("a quote is not closed")
        start = end + 1


def _read_text(path: Path) -> str:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{path}: the gzip file is damaged or cut short ({error}); get it anew.") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _read_header(path: Path, lines: Iterator[tuple[int, str]]) -> tuple[str, list[Attribute]]:
    name = ""
    attributes: dict[str, Attribute] = {}
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith("%"):
            continue
        keyword, _, rest = text.replace("\t", " ", 1).partition(" ")
        match keyword.lower():
            case "@relation":
                name = unquote(rest.strip())
            case "@attribute":
                attribute = _read_attribute(path, number, rest.strip())
                if attribute.name in attributes:
                    raise _error(path, number, f"attribute {attribute.name!r} is declared twice")
                attributes[attribute.name] = attribute
            case "@data":
                if not attributes:
                    raise _error(path, number, "@data comes before any @attribute")
                return name, list(attributes.values())
            case _:
                raise _error(path, number, f"expected @relation, @attribute or @data, got {text[:40]!r}")
    raise DatasetError(f"{path}: there is no @data line; the file is no ARFF file or has been cut short.")


def _read_attribute(path: Path, number: int, text: str) -> Attribute:
    match = _ATTRIBUTE.fullmatch(text)
    if match is None or not match[2]:
        raise _error(path, number, f"expected '@attribute NAME TYPE', got {text[:60]!r}")
    name, declared = unquote(match[1]), match[2]
    if declared.startswith("{"):
        return _read_nominal(path, number, name, declared)
    kind = declared.split()[0].lower()
    if kind not in _NUMERIC_TYPES:
        raise _error(
            path,
            number,
            f"attribute {name!r} is of type {kind!r}; only numeric, real, integer and nominal {{...}} attributes can "
            "be read, so remove or encode this column first",
        )
    return Attribute(name)


def _read_nominal(path: Path, number: int, name: str, declared: str) -> Attribute:
    inner, closing, _ = declared[1:].rpartition("}")
    try:
        values = tuple(unquote(value) for value in split_values(inner))
    except ValueError as error:
        raise _error(path, number, f"attribute {name!r}: {error}") from None
    if not closing or not all(values):
        raise _error(path, number, f"attribute {name!r}: expected declared values {{a,b,...}}, got {declared[:60]!r}")
    return Attribute.nominal(name, values)


def _read_dense(path: Path, rows: list[tuple[int, str]], attributes: list[Attribute]) -> NDArray[np.float64]:
    only_numbers = all(attribute.codes is None for attribute in attributes)

    def read_row(text: str) -> list[float]:
        return (only_numbers and _plain_row(text, len(attributes))) or _dense_row(text, attributes)

    data = np.empty((len(rows), len(attributes)))
    for i, row in enumerate(_each(path, rows, read_row)):
        data[i] = row
    suspects = [rows[i] for i in _rows_with_undeclared_numbers(data, attributes)]
    for _ in _each(path, suspects, lambda text: _dense_row(text, attributes)):
        pass
    return data


def _each(path: Path, rows: list[tuple[int, str]], read_row: Callable[[str], Row]) -> Iterator[Row]:
    """Yield each row as ``read_row`` has it; its ValueError is raised with the file and the line."""
    for number, text in rows:
        try:
            yield read_row(text)
        except ValueError as error:
            last = "; it is the last row, so the file may have been cut short" if number == rows[-1][0] else ""
            raise _error(path, number, f"{error}{last}") from None


def _plain_row(text: str, n_values: int) -> list[float] | None:
    """Read a row of bare numbers quickly; None leaves anything else to `_dense_row`."""
    if not _PLAIN_ROW.fullmatch(text):
        return None
    try:
        numbers = list(map(float, text.replace("?", "nan").split(",")))
    except ValueError:
        return None
    return numbers if len(numbers) == n_values else None


def _dense_row(text: str, attributes: list[Attribute]) -> list[float]:
    cells = split_values(text)
    if len(cells) != len(attributes):
        raise ValueError(f"expected {len(attributes)} values separated by commas, got {len(cells)}")
    return [attribute.number(cell) for attribute, cell in zip(attributes, cells, strict=True)]


def _rows_with_undeclared_numbers(data: NDArray[np.float64], attributes: list[Attribute]) -> NDArray[np.intp]:
    """Find rows that `_plain_row` let through with a number that a nominal attribute does not allow."""
    wrong = np.zeros(len(data), dtype=bool)
    for column, attribute in zip(data.T, attributes, strict=True):
        if attribute.numbers is not None:
            wrong |= ~(np.isin(column, list(attribute.numbers)) | np.isnan(column))
    return np.flatnonzero(wrong)


def _read_sparse(path: Path, rows: list[tuple[int, str]], attributes: list[Attribute]) -> Any:
    defaults = {j: attribute.default for j, attribute in enumerate(attributes) if attribute.default}
    indptr, indices, values = [0], list[int](), list[float]()
    for row in _each(path, rows, lambda text: defaults | _sparse_row(text, attributes)):
        indices.extend(row)
        values.extend(row.values())
        indptr.append(len(indices))
    data = sparse.csr_array((values, indices, indptr), shape=(len(rows), len(attributes)), dtype=np.float64)
    data.sort_indices()
    data.eliminate_zeros()
    return data


def _sparse_row(text: str, attributes: list[Attribute]) -> dict[int, float]:
    if not (text.startswith("{") and text.endswith("}")):
        raise ValueError(f"expected a sparse row {{index value, ...}}, got {text[:40]!r}")
    entries = text[1:-1].strip()
    row: dict[int, float] = {}
    for entry in split_values(entries) if entries else []:
        index, _, cell = entry.replace("\t", " ", 1).partition(" ")
        if not (index.isascii() and index.isdigit() and int(index) < len(attributes)):
            raise ValueError(f"expected 'index value' with an index from 0 to {len(attributes) - 1}, got {entry!r}")
        if int(index) in row:
            raise ValueError(f"index {index} stands twice in the row")
        row[int(index)] = attributes[int(index)].number(cell.strip())
    return row


def _error(path: Path, line: int, message: str) -> DatasetError:
    return DatasetError(f"{path}, line {line}: {message}.")
