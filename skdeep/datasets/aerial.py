"""A generator of aerial scenes in the manner of Planet's chips of the Amazon."""

from __future__ import annotations

import csv
import os
from numbers import Integral
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from skdeep.datasets._canvas import Canvas
from skdeep.datasets._frames import framed
from skdeep.datasets._scene_tags import TAGS, draw_content, indicator_row, misread
from skdeep.datasets._scenery import paint_scene
from skdeep.datasets.planet import HEADER, IMAGE_FOLDER, LABEL_FILE, load_planet
from skdeep.exceptions import DatasetError

Scene = tuple[NDArray[np.uint8], frozenset[str]]


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "image_size": [Interval(Integral, 16, 1024, closed="both")],
        "random_state": ["random_state"],
        "folder": [str, os.PathLike, None],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_aerial_scenes(
    n_samples: int = 100,
    *,
    image_size: int = 64,
    random_state: int | np.random.RandomState | None = None,
    folder: str | os.PathLike[str] | None = None,
    as_frame: bool = False,
) -> Bunch:
    """Draw aerial scenes with the tags of Kaggle's Planet competition.

    Each scene has one kind of weather (clear, partly_cloudy, haze or cloudy) and, unless it is cloudy, tags of the
    ground: primary (forest) in about 93 %, agriculture 30 %, road 20 %, water 18 %, cultivation 11 %, habitation 9 %.
    These, and how tags go together, follow the counts in Planet's 40,479 labels. The six rarest (artisinal_mine,
    blooming, blow_down, conventional_mine, selective_logging, slash_burn: 0.25 to 0.9 % there) are raised to about 2 %,
    so that a set of 600 scenes has a few of each. As with human labels, one in twenty-five of the ground's tags other
    than primary is missing, and about as many are there by mistake.

    Tags share their colours, and light, haze and noise vary from scene to scene: tags are told by shape and texture
    rather than by colour.

    Parameters
    ----------
    n_samples : int, default=100
    image_size : int, default=64
        Pixels a side, from 16 to 1024. The same scene is drawn at any size.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same scenes again. Scene ``i`` depends on it and on ``i`` only, so that a larger set begins
        with the smaller one.
    folder : str or path-like, default=None
        Where to write the scenes as ``train_v2.csv`` and ``train-jpg/train_0.jpg``, ``train_1.jpg``, ..., instead of
        holding them in memory.
    as_frame : bool, default=False
        Whether ``target`` is a DataFrame, whose columns tell estimators, displays and saved models the names of the
        labels.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        If ``folder`` is given, what :func:`load_planet` reads from it: without the tags that no scene has. Else a
        dictionary-like object, with the following attributes.

        data : ndarray of uint8 of shape (n_samples, image_size, image_size, 3)
            RGB images.
        target : ndarray or DataFrame of int64 of shape (n_samples, 17)
            The label indicator.
        target_names : list of str
            The tags in alphabetical order.
        DESCR : str
            What the data set is, in a sentence.

    Raises
    ------
    DatasetError
        If ``folder`` already holds such a set.

    See Also
    --------
    load_planet : Load the real chips.

    Examples
    --------
    >>> from skdeep.datasets import make_aerial_scenes
    >>> scenes = make_aerial_scenes(20, random_state=0)
    >>> scenes.data.shape, scenes.target.shape
    ((20, 64, 64, 3), (20, 17))
    >>> weather = [scenes.target_names.index(tag) for tag in ("clear", "cloudy", "haze", "partly_cloudy")]
    >>> bool((scenes.target[:, weather].sum(axis=1) == 1).all())
    True
    """
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    if folder is not None:
        return _write_scenes(Path(folder), n_samples, image_size, seed, as_frame=as_frame)
    data = np.empty((n_samples, image_size, image_size, 3), dtype=np.uint8)
    target = np.empty((n_samples, len(TAGS)), dtype=np.int64)
    for i in range(n_samples):
        data[i], tags = _draw_scene(seed, i, image_size)
        target[i] = indicator_row(tags)
    return Bunch(
        data=data,
        target=framed(target, TAGS, as_frame=as_frame),
        target_names=list(TAGS),
        DESCR=(
            f"Drawn aerial scenes: {n_samples} samples of {image_size} x {image_size} pixels, {len(TAGS)} tags, "
            f"{target.sum(axis=1).mean():.3f} tags a sample."
        ),
    )


def _draw_scene(seed: int, index: int, image_size: int) -> Scene:
    """Draw scene ``index``: its pixels and its tags."""
    for_tags, for_canvas = np.random.SeedSequence(seed, spawn_key=(index,)).spawn(2)
    rng = np.random.default_rng(for_tags)
    content = draw_content(rng)
    return paint_scene(Canvas(image_size, for_canvas), content), misread(content, rng)


def _write_scenes(folder: Path, n_samples: int, image_size: int, seed: int, *, as_frame: bool) -> Bunch:
    images = folder / IMAGE_FOLDER
    if (folder / LABEL_FILE).exists() or images.exists():
        raise DatasetError(
            f"{folder} already holds a {LABEL_FILE} or {IMAGE_FOLDER}, which would be overwritten. Pass a new folder, "
            "or remove them first."
        )
    images.mkdir(parents=True)
    rows = []
    for i in range(n_samples):
        pixels, tags = _draw_scene(seed, i, image_size)
        Image.fromarray(pixels).save(images / f"train_{i}.jpg", quality=92)
        rows.append((f"train_{i}", " ".join(sorted(tags))))
    # The labels come last: a folder that has them is whole.
    with (folder / LABEL_FILE).open("x", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])
    return load_planet(folder, as_frame=as_frame)
