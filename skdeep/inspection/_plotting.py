"""What the displays share: matplotlib once it is needed, colours, stretches of phases and tables of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

# of Okabe and Ito, "Color universal design", 2008: told apart by colour-blind eyes too
BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
_SHADE = "#F1F1F1"
_NARROW = 0.09  # share of the width below which the text of a stretch stands upright
WHITE = 255


class Stretch(NamedTuple):
    """Neighbouring epochs or steps that belong together.

    Attributes
    ----------
    first, last : int
    text : str
        Written above them.
    """

    first: int
    last: int
    text: str


def pyplot(caller: str) -> Any:
    """Import ``matplotlib.pyplot``, or raise ``ImportError`` with the remedy."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f"{caller} needs matplotlib. Install it with: pip install 'skdeep[plot]'") from error
    return plt


def one_axes(display: object, ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """The axes to plot on: those given, or new ones on a figure of this width and height in inches."""
    plt = pyplot(f"{type(display).__name__}.plot")
    if ax is not None:
        return ax.get_figure(), ax  # type: ignore[return-value]
    return plt.subplots(figsize=size, layout="constrained")


def grid_axes(display: object, ax: Any, shape: tuple[int, int], size: tuple[float, float]) -> tuple[Figure, Any]:
    """Rows and columns of axes: those given, or new ones.

    Returns
    -------
    figure : Figure
    axes : ndarray of Axes of this shape

    Raises
    ------
    ValueError
        If other than so many axes are given.
    """
    plt = pyplot(f"{type(display).__name__}.plot")
    if ax is None:
        figure, axes = plt.subplots(*shape, figsize=size, layout="constrained", squeeze=False)
        return figure, axes
    axes = np.asarray(ax, dtype=object).ravel()
    if len(axes) != shape[0] * shape[1]:
        raise ValueError(
            f"The 'ax' parameter of {type(display).__name__}.plot must hold {shape[0] * shape[1]} axes "
            f"({shape[0]} x {shape[1]}), or be None. Got {len(axes)} instead."
        )
    return axes[0].get_figure(), axes.reshape(shape)


def picture_axes(display: object, ax: Any, n_pictures: int, n_columns: int | None) -> tuple[Figure, Any]:
    """Axes for pictures: those given, or a grid as square as it can be unless the number of columns is given.

    Returns
    -------
    figure : Figure
    axes : ndarray of Axes of shape (n_pictures,)

    Raises
    ------
    ValueError
        If another number of axes is given.
    """
    columns = min(n_pictures, n_columns or int(np.ceil(np.sqrt(n_pictures))))
    shape = (1, n_pictures) if ax is not None else (-(-n_pictures // columns), columns)
    figure, axes = grid_axes(display, ax, shape, (max(3.2, 2.1 * shape[1]), 0.6 + 2.45 * shape[0]))
    for spare in axes.ravel()[n_pictures:]:
        spare.set_axis_off()
    return figure, axes.ravel()[:n_pictures]


def channels_last(pixels: torch.Tensor) -> NDArray[Any]:
    """A picture as matplotlib takes it."""
    return pixels.permute(1, 2, 0).numpy()


def show_picture(axes: Axes, picture: NDArray[Any]) -> AxesImage:
    """Show a picture in its true colours, whichever values it has."""
    n_channels = picture.shape[-1]
    shown = picture[..., :3] if n_channels >= 3 else picture[..., 0]
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    white = WHITE if picture.dtype == np.uint8 else 1
    return axes.imshow(np.clip(shown, 0, white), cmap="gray", vmin=0, vmax=white)


def channels_note(picture: NDArray[Any]) -> str:
    """What a title says of channels that are not shown."""
    n_channels = picture.shape[-1]
    if n_channels in {1, 3}:
        return ""
    return f", {'first channel' if n_channels == 2 else 'first 3 channels'} of {n_channels}"


def tidy(ax: Axes) -> None:
    """Leave off what carries no value: two of the four sides; and draw faint lines to read along."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.3)
    ax.set_axisbelow(True)


def legend_below(ax: Axes, handles: Sequence[Any]) -> None:
    """A legend beneath the axes, where it covers no line."""
    ax.legend(
        handles=handles, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.15), columnspacing=1.2
    )


def phase_text(train: Any, image_size: Any) -> str:
    """What stands above a phase: the layers that learn, and the pictures' height."""
    learning = f"{train} groups" if not isinstance(train, str) and train != 1 else str(train)
    if not isinstance(train, str) and train == 1:
        learning = "head"
    side = image_size[0] if isinstance(image_size, tuple | list) else image_size
    return learning if side is None or not np.isfinite(side) else f"{learning}\n{int(side)} px"


def shade(axes: Sequence[Axes], stretches: Sequence[Stretch]) -> list[Text]:
    """Shade every other stretch on all axes, and write the texts above the first of them."""
    if not stretches:
        return []
    whole = stretches[-1].last - stretches[0].first + 1
    narrow = [stretch.last - stretch.first + 1 < _NARROW * whole for stretch in stretches]
    for ax in axes:
        ax.set_xlim(stretches[0].first - 0.5, stretches[-1].last + 0.5)
        for stretch in stretches[1::2]:
            ax.axvspan(stretch.first - 0.5, stretch.last + 0.5, color=_SHADE, linewidth=0, zorder=0)
    return [
        axes[0].annotate(
            stretch.text.replace("\n", ", ") if upright else stretch.text,
            ((stretch.first + stretch.last) / 2, 1),
            xytext=(0, 4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="bottom",
            rotation=90 if upright else 0,
            fontsize=9,
        )
        for stretch, upright in zip(stretches, narrow, strict=True)
    ]


def write_cells(ax: Axes, image: AxesImage, texts: NDArray[Any], *, fontsize: float) -> dict[tuple[int, int], Text]:
    """Write texts into the cells of an image, dark on light and light on dark; masked cells are left out."""
    values: Any = np.ma.asarray(image.get_array())
    colours: Any = image.cmap(image.norm(values))
    dark = colours[..., :3] @ np.array([0.299, 0.587, 0.114]) < 0.5
    return {
        (row, column): ax.text(
            column,
            row,
            texts[row, column],
            ha="center",
            va="center",
            fontsize=fontsize,
            color="white" if dark[row, column] else "black",
        )
        for row, column in np.argwhere(~np.ma.getmaskarray(values)).tolist()
    }


def share_text(share: float) -> str:
    """A share in two digits, no nought in front: ``.07``. ``0`` and ``1`` are exact, ``.00`` and ``1.0`` not."""
    if not np.isfinite(share):
        return "-"
    if share in {0, 1}:
        return f"{share:g}"
    return "1.0" if share >= 0.995 else f"{share:.2f}".removeprefix("0")


def count_text(count: float) -> str:
    """A count in at most four letters: ``997``, ``38k``."""
    if count < 10_000:
        return f"{count:g}"
    return f"{count / 1e3:.0f}k" if count < 999_500 else f"{count / 1e6:.0f}M"
