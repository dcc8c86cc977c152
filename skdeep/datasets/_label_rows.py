"""Rows of a CSV file that name images and what is on them, and the files of these images."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skdeep._text import listed
from skdeep.exceptions import DatasetError

# A name becomes the name of a file: separators, drive letters, "." and ".." could lead out of the folder.
_UNSAFE_NAME = re.compile(r"\.{0,2}$|.*[/\\:\x00-\x1f]", re.DOTALL)


def read_columns(path: Path, header: Sequence[str] | None = None) -> dict[str, list[str]]:
    """Read a CSV file in UTF-8, which must have this header if one is given, as a list of cells for each column."""
    rows = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        try:
            names = next(reader, [])
            _check_header(path, names, header)
            for row in filter(None, reader):
                if len(row) != len(names):
                    raise DatasetError(
                        f"{path}, line {reader.line_num}: expected {','.join(names)[:80]}, got {len(row)} columns "
                        f"({','.join(row)[:80]!r}). Separate tags by spaces, or put quotes around what holds a comma; "
                        "if it is the last line, the file may have been cut short."
                    )
                rows.append(row)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DatasetError(f"{path}, after line {reader.line_num}: not a CSV file in UTF-8: {error}.") from error
    if not rows:
        raise DatasetError(f"{path}: no rows follow the header.")
    return {name: list(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)}


def check_names(path: str | os.PathLike[str], names: Sequence[str], *, folders: bool = False) -> None:
    """Refuse names that could lead out of a folder, and names that stand twice.

    With ``folders``, a name may have folders before it: ``cats/1.jpg``.
    """
    kind = "plain name of a file, or of one in a subfolder" if folders else "plain name of a file"
    parts = [name.split("/") if folders else [name] for name in names]
    unsafe = [name for name, pieces in zip(names, parts, strict=True) if any(map(_UNSAFE_NAME.match, pieces))]
    refuse(path, f"names that are not the {kind}", unsafe)
    refuse(path, "names that stand more than once", repeated(names))


def repeated(names: Iterable[str]) -> list[str]:
    """Those that stand more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def refuse(path: str | os.PathLike[str], what: str, names: Sequence[str]) -> None:
    """Raise an error that counts the names, if there are any, and shows the first."""
    if names:
        raise DatasetError(f"{path} has {len(names)} {what}: {listed(map(repr, names))}.")


def tag_indicator(texts: list[str], separator: str | None = None) -> tuple[NDArray[np.int64], list[str]]:
    """Turn texts of tags into an indicator and the tags, in alphabetical order.

    Few texts are distinct, so each of them is split once: at white space, or at ``separator``.
    """
    distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    tags = [[tag for tag in map(str.strip, text.split(separator)) if tag] for text in distinct]
    names = sorted({tag for row in tags for tag in row})
    column = {tag: j for j, tag in enumerate(names)}
    indicator = np.zeros((len(distinct), len(names)), dtype=np.int64)
    for i, row in enumerate(tags):
        indicator[i, [column[tag] for tag in row]] = 1
    return indicator[[distinct[text] for text in texts]], names


def image_paths(folder: Path, names: Sequence[str], suffix: str, source: str) -> NDArray[np.str_]:
    """Give each name its image, all of which must be there and none of which may lead out of ``folder``.

    ``source`` is what names them. A name is looked for as it is spelled, also where the file system would not mind.
    """
    files = [f"{name}{suffix}" for name in names]
    by_parent: dict[str, set[str]] = defaultdict(set)
    for file in files:
        parent, _, base = file.rpartition("/")
        by_parent[parent].add(base)
    found: dict[str, bool] = {}
    for parent, bases in by_parent.items():
        found |= _find_images(folder, parent, bases)
    if missing := [name for name, file in zip(names, files, strict=True) if file not in found]:
        raise DatasetError(
            f"{folder} lacks {len(missing)} of the {len(names)} images that {source} names: {listed(missing)}. The "
            f"first is looked for as {missing[0] + suffix!r}. Unpack the archive again, or remove their rows."
        )
    if leaving := [file for file in files if found[file]]:
        raise DatasetError(
            f"{folder} holds {len(leaving)} links that lead out of it: {listed(leaving)}. Put copies in their place."
        )
    return np.array([os.path.join(folder, *file.split("/")) for file in files])  # noqa: PTH118


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether there is a file, or a link to one; a link that leads nowhere is none, nor is one to itself."""
    return Path(entry.path).is_file() if entry.is_symlink() else entry.is_file()


def _check_header(path: Path, names: list[str], header: Sequence[str] | None) -> None:
    if header is not None and names != list(header):
        raise DatasetError(f"{path}: expected the header {','.join(header)}, got {','.join(names)[:80]!r}.")
    refuse(path, "columns of the same name", repeated(names))


def _find_images(folder: Path, parent: str, bases: Collection[str]) -> dict[str, bool]:
    """Which of these files are there, and whether their way leads out of ``folder`` by a link."""
    place, root = folder / parent, folder.resolve()
    if not place.is_dir():
        return {}
    is_outside = not place.resolve().is_relative_to(root)
    images = {}
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name in bases and is_file(entry):
                leaves = entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root)
                images[f"{parent}/{entry.name}" if parent else entry.name] = is_outside or leaves
    return images
