"""How training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skdeep._text import listed
from skdeep.inspection._answers import last_step
from skdeep.inspection._plotting import BLUE, GREEN, VERMILION, Stretch, grid_axes, phase_text, pyplot, shade, tidy

if TYPE_CHECKING:
    import pandas as pd

_NEEDED = ("epoch", "train_loss")
_FEW = 60  # epochs up to which each is marked


class TrainingHistoryDisplay:
    """Losses, and the score if there is one, over the epochs of training; phases are shaded in turn.

    Use :meth:`from_estimator` or :meth:`from_history`; the constructor takes what they find.

    Parameters
    ----------
    epochs : array-like of int of shape (n_epochs,)
    train_loss : array-like of shape (n_epochs,)
    valid_loss : array-like of shape (n_epochs,), default=None
        NaN, like None, is not drawn.
    score : array-like of shape (n_epochs,), default=None
        Of the validation data; drawn below the losses.
    score_name : str, default="score"
    phases : sequence of (int, int, str), default=()
        First epoch, last epoch and text of each phase.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        One for the losses, and one for the score if there is one.
    ax_ : matplotlib Axes
        The first of them.
    lines_ : dict of str to matplotlib Line2D
        Keys among ``"train_loss"``, ``"valid_loss"`` and ``"score"``.
    phase_texts_ : list of matplotlib Text

    Examples
    --------
    >>> import pandas as pd
    >>> from skdeep.inspection import TrainingHistoryDisplay
    >>> history = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.6, 0.4], "valid_loss": [0.7, 0.5]})
    >>> display = TrainingHistoryDisplay.from_history(history)
    >>> sorted(display.lines_)
    ['train_loss', 'valid_loss']
    """

    def __init__(
        self,
        epochs: ArrayLike,
        train_loss: ArrayLike,
        valid_loss: ArrayLike | None = None,
        score: ArrayLike | None = None,
        *,
        score_name: str = "score",
        phases: Sequence[tuple[int, int, str]] = (),
    ) -> None:
        self.epochs = epochs
        self.train_loss = train_loss
        self.valid_loss = valid_loss
        self.score = score
        self.score_name = score_name
        self.phases = phases

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Plot how a classifier was trained.

        Parameters
        ----------
        estimator : fitted CNNClassifier or TabularClassifier, or a pipeline or search around one
        ax : Axes or array of Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : TrainingHistoryDisplay

        Raises
        ------
        NotFittedError
            If the classifier has no ``history_``.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        classifier = last_step(estimator)
        check_is_fitted(classifier, "history_")
        scoring = getattr(classifier, "scoring", None)
        return cls.from_history(classifier.history_, score_name=scoring if isinstance(scoring, str) else "score", ax=ax)

    @classmethod
    def from_history(cls, history: pd.DataFrame, *, score_name: str = "score", ax: Any = None) -> Self:
        """Plot a table of epochs.

        Parameters
        ----------
        history : DataFrame
            As ``history_`` of a fitted classifier: the columns ``epoch`` and ``train_loss``, and as far as they are
            there ``valid_loss``, ``score``, ``phase``, ``train`` and ``image_size``.
        score_name : str, default="score"
        ax : Axes or array of Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : TrainingHistoryDisplay

        Raises
        ------
        ValueError
            If a column that is needed is missing, or there is no epoch.
        """
        pyplot(f"{cls.__name__}.from_history")
        if missing := [name for name in _NEEDED if name not in history]:
            raise ValueError(
                f"A history must have the columns {listed(_NEEDED)}, got {listed(history.columns, 12)}: "
                f"{listed(missing)} missing."
            )
        if len(history) == 0:
            raise ValueError("A history must have at least one epoch, got none.")
        columns = {name: history[name].to_numpy(float) for name in ("valid_loss", "score") if name in history}
        display = cls(
            history["epoch"].to_numpy(),
            history["train_loss"].to_numpy(float),
            columns.get("valid_loss"),
            columns.get("score"),
            score_name=score_name,
            phases=_stretches(history),
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : Axes or array of Axes, default=None
            One axes; two, if there is a score. None makes a figure.

        Returns
        -------
        self : TrainingHistoryDisplay

        Raises
        ------
        ValueError
            If ``ax`` holds another number of axes.
        """
        score, valid_loss = _values(self.score), _values(self.valid_loss)
        n_panels = 1 if score is None else 2
        self.figure_, axes = grid_axes(self, ax, (n_panels, 1), (6.4, 3.4 if n_panels == 1 else 5.2))
        self.axes_ = axes.ravel()
        self.ax_ = self.axes_[0]
        marker = "o" if np.size(self.epochs) <= _FEW else ""
        style: dict[str, Any] = {"marker": marker, "markersize": 3, "linewidth": 1.8}
        self.lines_ = {}
        (self.lines_["train_loss"],) = self.ax_.plot(
            self.epochs, self.train_loss, color=BLUE, label="training", linestyle="--", **style
        )
        if valid_loss is not None:
            (self.lines_["valid_loss"],) = self.ax_.plot(
                self.epochs, valid_loss, color=VERMILION, label="validation", **style
            )
        self.ax_.legend(framealpha=0.85, edgecolor="none")
        self.ax_.set_ylabel("loss")
        if score is not None:
            (self.lines_["score"],) = self.axes_[1].plot(self.epochs, score, color=GREEN, **style)
            self.axes_[1].set_ylabel(self.score_name)
            self.ax_.tick_params(labelbottom=False)
        self.axes_[-1].set_xlabel("epoch")
        for panel in self.axes_:
            tidy(panel)
            panel.xaxis.get_major_locator().set_params(integer=True)
        self.phase_texts_ = shade(self.axes_, [Stretch(*phase) for phase in self.phases])
        return self


def _values(values: ArrayLike | None) -> NDArray[np.float64] | None:
    """None where there is nothing to draw."""
    if values is None or np.isnan(np.asarray(values, dtype=float)).all():
        return None
    return np.asarray(values, dtype=float)


def _stretches(history: pd.DataFrame) -> list[Stretch]:
    if "phase" not in history:
        return []
    stretches = []
    # what partial_fit adds has phase 0, whenever it comes
    for _, epochs in history.groupby((history["phase"] != history["phase"].shift()).cumsum()):
        start = epochs.iloc[0]
        text = phase_text(start.get("train", f"phase {start['phase']}"), start.get("image_size"))
        stretches.append(Stretch(int(start["epoch"]), int(epochs["epoch"].iloc[-1]), text))
    return stretches
