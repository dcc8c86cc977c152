"""Satellite chips and their tags in the layout of Kaggle's Planet competition."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skdeep.datasets._frames import framed
from skdeep.datasets._label_rows import check_names, image_paths, read_columns, tag_indicator
from skdeep.exceptions import DatasetError

LABEL_FILE = "train_v2.csv"
IMAGE_FOLDER = "train-jpg"
HEADER = ["image_name", "tags"]


@validate_params({"folder": [str, os.PathLike], "as_frame": ["boolean"]}, prefer_skip_nested_validation=True)
def load_planet(folder: str | os.PathLike[str], *, as_frame: bool = False) -> Bunch:
    """Load the paths and tags of satellite chips in the layout of Kaggle's Planet competition.

    The folder holds ``train_v2.csv`` with the columns ``image_name,tags``, and an image ``train-jpg/NAME.jpg`` for each
    name. Images that no row names are left out. No pixel is read here.

    Parameters
    ----------
    folder : str or path-like
    as_frame : bool, default=False
        Whether ``target`` is a DataFrame, whose columns tell estimators, displays and saved models the names of the
        labels.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of str of shape (n_samples,)
            The paths of the images, in the order of the label file.
        target : ndarray or DataFrame of int64 of shape (n_samples, n_tags)
            The label indicator. A tag that a row names twice counts once; a row without tags is all zero.
        target_names : list of str
            The tags in alphabetical order: 17 in the competition's file.
        image_names : ndarray of str of shape (n_samples,)
            As they stand in the file.
        DESCR : str
            What the data set is, in a sentence.

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
    labels = load_planet_labels(folder / LABEL_FILE, as_frame=as_frame)
    labels.data = image_paths(folder / IMAGE_FOLDER, labels.image_names, ".jpg", LABEL_FILE)
    return labels


@validate_params({"path": [str, os.PathLike], "as_frame": ["boolean"]}, prefer_skip_nested_validation=True)
def load_planet_labels(path: str | os.PathLike[str], *, as_frame: bool = False) -> Bunch:
    r"""Load the label file of Kaggle's Planet competition, without the images.

    Parameters
    ----------
    path : str or path-like
        A CSV file with the columns ``image_name,tags``; tags are separated by spaces, and a row may have none.
    as_frame : bool, default=False
        As in :func:`load_planet`.

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
    names, tags = read_columns(Path(path), HEADER).values()
    check_names(path, names)
    target, target_names = tag_indicator(tags)
    if not target_names:
        raise DatasetError(f"{path}: none of its {len(names)} rows has a tag.")
    return Bunch(
        target=framed(target, target_names, as_frame=as_frame),
        target_names=target_names,
        image_names=np.array(names),
        DESCR=(
            f"Satellite chips labelled in {path}: {len(target)} samples, {len(target_names)} tags, "
            f"{target.sum(axis=1).mean():.3f} tags a sample."
        ),
    )
