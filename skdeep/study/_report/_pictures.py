"""The pictures that a model is most wrong about, small enough to stand in the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skdeep.images import Geometry, Images, as_images
from skdeep.study._data import paths_of
from skdeep.study._report._answers import Answers

_SIDE = 160
_QUALITY = 80
_WHITE = 255


@dataclass(frozen=True)
class Label:
    """A label beneath a picture; wrong if it is true and not predicted, or predicted and not true."""

    text: str
    wrong: bool


@dataclass(frozen=True)
class Picture:
    """A picture, and what is written beneath it."""

    uri: str
    width: int
    height: int
    name: str
    true: list[Label]
    predicted: list[Label]
    loss: str

    @property
    def alt(self) -> str:
        """The same in words."""
        return f"{self.name}; true: {_words(self.true)}; predicted: {_words(self.predicted)}"


def most_wrong(answers: Answers, images: Any, n_images: int) -> list[Picture]:
    """The pictures of the rows with the highest log loss, the worst first.

    Raises
    ------
    ValueError
        If there are fewer images than the data set has rows.
    ImageError
        If one that is shown cannot be read.
    """
    losses = answers.log_loss
    worst = np.argsort(-losses, kind="stable")[:n_images]
    paths = paths_of(images)
    images = images if isinstance(images, Images) else as_images(images)
    if len(images) <= answers.rows.max():
        raise ValueError(
            f"The 'images' parameter must hold an image for each row of the data set, in its order: at least "
            f"{answers.rows.max() + 1}. Got {len(images)} instead."
        )
    return [
        Picture(
            *thumbnail(images, int(answers.rows[place])),
            Path(paths[answers.rows[place]]).name if paths else f"row {answers.rows[place]}",
            _labels(answers.names, answers.true[place], answers.predicted[place]),
            _labels(answers.names, answers.predicted[place], answers.true[place]),
            f"{losses[place]:.2f}",
        )
        for place in worst
    ]


def thumbnail(images: Images, row: int) -> tuple[str, int, int]:
    """A picture as the address of a JPEG file within the page, its width and its height."""
    pixels = images.pixels(row, Geometry((_SIDE, _SIDE), "pad", fill=(_WHITE,))).permute(1, 2, 0).numpy()
    if pixels.dtype != np.uint8:
        pixels = np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
    picture = Image.fromarray(pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0])
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}", picture.width, picture.height


def _words(labels: Sequence[Label]) -> str:
    return ", ".join(label.text for label in labels) or "none"


def _labels(names: Sequence[str], some: NDArray[np.bool_], other: NDArray[np.bool_]) -> list[Label]:
    return [Label(name, bool(wrong)) for name, holds, wrong in zip(names, some, some != other, strict=True) if holds]
