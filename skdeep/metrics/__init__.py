"""Multi-label measures and scorers that scikit-learn lacks or defines otherwise, and all measures of a study at once.

Labels and predictions are indicators (dense, sparse or DataFrame, also one label); scores are arrays of the same shape,
higher for labels that are more likely on.

Where a measure would divide by zero, every function here follows one rule, for rows that of the Mulan library.
scikit-learn's default differs where neither a true label nor a prediction is there, and where a label has no positive:

==================================  ==========================================  ======================  ===============
case                                measure                                     here                    scikit-learn
==================================  ==========================================  ======================  ===============
nothing predicted, something true   precision, recall, F-beta, Jaccard          0                       0
nothing true, something predicted   precision, recall, F-beta, Jaccard          0                       0
row not true nor predicted          the same, mean over rows ("samples")        1                       0, warns
no cell true nor predicted          the same, all cells together ("micro")      1                       0, warns
label not true nor predicted        the same, mean over labels ("macro")        left out; NaN if all    0, warns
label without a positive row        ``map_macro``                               left out; NaN if all    0, warns
row without a positive label        one-error, coverage, ranking loss,          0                       0
                                    is-error
row without a positive label        average precision (of a row)                1                       1
row with all labels                 one-error, ranking loss, is-error           0                       0
row with all labels                 average precision (of a row)                1                       1
==================================  ==========================================  ======================  ===============

A row without a positive label has nothing to rank, so it counts as ranked without fault. Ties count against the
classifier, as in scikit-learn: of labels with equal scores the negative ones come first. Only :func:`one_error`, which
is about one label, takes the expectation over the tied labels instead.
"""

from skdeep.metrics._labels import (
    fbeta_at_threshold,
    multilabel_fbeta,
    multilabel_jaccard,
    multilabel_precision,
    multilabel_recall,
)
from skdeep.metrics._rankings import coverage, is_error, one_error
from skdeep.metrics._scorers import get_scorer, get_scorer_names, multilabel_scorer
from skdeep.metrics._scores import multilabel_scores

__all__ = [
    "coverage",
    "fbeta_at_threshold",
    "get_scorer",
    "get_scorer_names",
    "is_error",
    "multilabel_fbeta",
    "multilabel_jaccard",
    "multilabel_precision",
    "multilabel_recall",
    "multilabel_scorer",
    "multilabel_scores",
    "one_error",
]
