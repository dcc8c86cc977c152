"""Images in folders of classes or named by a CSV file, and the file of predictions that a competition takes."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from skdeep._text import listed
from skdeep._validation import check_indicator
from skdeep._wholefile import written_whole
from skdeep.datasets._frames import framed
from skdeep.datasets._label_rows import (
    check_names,
    image_paths,
    is_file,
    read_columns,
    refuse,
    repeated,
    tag_indicator,
)
from skdeep.exceptions import DatasetError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_TRUTH = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}


@validate_params(
    {"folder": [str, os.PathLike], "suffixes": [list, tuple, set], "categories": [list, tuple, None]},
    prefer_skip_nested_validation=True,
)
def load_image_folder(
    folder: str | os.PathLike[str],
    *,
    suffixes: Sequence[str] = SUFFIXES,
    categories: Sequence[str] | None = None,
) -> Bunch:
    """Load the paths of images that lie in a folder for each class.

    Every folder in ``folder`` is a class, and all images in it, however deep, are of this class. What begins with a dot
    is hidden and left out, and so are files of other suffixes and files that lie beside the folders. Links are
    followed. No pixel is read here.

    Parameters
    ----------
    folder : str or path-like
    suffixes : sequence of str, default=the usual ones, from ".bmp" to ".webp"
        How the names of images end, in lower or upper case.
    categories : sequence of str, default=None
        The classes to load; None loads all of them.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of str of shape (n_samples,)
            The paths of the images: class by class, and in a folder by name. Names are ordered by code points, so that
            every machine has the same order, upper case before lower case.
        target : ndarray of int64 of shape (n_samples,)
            The class of each image, as a position in ``target_names``.
        target_names : list of str
            The names of the folders, in the same order.
        DESCR : str
            What the data set is, in a sentence.

    Raises
    ------
    FileNotFoundError
        If the folder is not there.
    DatasetError
        If it has no folder in it, or lacks one of ``categories``; if a class has no image; if a link leads nowhere, or
        back to a folder that it lies in.

    See Also
    --------
    load_image_csv : Where a table says what is on the images.
    sklearn.datasets.load_files : The same layout with texts.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skdeep.datasets import load_image_folder
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("dog/1.jpg", "cat/1.jpg", "cat/2.PNG", "cat/notes.txt"):
    ...         path = Path(folder) / name
    ...         path.parent.mkdir(exist_ok=True)
    ...         path.touch()
    ...     pets = load_image_folder(folder)
    >>> pets.target_names
    ['cat', 'dog']
    >>> pets.target
    array([0, 0, 1])
    """
    folder = Path(folder)
    wanted = tuple(suffix.lower() for suffix in suffixes)
    names = _class_names(folder, categories)
    above = (folder.resolve(),)
    entries = [
        [entry for entry in _walk(folder / name, above) if entry.name.lower().endswith(wanted)] for name in names
    ]
    if empty := [name for name, images in zip(names, entries, strict=True) if not images]:
        raise DatasetError(
            f"{folder} has {len(empty)} classes without an image ({', '.join(wanted)}): {listed(map(repr, empty))}. "
            "Remove their folders, or name the others in 'categories'."
        )
    if lost := [entry.path for images in entries for entry in images if not is_file(entry)]:
        raise DatasetError(f"{folder} has {len(lost)} links that lead nowhere: {listed(lost)}. Remove or mend them.")
    target = np.repeat(np.arange(len(names), dtype=np.int64), [len(images) for images in entries])
    return Bunch(
        data=np.array([entry.path for images in entries for entry in images]),
        target=target,
        target_names=names,
        DESCR=f"Images in the folders of {folder}: {len(target)} samples, {len(names)} classes.",
    )


@validate_params(
    {
        "path": [str, os.PathLike],
        "folder": [str, os.PathLike],
        "image_column": [str, None],
        "label_columns": [str, list, tuple, None],
        "suffix": [str],
        "separator": [str, None],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_image_csv(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    image_column: str | None = None,
    label_columns: str | Sequence[str] | None = None,
    suffix: str = "",
    separator: str | None = None,
    as_frame: bool = False,
) -> Bunch:
    r"""Load the paths of the images that a CSV file names, and what it says is on them.

    One column of labels holds a class for each image; with ``separator``, it holds any number of tags. Several columns
    are one label each. Images that no row names are left out. No pixel is read here.

    Parameters
    ----------
    path : str or path-like
        A CSV file in UTF-8 with commas and a header.
    folder : str or path-like
        Where the images lie.
    image_column : str, default=None
        The column of the images' names; None is the first. A name may have folders before it, as in ``cats/1.jpg``, and
        must be spelled as its file is, upper and lower case and accents alike, also where the file system would not
        mind. An image has one row.
    label_columns : str or sequence of str, default=None
        None is all other columns.
    suffix : str, default=""
        What the names lack, as in ``".jpg"``.
    separator : str, default=None
        What stands between the tags of an image. A space stands for any white space.
    as_frame : bool, default=False
        Whether ``target``, where it is an indicator, is a DataFrame, whose columns tell estimators, displays and saved
        models the names of the labels.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of str of shape (n_samples,)
            The paths of the images, in the order of the rows.
        target : ndarray of shape (n_samples,), or ndarray or DataFrame of int64 of shape (n_samples, n_labels)
            Of one column the classes as they are written: integers if all of them are, else texts. Of tags, or of
            several columns, the label indicator. In a column, 0, 1, 0.0, 1.0, true and false are understood. A tag
            that a row names twice counts once, and a row may have none.
        target_names : list of str
            The classes, or the tags, in alphabetical order; or the columns.
        image_names : ndarray of str of shape (n_samples,)
            As they stand in the file.
        DESCR : str
            What the data set is, in a sentence.

    Raises
    ------
    FileNotFoundError
        If the file or the folder is not there.
    DatasetError
        If the file is no such CSV file; if a column is not there; if a name stands twice, is the path of something
        outside ``folder``, or has no file; if a class is missing, no row has a tag, or a label is neither 0 nor 1.
    ValueError
        If ``separator`` is given for several columns.

    See Also
    --------
    load_image_folder : Where each class has a folder.
    load_planet : The layout of Kaggle's Planet competition.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skdeep.datasets import load_image_csv
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("a.jpg", "b.jpg"):
    ...         (Path(folder) / name).touch()
    ...     path = Path(folder) / "labels.csv"
    ...     _ = path.write_text("id,breed\na,whippet\nb,borzoi\n")
    ...     dogs = load_image_csv(path, folder, suffix=".jpg")
    ...     _ = path.write_text("image_name,tags\na,clear primary\nb,haze primary\n")
    ...     chips = load_image_csv(path, folder, suffix=".jpg", separator=" ", as_frame=True)
    >>> dogs.target.tolist()
    ['whippet', 'borzoi']
    >>> chips.target
       clear  haze  primary
    0      1     0        1
    1      0     1        1
    """
    path, folder = Path(path), Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; expected the images that {path.name} names in it.")
    columns = read_columns(path)
    image_column, label_columns = _pick_columns(path, list(columns), image_column, label_columns)
    if separator == "":
        raise ValueError(
            "The 'separator' parameter of load_image_csv must be None or hold a character. Got '' instead."
        )
    if separator is not None and len(label_columns) > 1:
        raise ValueError(
            f"'separator' is for one column of tags, got {len(label_columns)}: {listed(label_columns)}. Pass the "
            "column of tags as label_columns."
        )
    names = columns[image_column]
    check_names(path, names, folders=True)
    labels = {column: columns[column] for column in label_columns}
    target, target_names = _read_labels(path, names, labels, separator)
    return Bunch(
        data=image_paths(folder, names, suffix, path.name),
        target=target if target.ndim == 1 else framed(target, target_names, as_frame=as_frame),
        target_names=target_names,
        image_names=np.array(names),
        DESCR=(
            f"Images in {folder}, labelled in {path}: {len(names)} samples, {len(target_names)} "
            f"{'classes' if target.ndim == 1 else 'labels'}."
        ),
    )


@validate_params(
    {
        "path": [str, os.PathLike],
        "image_names": ["array-like"],
        "y": ["array-like", "sparse matrix"],
        "label_names": ["array-like", None],
        "threshold": [Interval(Real, 0, 1, closed="both"), "array-like", None],
        "header": [list, tuple],
        "separator": [str],
    },
    prefer_skip_nested_validation=True,
)
def write_submission(
    path: str | os.PathLike[str],
    image_names: ArrayLike,
    y: Any,
    *,
    label_names: ArrayLike | None = None,
    threshold: float | ArrayLike | None = None,
    header: Sequence[str] = ("image_name", "tags"),
    separator: str = " ",
) -> None:
    """Write predictions as the CSV file that a Kaggle competition takes: an image's name, and its tags or its class.

    The file is there as a whole or not at all. As with :meth:`pandas.DataFrame.to_csv`, one that was there is replaced.

    Parameters
    ----------
    path : str or path-like
    image_names : array-like of shape (n_samples,)
    y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels), or array-like of shape (n_samples,)
        A label indicator; with ``threshold``, probabilities; of one dimension, classes.
    label_names : array-like of str of shape (n_labels,), default=None
        The tags. None takes the columns of a DataFrame.
    threshold : float or array-like of shape (n_labels,), default=None
        An image has the tags whose probability reaches it.
    header : sequence of two str, default=("image_name", "tags")
    separator : str, default=" "
        Stands between tags, which must not hold it.

    Raises
    ------
    ValueError
        If ``image_names``, ``y``, ``label_names`` and ``threshold`` do not fit each other, a name stands twice, or
        reading the tags back would give others.

    See Also
    --------
    load_image_csv : Read such a file, and find its images.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skdeep.datasets import write_submission
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "submission.csv"
    ...     probabilities = [[0.9, 0.3], [0.4, 0.1]]
    ...     write_submission(path, ["a", "b"], probabilities, label_names=["clear", "road"], threshold=0.2)
    ...     print(path.read_text())
    image_name,tags
    a,clear road
    b,clear
    """
    if len(header) != 2:
        raise ValueError(f"The 'header' parameter of write_submission must be two names. Got {header!r} instead.")
    names = [str(name) for name in np.asarray(image_names).ravel()]
    if twice := repeated(names):
        raise ValueError(f"image_names has {len(twice)} names that stand more than once: {listed(twice)}.")
    if np.ndim(y) == 1:
        if threshold is not None:
            raise ValueError("threshold is for probabilities of shape (n_samples, n_labels), got y of one dimension.")
        cells = [str(value) for value in np.asarray(y)]
    else:
        cells = _tag_cells(names, y, label_names, threshold, separator)
    if len(cells) != len(names):
        raise ValueError(f"y must have a row for each of the {len(names)} image_names, got {len(cells)} rows.")
    _write_rows(Path(path), [tuple(header), *zip(names, cells, strict=True)])


def _class_names(folder: Path, categories: Sequence[str] | None) -> list[str]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and Path(entry.path).is_dir())
    if not names:
        raise DatasetError(f"{folder} has no folders in it; expected one for each class, with its images.")
    if categories is None:
        return names
    if missing := sorted(set(categories) - set(names)):
        raise DatasetError(
            f"{folder} lacks {len(missing)} of the {len(categories)} categories: {listed(map(repr, missing))}. It has "
            f"{listed(map(repr, names))}."
        )
    return [name for name in names if name in set(categories)]


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[os.DirEntry[str]]:
    """All files below a folder that are not hidden; ``above`` are the real folders that led to it."""
    place = folder.resolve()
    if any(passed.is_relative_to(place) for passed in above):
        raise DatasetError(f"{folder} is a link that leads back to {place}, which it lies in. Remove it.")
    with os.scandir(folder) as listing:
        entries = sorted((entry for entry in listing if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in entries:
        if Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir():
            yield from _walk(Path(entry.path), (*above, place))
        else:
            yield entry


def _pick_columns(
    path: Path, names: list[str], image_column: str | None, label_columns: str | Sequence[str] | None
) -> tuple[str, list[str]]:
    if isinstance(label_columns, str):
        label_columns = [label_columns]
    asked = [*([] if image_column is None else [image_column]), *(label_columns or [])]
    if missing := [name for name in asked if name not in names]:
        raise DatasetError(f"{path} has no column {listed(map(repr, missing))}; it has {listed(map(repr, names))}.")
    image_column = names[0] if image_column is None else image_column
    if label_columns is None:
        label_columns = [name for name in names if name != image_column]
    if not label_columns or image_column in label_columns:
        raise DatasetError(
            f"{path}: expected a column of images and at least one other of labels, got {image_column!r} and "
            f"{listed(map(repr, label_columns)) or 'none'}."
        )
    return image_column, list(label_columns)


def _read_labels(
    path: Path, names: list[str], labels: dict[str, list[str]], separator: str | None
) -> tuple[NDArray[Any], list[str]]:
    if len(labels) > 1:
        return _read_indicator(path, names, labels), list(labels)
    (cells,) = labels.values()
    if separator is None:
        refuse(path, "images without a class", [name for name, cell in zip(names, cells, strict=True) if not cell])
        classes = _as_integers(np.array(cells))
        return classes, [str(name) for name in np.unique(classes)]
    indicator, tags = tag_indicator(cells, None if separator == " " else separator)
    if not tags:
        raise DatasetError(f"{path}: none of its {len(names)} rows has a tag.")
    return indicator, tags


def _as_integers(cells: NDArray[np.str_]) -> NDArray[Any]:
    """As integers if all cells are written as such, without a sign of plus or zeros in front that would be lost."""
    try:
        numbers = cells.astype(np.int64)
    except (ValueError, OverflowError):
        return cells
    return numbers if np.array_equal(numbers.astype(str), cells) else cells


def _read_indicator(path: Path, names: list[str], labels: dict[str, list[str]]) -> NDArray[np.int64]:
    for column, cells in labels.items():
        wrong = [(name, cell) for name, cell in zip(names, cells, strict=True) if cell.lower() not in _TRUTH]
        if wrong:
            name, cell = wrong[0]
            raise DatasetError(
                f"{path}: column {column!r} must hold 0 or 1 in every row, got {cell!r} for {name!r} and "
                f"{len(wrong) - 1} more. Name the columns that are labels in label_columns."
            )
    return np.column_stack([[_TRUTH[cell.lower()] for cell in cells] for cells in labels.values()]).astype(np.int64)


def _tag_cells(
    names: list[str], y: Any, label_names: ArrayLike | None, threshold: float | ArrayLike | None, separator: str
) -> list[str]:
    if label_names is None:
        label_names = getattr(y, "columns", None)
    if label_names is None:
        raise ValueError("label_names must be given, for y has no columns that name its labels.")
    tags = np.array([str(name) for name in np.asarray(label_names)], dtype=object)
    indicator, _ = check_indicator(names, y if threshold is None else _reaching(y, threshold))
    if len(tags) != indicator.shape[1]:
        raise ValueError(f"label_names must name the {indicator.shape[1]} labels of y, got {len(tags)} names.")
    if unfit := [tag for tag in tags if separator in tag or tag != tag.strip() or not tag]:
        raise ValueError(
            f"label_names has {len(unfit)} that would be read back as others with the separator {separator!r}: "
            f"{listed(map(repr, unfit))}."
        )
    return [separator.join(tags[row == 1]) for row in indicator]


def _reaching(y: Any, threshold: float | ArrayLike) -> NDArray[np.bool_]:
    probabilities = np.asarray(y.toarray() if sparse.issparse(y) else y, dtype=np.float64)
    thresholds = np.asarray(threshold, dtype=np.float64)
    if thresholds.ndim and thresholds.shape != probabilities.shape[1:]:
        raise ValueError(
            f"threshold must be one number, or one for each of the {probabilities.shape[1]} labels, got an array of "
            f"shape {thresholds.shape}."
        )
    if not np.all((probabilities >= 0) & (probabilities <= 1)):
        raise ValueError("With a threshold, y must hold probabilities between 0 and 1.")
    return probabilities >= thresholds


def _write_rows(path: Path, rows: Sequence[tuple[str, ...]]) -> None:
    with written_whole(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
