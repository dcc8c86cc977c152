"""Satellite chips and their tags in the layout of Kaggle's Planet competition."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skdeep._text import listed
from skdeep.exceptions import DatasetError

LABEL_FILE = "train_v2.csv"
IMAGE_FOLDER = "train-jpg"
HEADER = ["image_name", "tags"]
# A name becomes the name of a file: separators, drive letters, "." and ".." could lead out of the folder.
_UNSAFE_NAME = re.compile(r"\.{0,2}$|.*[/\\:\x00-\x1f]", re.DOTALL)


@validate_params({"folder": [str, os.PathLike]}, prefer_skip_nested_validation=True)
def load_planet(folder: str | os.PathLike[str]) -> Bunch:
    """Load the paths and tags of satellite chips in the layout of Kaggle's Planet competition.

    The folder holds ``train_v2.csv`` with the columns ``image_name,tags``, and an image ``train-jpg/NAME.jpg`` for each
    name. Images that no row names are left out. No pixel is read here.

    Parameters
    ----------
    folder : str or path-like

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of str of shape (n_samples,)
            The paths of the images, in the order of the label file.
        target : ndarray of int64 of shape (n_samples, n_tags)
            The label indicator. A tag that a row names twice counts once; a row without tags is all zero.
        target_names : list of str
            The tags in alphabetical order: 17 in the competition's file.
        image_names : ndarray of str of shape (n_samples,)
        DESCR : str

    Raises
    ------
    FileNotFoundError
        If the folder, the label file or the folder of images is not there.
    DatasetError
        If the label file is not as :func:`load_planet_labels` describes it, if it names images that are not there, or
        if an image is a link that leads out of the folder.

    See Also
    --------
    load_planet_labels : Read the label file alone.
    make_aerial_scenes : Draw such scenes where there is no data.

    References
    ----------
    .. [1] "Planet: Understanding the Amazon from Space", Kaggle (2017),
       https://www.kaggle.com/c/planet-understanding-the-amazon-from-space

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skdeep.datasets import load_planet, make_aerial_scenes
    >>> with TemporaryDirectory() as folder:
    ...     _ = make_aerial_scenes(3, random_state=0, folder=folder)
    ...     planet = load_planet(folder)
    >>> [str(name) for name in planet.image_names]
    ['train_0', 'train_1', 'train_2']
    """
    folder = Path(folder)
    for needed in (folder / LABEL_FILE, folder / IMAGE_FOLDER):
        if not needed.exists():
            raise FileNotFoundError(
                f"{needed} is not there; expected {LABEL_FILE} and {IMAGE_FOLDER}/NAME.jpg in {folder}, as Kaggle has "
                "them."
            )
    labels = load_planet_labels(folder / LABEL_FILE)
    labels.data = _image_paths(folder / IMAGE_FOLDER, labels.image_names)
    return labels


@validate_params({"path": [str, os.PathLike]}, prefer_skip_nested_validation=True)
def load_planet_labels(path: str | os.PathLike[str]) -> Bunch:
    r"""Load the label file of Kaggle's Planet competition, without the images.

    Parameters
    ----------
    path : str or path-like
        A CSV file with the columns ``image_name,tags``; tags are separated by spaces, and a row may have none.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        The attributes ``target``, ``target_names``, ``image_names`` and ``DESCR`` of :func:`load_planet`.

    Raises
    ------
    FileNotFoundError
        If ``path`` is not there.
    DatasetError
        If the header is another, a row has more or fewer columns, a name stands twice, a name is not the plain name of
        a file (a path, say), or no row has a tag.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skdeep.datasets import load_planet_labels
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "train_v2.csv"
    ...     _ = path.write_text("image_name,tags\ntrain_0,clear primary\ntrain_1,haze primary\n")
    ...     labels = load_planet_labels(path)
    >>> labels.target_names
    ['clear', 'haze', 'primary']
    >>> labels.target
    array([[1, 0, 1],
           [0, 1, 1]])
    """
    names, tags = _read_columns(Path(path))
    _refuse(path, "names that are not the plain name of a file", [name for name in names if _UNSAFE_NAME.match(name)])
    _refuse(path, "names that stand more than once", [name for name, count in Counter(names).items() if count > 1])
    target, target_names = _indicator(tags)
    if not target_names:
        raise DatasetError(f"{path}: none of its {len(names)} rows has a tag.")
    return Bunch(
        target=target,
        target_names=target_names,
        image_names=np.array(names),
        DESCR=(
            f"Satellite chips labelled in {path}: {len(target)} samples, {len(target_names)} tags, "
            f"{target.sum(axis=1).mean():.3f} tags a sample."
        ),
    )


def _read_columns(path: Path) -> tuple[list[str], list[str]]:
    names, tags = [], []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            if header != HEADER:
                raise DatasetError(f"{path}: expected the header {','.join(HEADER)}, got {','.join(header)[:80]!r}.")
            for row in filter(None, reader):
                if len(row) != len(HEADER):
                    raise DatasetError(
                        f"{path}, line {reader.line_num}: expected {','.join(HEADER)}, got {len(row)} columns "
                        f"({','.join(row)[:80]!r}). Separate tags by spaces; if it is the last line, the file may have "
                        "been cut short."
                    )
                names.append(row[0])
                tags.append(row[1])
        except (csv.Error, UnicodeDecodeError) as error:
            raise DatasetError(f"{path}, after line {reader.line_num}: not a CSV file in UTF-8: {error}.") from error
    if not names:
        raise DatasetError(f"{path}: no rows follow the header.")
    return names, tags


def _refuse(path: str | os.PathLike[str], what: str, names: list[str]) -> None:
    if names:
        raise DatasetError(f"{path} has {len(names)} {what}: {listed(map(repr, names))}.")


def _indicator(tags: list[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Turn texts of tags into an indicator; few texts are distinct, so each of them is split once."""
    distinct = {text: i for i, text in enumerate(dict.fromkeys(tags))}
    names = sorted({tag for text in distinct for tag in text.split()})
    column = {tag: j for j, tag in enumerate(names)}
    indicator = np.zeros((len(distinct), len(names)), dtype=np.int64)
    for text, i in distinct.items():
        indicator[i, [column[tag] for tag in text.split()]] = 1
    return indicator[[distinct[text] for text in tags]], names


def _image_paths(folder: Path, names: NDArray[np.str_]) -> NDArray[np.str_]:
    """Give each name its image, all of which must be there and none of which may lead out of ``folder``."""
    wanted = {f"{name}.jpg" for name in names}
    with os.scandir(folder) as entries:
        images = {entry.name: entry.is_symlink() for entry in entries if entry.name in wanted and entry.is_file()}
    if missing := [name for name in names if f"{name}.jpg" not in images]:
        raise DatasetError(
            f"{folder} lacks {len(missing)} of the {len(names)} images that {LABEL_FILE} names: {listed(missing)}. "
            "Unpack the archive again, or remove their rows."
        )
    root = folder.resolve()
    leaving = [name for name, is_link in images.items() if is_link and root not in (folder / name).resolve().parents]
    if leaving:
        raise DatasetError(
            f"{folder} holds {len(leaving)} links that lead out of it: {listed(leaving)}. Put copies in their place."
        )
    return np.array([os.path.join(folder, f"{name}.jpg") for name in names])  # noqa: PTH118
