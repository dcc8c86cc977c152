"""Cross-validated studies: models compared on data sets, with statistics, pictures and a page that can be published."""

from skdeep.study._displays import CostDisplay, CriticalDifferenceDisplay, FoldScatterDisplay, LearningCurveDisplay
from skdeep.study._results import StudyResults
from skdeep.study._statistics import (
    FriedmanResult,
    NemenyiResult,
    ResampledTTest,
    average_ranks,
    corrected_resampled_ttest,
    friedman_test,
    nemenyi_test,
    wilcoxon_holm,
)
from skdeep.study._study import Study

__all__ = [
    "CostDisplay",
    "CriticalDifferenceDisplay",
    "FoldScatterDisplay",
    "FriedmanResult",
    "LearningCurveDisplay",
    "NemenyiResult",
    "ResampledTTest",
    "Study",
    "StudyResults",
    "average_ranks",
    "corrected_resampled_ttest",
    "friedman_test",
    "nemenyi_test",
    "wilcoxon_holm",
]
