"""Which labels come together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import MultiLabelBinarizer

from skdeep._text import listed
from skdeep._validation import check_indicator
from skdeep.inspection._answers import check_names
from skdeep.inspection._plotting import count_text, one_axes, pyplot, share_text, write_cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LabelCooccurrenceDisplay:
    """How many rows have both of two labels, or how often the one has the other beside it.

    Use :meth:`from_indicator` or :meth:`from_labels`; the constructor takes what they count.

    Parameters
    ----------
    counts : ndarray of int of shape (n_labels, n_labels)
        Rows that have both labels; on the diagonal, rows that have the label.
    label_names : sequence of str, default=None
        None is ``"y0", "y1", ...``.
    conditional : bool, default=False
        Whether the cells say P(column | row): of the rows that have the label on the left, the share that has the one
        below. The diagonal, which would be 1, is left empty; a label that never occurs has no shares. False shows
        counts, whose colours go by their square root.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    image_ : matplotlib AxesImage
    texts_ : dict of (int, int) to matplotlib Text

    Examples
    --------
    >>> from skdeep.inspection import LabelCooccurrenceDisplay
    >>> display = LabelCooccurrenceDisplay.from_labels([["road", "town"], ["road"]], conditional=True)
    >>> {cell: text.get_text() for cell, text in display.texts_.items()}
    {(0, 1): '.50', (1, 0): '1'}
    """

    def __init__(
        self, counts: NDArray[Any], *, label_names: Sequence[str] | None = None, conditional: bool = False
    ) -> None:
        self.counts = counts
        self.label_names = label_names
        self.conditional = conditional

    @classmethod
    def from_indicator(
        cls,
        y: Any,
        *,
        label_names: Sequence[str] | None = None,
        conditional: bool = False,
        ax: Axes | None = None,
    ) -> Self:
        """Count in an indicator.

        Parameters
        ----------
        y : indicator of shape (n_samples, n_labels)
            Dense, sparse or DataFrame.
        label_names : sequence of str, default=None
            None takes the columns of a DataFrame.
        conditional : bool, default=False
            As in the class.
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : LabelCooccurrenceDisplay

        Raises
        ------
        ValueError
            If ``y`` is no indicator, or there is not one name for each label.
        """
        pyplot(f"{cls.__name__}.from_indicator")
        indicator, found = check_indicator(y, y)
        names = check_names(label_names, found)
        # of floats, which BLAS multiplies; exact up to 2 ** 53
        table = indicator.astype(np.float64)
        counts = (table.T @ table).astype(np.int64)
        return cls(counts, label_names=names, conditional=conditional).plot(ax=ax)

    @classmethod
    def from_labels(
        cls,
        y: Iterable[Iterable[str]],
        label_names: Sequence[str] | None = None,
        *,
        conditional: bool = False,
        ax: Axes | None = None,
    ) -> Self:
        """Count in rows of label names.

        Parameters
        ----------
        y : iterable of iterable of str
            The labels of each row.
        label_names : sequence of str, default=None
            All labels, in the order that is shown. None: those that occur, in alphabetical order.
        conditional : bool, default=False
            As in the class.
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : LabelCooccurrenceDisplay

        Raises
        ------
        ValueError
            If a row is a plain string, or has a label that ``label_names`` lacks, or there is no label.
        """
        pyplot(f"{cls.__name__}.from_labels")
        rows = [labels if isinstance(labels, str) else {str(label) for label in labels} for labels in y]
        if plain := [row for row, labels in enumerate(rows) if isinstance(labels, str)]:
            raise ValueError(
                f"y must hold collections of labels, but row {plain[0]} is the string {rows[plain[0]]!r}; split it."
            )
        found = sorted(set().union(*rows))
        names = found if label_names is None else [str(name) for name in label_names]
        if unknown := [name for name in found if name not in names]:
            raise ValueError(f"y has labels that label_names lacks: {listed(unknown)}.")
        if not names:
            raise ValueError(f"y must have at least one label, got none in {len(rows)} rows.")
        indicator = MultiLabelBinarizer(classes=names).fit_transform(rows)
        return cls.from_indicator(indicator, label_names=names, conditional=conditional, ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a figure, wide enough for all labels.

        Returns
        -------
        self : LabelCooccurrenceDisplay
        """
        n_labels = len(self.counts)
        side = max(3.2, 1.5 + 0.28 * n_labels)
        self.figure_, self.ax_ = one_axes(self, ax, (side, side))
        from matplotlib.colors import Normalize, PowerNorm

        names = self.label_names if self.label_names is not None else [f"y{row}" for row in range(n_labels)]
        if self.conditional:
            cells = np.ma.masked_invalid(_conditional(self.counts))
            norm: Normalize = Normalize(0, 1)
            form: Callable[[float], str] = share_text
            names_left = [f"{name} ({count_text(n)})" for name, n in zip(names, np.diag(self.counts), strict=True)]
        else:
            cells = np.ma.masked_array(self.counts)
            norm, form = PowerNorm(0.5, vmin=0, vmax=max(1, self.counts.max())), count_text
            names_left = list(names)
        self.image_ = self.ax_.imshow(cells, cmap="Blues", norm=norm)
        texts = np.array([[form(cell) for cell in row] for row in cells.filled(0)], dtype=object)
        self.texts_ = write_cells(self.ax_, self.image_, texts, fontsize=6.5 if n_labels > 8 else 9)
        self.ax_.set_facecolor("0.93")
        self.ax_.set_xticks(range(n_labels), names, rotation=90)
        self.ax_.set_yticks(range(n_labels), names_left)
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)
        self.ax_.set_title("P(column | row)" if self.conditional else "rows with both labels", fontsize=10)
        return self


def _conditional(counts: NDArray[Any]) -> NDArray[np.float64]:
    """P(column | row), NaN on the diagonal and for labels that never occur."""
    n_rows = np.diag(counts)[:, None].astype(float)
    shares = np.divide(counts, n_rows, out=np.full(counts.shape, np.nan), where=n_rows > 0)
    np.fill_diagonal(shares, np.nan)
    return shares
