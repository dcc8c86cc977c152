"""Multi-label classifiers: problem transformations, adapted algorithms, and the way in for scikit-multilearn's own."""

from skdeep.multilabel._bagging import EnsembleOfClassifierChains, MultilabelBaggingClassifier
from skdeep.multilabel._binary_relevance import BinaryRelevance
from skdeep.multilabel._brknn import BRkNN
from skdeep.multilabel._calibration import MultilabelCalibratedClassifierCV
from skdeep.multilabel._classifier_chain import ClassifierChain
from skdeep.multilabel._homer import HOMER
from skdeep.multilabel._iblr import IBLRML
from skdeep.multilabel._label_powerset import LabelPowerset
from skdeep.multilabel._label_ranking import CalibratedLabelRanking
from skdeep.multilabel._mixed_vote import MultilabelVotingClassifier
from skdeep.multilabel._mlknn import MLkNN
from skdeep.multilabel._pruned_sets import EnsembleOfPrunedSets, PrunedSets
from skdeep.multilabel._rakel import RAkEL
from skdeep.multilabel._skmultilearn import SkMultilearnClassifier
from skdeep.multilabel._stacking import StackedBinaryRelevance
from skdeep.multilabel._threshold_search import optimal_thresholds
from skdeep.multilabel._thresholds import MultilabelThresholdCV

__all__ = [
    "HOMER",
    "IBLRML",
    "BRkNN",
    "BinaryRelevance",
    "CalibratedLabelRanking",
    "ClassifierChain",
    "EnsembleOfClassifierChains",
    "EnsembleOfPrunedSets",
    "LabelPowerset",
    "MLkNN",
    "MultilabelBaggingClassifier",
    "MultilabelCalibratedClassifierCV",
    "MultilabelThresholdCV",
    "MultilabelVotingClassifier",
    "PrunedSets",
    "RAkEL",
    "SkMultilearnClassifier",
    "StackedBinaryRelevance",
    "optimal_thresholds",
]
