"""Right and wrong decisions on each label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import multilabel_confusion_matrix
from sklearn.utils._param_validation import StrOptions, validate_params

from skdeep._validation import check_indicator
from skdeep.inspection._answers import check_names, names_of
from skdeep.inspection._plotting import count_text, one_axes, pyplot, share_text, write_cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

Normalize = Literal["true", "pred", "all"]

_TITLES = ("absent\nnot predicted", "absent\npredicted", "present\nnot predicted", "present\npredicted")
# which of the four share a sum of 1
_SUMMED = {"true": ((0, 1), (2, 3)), "pred": ((0, 2), (1, 3)), "all": ((0, 1, 2, 3),)}


class MultilabelConfusionDisplay:
    """For each label the four kinds of decisions: one row a label, errors in orange and the rest in blue.

    Use :meth:`from_estimator` or :meth:`from_predictions`; the constructor takes what they compute.

    Parameters
    ----------
    confusion : array-like of int of shape (n_labels, 2, 2)
        As :func:`sklearn.metrics.multilabel_confusion_matrix` gives it.
    label_names : sequence of str, default=None
        None is ``"y0", "y1", ...``.
    normalize : {"true", "pred", "all"} or None, default=None
        What the cells say. None: counts. ``"true"``: shares of the rows that have the label, or lack it; ``"pred"``: of
        those for which it was predicted, or not; ``"all"``: of all rows. The depth of the colours is always that of a
        share; for counts it is that of ``"true"``, so that a rare label's errors stand out as a frequent one's do.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    images_ : tuple of matplotlib AxesImage
        Of the right decisions, and of the wrong ones; both of shape (n_labels, 4), with what the other shows masked.
    texts_ : dict of (int, int) to matplotlib Text
        By label, and by position among tn, fp, fn, tp.

    Examples
    --------
    >>> from skdeep.inspection import MultilabelConfusionDisplay
    >>> display = MultilabelConfusionDisplay.from_predictions([[1, 0], [1, 1]], [[1, 0], [0, 1]])
    >>> [display.texts_[0, column].get_text() for column in range(4)]
    ['0', '0', '1', '1']
    """

    def __init__(
        self,
        confusion: ArrayLike,
        *,
        label_names: Sequence[str] | None = None,
        normalize: Normalize | None = None,
    ) -> None:
        self.confusion = confusion
        self.label_names = label_names
        self.normalize = normalize

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        label_names: Sequence[str] | None = None,
        normalize: Normalize | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Plot what a classifier predicts of X.

        Parameters
        ----------
        estimator : fitted multilabel classifier
        X : array-like
            As the classifier takes it.
        y : indicator of shape (n_samples, n_labels)
            Dense, sparse or DataFrame.
        label_names : sequence of str, default=None
            None takes the columns of a DataFrame, or the classifier's ``label_names_``.
        normalize : {"true", "pred", "all"} or None, default=None
            As in the class.
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : MultilabelConfusionDisplay

        Raises
        ------
        ValueError
            As in :meth:`from_predictions`.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        names = names_of(estimator, y) if label_names is None else label_names
        return cls.from_predictions(y, estimator.predict(X), label_names=names, normalize=normalize, ax=ax)

    @classmethod
    @validate_params(
        {"normalize": [StrOptions({"true", "pred", "all"}), None]},
        prefer_skip_nested_validation=True,
    )
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        label_names: Sequence[str] | None = None,
        normalize: Normalize | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Plot predictions beside the truth.

        Parameters
        ----------
        y_true, y_pred : indicator of shape (n_samples, n_labels)
            Dense, sparse or DataFrame; of one label, (n_samples,) will do.
        label_names : sequence of str, default=None
            None takes the columns of a DataFrame.
        normalize : {"true", "pred", "all"} or None, default=None
            As in the class.
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : MultilabelConfusionDisplay

        Raises
        ------
        ValueError
            If one of the two is no indicator, or they differ in shape.
        """
        pyplot(f"{cls.__name__}.from_predictions")
        true, found = check_indicator(y_pred, y_true)
        predicted, _ = check_indicator(true, y_pred)
        if predicted.shape != true.shape:
            raise ValueError(f"y_true has shape {true.shape}, so y_pred must have it too, got {predicted.shape}.")
        names = check_names(label_names, found)
        return cls(_confusion(true, predicted), label_names=names, normalize=normalize).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a figure, high enough for all labels.

        Returns
        -------
        self : MultilabelConfusionDisplay
        """
        counts = np.asarray(self.confusion).reshape(-1, 4)
        self.figure_, self.ax_ = one_axes(self, ax, (6.4, 1.1 + 0.27 * len(counts)))
        shares = _shares(counts, self.normalize or "true")
        shown = counts if self.normalize is None else shares
        form = count_text if self.normalize is None else share_text
        texts = np.array([[form(cell) for cell in row] for row in shown], dtype=object)
        wrong = np.zeros(counts.shape, dtype=bool)
        wrong[:, 1:3] = True
        # an undefined share has the colour of none
        ground = np.nan_to_num(shares)
        self.images_ = tuple(
            self.ax_.imshow(np.ma.masked_array(ground, mask), cmap=cmap, vmin=0, vmax=1, aspect="auto")
            for mask, cmap in ((wrong, "Blues"), (~wrong, "Oranges"))
        )
        self.texts_: dict[tuple[int, int], Text] = {}
        for image in self.images_:
            self.texts_ |= write_cells(self.ax_, image, texts, fontsize=9)
        names = self.label_names if self.label_names is not None else [f"y{row}" for row in range(len(counts))]
        self.ax_.set_xticks(range(4), _TITLES)
        self.ax_.set_yticks(range(len(counts)), names)
        self.ax_.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        self.ax_.spines[:].set_visible(False)
        for row in range(1, len(counts)):
            self.ax_.axhline(row - 0.5, color="white", linewidth=1.5)
        for column in range(1, 4):
            self.ax_.axvline(column - 0.5, color="white", linewidth=5 if column == 2 else 1.5)
        return self


def _confusion(true: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> NDArray[np.int64]:
    if true.shape[1] == 1:
        # scikit-learn takes one column for two classes
        return multilabel_confusion_matrix(true.ravel(), predicted.ravel(), labels=[1])
    return multilabel_confusion_matrix(true, predicted)


def _shares(counts: NDArray[Any], normalize: Normalize) -> NDArray[np.float64]:
    """Each cell's share; NaN where there is nothing to share."""
    shares = np.full(counts.shape, np.nan)
    for cells in _SUMMED[normalize]:
        total = counts[:, cells].sum(axis=1, keepdims=True)
        shares[:, cells] = np.divide(
            counts[:, cells], total, out=np.full((len(counts), len(cells)), np.nan), where=total > 0
        )
    return shares
