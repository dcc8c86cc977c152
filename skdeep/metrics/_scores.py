"""All measures at once."""

from __future__ import annotations

from typing import Any

from skdeep.metrics._checks import check_predictions, check_scores
from skdeep.metrics._labels import LABEL_MEASURES, count_outcomes
from skdeep.metrics._rankings import RANKING_MEASURES, ScoredLabels

LOSSES = frozenset({"hamming_loss", "one_error", "coverage", "ranking_loss", "is_error"})  # best at their lowest


def multilabel_scores(y_true: Any, y_pred: Any, y_score: Any = None) -> dict[str, float]:
    """All measures of the multi-label papers at once.

    Parameters
    ----------
    y_true : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        True labels, an indicator.
    y_pred : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        Predicted labels, an indicator.
    y_score : array-like of shape (n_samples, n_labels), default=None
        Probabilities or decision values. Without them, there are only the measures of the predicted labels.

    Returns
    -------
    scores : dict of str to float
        From the predicted labels:

        - ``hamming_loss``: share of wrong cells;
        - ``subset_accuracy``: share of rows without a wrong cell;
        - ``jaccard_samples`` (the papers' accuracy), ``precision_samples``, ``recall_samples``, ``f1_samples``,
          ``f2_samples``: example-based, mean over rows;
        - ``jaccard_micro``, ``precision_micro``, ``recall_micro``, ``f1_micro``, ``f2_micro``: over all cells;
        - ``jaccard_macro``, ``precision_macro``, ``recall_macro``, ``f1_macro``, ``f2_macro``: mean over the labels
          that are true or predicted at least once.

        From the scores:

        - ``one_error``, ``coverage``, ``is_error``: as the functions of these names;
        - ``ranking_loss``: share of pairs of a positive and a negative label in the wrong order, mean over rows;
        - ``average_precision``: example-based, mean over rows (label ranking average precision);
        - ``map_macro``: average precision of each label over the rows, mean over the labels that have a positive.

        ``hamming_loss``, ``one_error``, ``coverage``, ``is_error`` and ``ranking_loss`` are best at their lowest, the
        others at their highest. What counts where there is nothing to divide by stands in the table of
        :mod:`skdeep.metrics`; a mean over no label at all is NaN.

    Raises
    ------
    ValueError
        If an indicator holds anything but 0 and 1, or the shapes differ, or ``y_score`` is not finite.

    See Also
    --------
    multilabel_scorer : The same of an estimator, for ``cross_validate`` and ``GridSearchCV``.

    References
    ----------
    G. Madjarov, D. Kocev, D. Gjorgjevikj, S. Džeroski, "An extensive experimental comparison of methods for multi-label
    learning", Pattern Recognition 45(9), 2012, appendix A: all but F2, Jaccard over cells and labels, is-error and
    ``map_macro``.

    M.-L. Zhang, Z.-H. Zhou, "A review on multi-label learning algorithms", IEEE Transactions on Knowledge and Data
    Engineering 26(8), 2014, section 2.2.

    Examples
    --------
    >>> from skdeep.metrics import multilabel_scores
    >>> scores = multilabel_scores([[1, 0], [0, 1]], [[1, 0], [1, 1]], [[0.9, 0.2], [0.6, 0.8]])
    >>> scores["hamming_loss"], scores["ranking_loss"], scores["subset_accuracy"]
    (0.25, 0.0, 0.5)
    """
    outcomes = count_outcomes(*check_predictions(y_true, y_pred))
    scores = {name: measure(outcomes) for name, measure in LABEL_MEASURES.items()}
    if y_score is None:
        return scores
    scored = ScoredLabels(*check_scores(y_true, y_score))
    return scores | {name: measure(scored) for name, measure in RANKING_MEASURES.items()}
