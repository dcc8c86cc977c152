"""Multi-label classifiers: problem transformations, adapted algorithms, and the way in for scikit-multilearn's own."""

from skdeep.multilabel._binary_relevance import BinaryRelevance
from skdeep.multilabel._classifier_chain import ClassifierChain
from skdeep.multilabel._label_powerset import LabelPowerset
from skdeep.multilabel._mlknn import MLkNN
from skdeep.multilabel._skmultilearn import SkMultilearnClassifier

__all__ = ["BinaryRelevance", "ClassifierChain", "LabelPowerset", "MLkNN", "SkMultilearnClassifier"]
