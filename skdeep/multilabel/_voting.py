"""How the members of an ensemble vote on labels."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skdeep.multilabel._base import DecidesByProbability, ProblemTransformation, has_method
from skdeep.multilabel._label_scores import label_scores


class VotingEnsemble(DecidesByProbability, ProblemTransformation):
    """Base of the ensembles whose members each vote on all labels, or on some.

    A vote is a member's probability of the label, or its prediction; the probability that the ensemble gives is the
    mean of the votes on the label.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "voting": [StrOptions({"auto", "soft", "hard"})],
    }

    voting: str
    n_jobs: int | None
    estimators_: list[Any]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of each label: the mean of the votes on it.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        check_is_fitted(self, "estimators_")
        soft = self._votes_softly()
        ballots = Parallel(n_jobs=self.n_jobs)(
            delayed(vote)(member, X, len(labels), soft)
            for member, labels in zip(self.estimators_, self._labels_voted_on(), strict=True)
        )
        votes = np.zeros((len(ballots[0]), len(self.classes_)))
        voters = np.zeros(len(self.classes_))
        for labels, ballot in zip(self._labels_voted_on(), ballots, strict=True):
            votes[:, labels] += ballot
            voters[labels] += 1
        return np.minimum(votes / voters, 1)  # a sum of probabilities may round up

    def _check_voting(self) -> None:
        if self.voting == "soft" and not hasattr(self.estimator, "predict_proba"):
            raise ValueError(f"voting='soft' needs a base with predict_proba, which {self.estimator!r} lacks.")

    def _votes_softly(self) -> bool:
        return self.voting != "hard" and has_method(self, "predict_proba")

    def _labels_voted_on(self) -> list[NDArray[np.intp]]:
        """The positions of the labels that each member votes on."""
        return [np.arange(len(self.classes_))] * len(self.estimators_)


def vote(member: Any, X: Any, n_labels: int, soft: bool) -> NDArray[Any]:
    """Votes of one member, of shape (n_samples, n_labels): its probabilities, or its predictions."""
    if soft:
        return label_scores(member, X, n_labels=n_labels, method="predict_proba")
    return np.reshape(member.predict(X), (-1, n_labels))
