"""Losses on logits; each gives one value a row, so that rows can be weighted."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn import functional as F

from skdeep._text import listed
from skdeep._validation import TargetKind, Targets

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
ClassWeight = str | Mapping[Any, float] | Sequence[Mapping[int, float]]


class Criterion(nn.Module):
    """A loss of logits and targets that gives one value a row.

    Attributes
    ----------
    kinds : tuple of {"binary", "multiclass", "multilabel"}
        The targets that it suits.
    accepts_soft : bool
        Whether targets may be shares between 0 and 1, as mixed pictures have them.
    """

    kinds: ClassVar[tuple[TargetKind, ...]] = ("binary", "multiclass", "multilabel")
    accepts_soft: ClassVar[bool] = True

    @abstractmethod
    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Losses of shape (n_rows,)."""

    def prior(self, targets: NDArray[Any], weights: NDArray[np.float64], n_outputs: int) -> NDArray[np.float64] | None:
        """Logits to begin with, which answer every row as often as the targets do; None where the loss knows none.

        Half a row of each answer is added, so that what never occurs is unlikely and not impossible.

        Parameters
        ----------
        targets : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        weights : ndarray of shape (n_rows,)
        n_outputs : int

        Returns
        -------
        logits : ndarray of shape (n_outputs,) or None
        """
        return None


class LabelCriterion(Criterion):
    r"""A loss of yes-or-no decisions, averaged over the labels of a row.

    A subclass says what a label costs if it is there and if it is not. What a target :math:`t` between 0 and 1 costs
    is defined by linearity: :math:`t \ell_+ + (1 - t) \ell_-`.

    Attributes
    ----------
    label_smoothing : float
        A target t becomes t (1 - label_smoothing) + label_smoothing / 2.
    pos_weight : tensor of shape (n_labels,) or None
        Factors of the terms of positives, also of the part that smoothing gives to a negative: those of torch's
        ``BCEWithLogitsLoss``.
    side_weights : tensor of shape (2, n_labels) or None
        Factors of the losses of negatives, and of positives, after smoothing: as if the label's rows weighed so.
    """

    kinds = ("binary", "multilabel")
    pos_weight: torch.Tensor | None
    side_weights: torch.Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.label_smoothing = 0.0
        self.register_buffer("pos_weight", None)
        self.register_buffer("side_weights", None)

    @abstractmethod
    def sides(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What each label costs if it is there, and if it is not; both of the shape of the logits."""

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Losses of shape (n_rows,) for logits and targets of shape (n_rows, n_labels)."""
        positive, negative = self.sides(logits)
        if self.pos_weight is not None:
            positive = positive * self.pos_weight
        if half := self.label_smoothing / 2:
            positive, negative = (1 - half) * positive + half * negative, (1 - half) * negative + half * positive
        if self.side_weights is not None:
            negative, positive = negative * self.side_weights[0], positive * self.side_weights[1]
        return (targets * positive + (1 - targets) * negative).mean(dim=1)

    def prior(self, targets: NDArray[Any], weights: NDArray[np.float64], n_outputs: int) -> NDArray[np.float64]:
        """Log-odds of the labels, their sides weighing as in the loss."""
        sides = _totals(targets.reshape(-1, n_outputs), weights / weights.mean(), n_outputs)
        if self.side_weights is not None:
            sides = sides * self.side_weights.numpy()
        if self.pos_weight is not None:
            sides[1] *= self.pos_weight.numpy()
        return np.diff(np.log(sides + 0.5), axis=0)[0]


class ClassCriterion(Criterion):
    """A loss of one class among several.

    A subclass says what each class costs if it is the true one. Shares of classes cost the sum of their parts.

    Attributes
    ----------
    label_smoothing : float
        Share of a target that is divided equally among all classes.
    class_weights : tensor of shape (n_classes,) or None
        Factors of a row's loss by its true class: as if the rows weighed so. torch's ``CrossEntropyLoss`` differs under
        smoothing, where it also weighs the other classes' parts by their own weights.
    """

    kinds = ("multiclass",)
    class_weights: torch.Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.label_smoothing = 0.0
        self.register_buffer("class_weights", None)

    @abstractmethod
    def each(self, logits: torch.Tensor) -> torch.Tensor:
        """What each class costs if it is the true one, of the shape of the logits."""

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Losses of shape (n_rows,) for logits of shape (n_rows, n_classes) and class positions or shares."""
        losses = self.each(logits)
        if self.label_smoothing:
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * losses.mean(dim=1, keepdim=True)
        if self.class_weights is not None:
            losses = losses * self.class_weights
        if targets.ndim == 1:
            return losses.gather(1, targets[:, None])[:, 0]
        return (targets * losses).sum(dim=1)

    def prior(self, targets: NDArray[Any], weights: NDArray[np.float64], n_outputs: int) -> NDArray[np.float64]:
        """Logarithms of the classes' shares, their rows weighing as in the loss."""
        (totals,) = _totals(targets, weights / weights.mean(), n_outputs).T
        if self.class_weights is not None:
            totals = totals * self.class_weights.numpy()
        return np.log((totals + 0.5) / (totals + 0.5).sum())


class BinaryCrossEntropy(LabelCriterion):
    """Binary cross-entropy of logits."""

    def sides(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What each label costs if it is there, and if it is not."""
        return -F.logsigmoid(logits), -F.logsigmoid(-logits)


class Focal(LabelCriterion):
    r"""Focal loss: cross-entropy that cares less for what is already right.

    With :math:`p_t` the probability of what is true of a label, the label costs
    :math:`-\alpha_t (1 - p_t)^\gamma \log p_t`.

    Parameters
    ----------
    gamma : float, default=2.0
    alpha : float or None, default=None
        Weight of positives, that of negatives being 1 - alpha. None weighs both by 1: the 0.25 of the paper was found
        for boxes of which nearly all are background.

    References
    ----------
    Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object detection", ICCV, 2017: equation 5.
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None) -> None:
        super().__init__()
        self.gamma = _within("gamma", gamma, 0, math.inf)
        self.alpha = alpha if alpha is None else _within("alpha", alpha, 0, 1)

    def sides(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What each label costs if it is there, and if it is not."""
        log_there, log_absent = F.logsigmoid(logits), F.logsigmoid(-logits)
        positive = -log_there * torch.exp(self.gamma * log_absent)
        negative = -log_absent * torch.exp(self.gamma * log_there)
        return (positive, negative) if self.alpha is None else (self.alpha * positive, (1 - self.alpha) * negative)


class Asymmetric(LabelCriterion):
    r"""Asymmetric loss: focal loss that cares less for negatives than for positives, and not at all for easy ones.

    A label of probability :math:`p` that is there costs :math:`-(1 - p)^{\gamma_+} \log p`; one that is not costs
    :math:`-p_m^{\gamma_-} \log (1 - p_m)` with :math:`p_m = \max(p - m, 0)`.

    Parameters
    ----------
    gamma_neg : float, default=4.0
    gamma_pos : float, default=0.0
    margin : float, default=0.05
        The :math:`m` by which probabilities of negatives are shifted, below 1.

    References
    ----------
    Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter and Zelnik-Manor, "Asymmetric loss for multi-label
    classification", ICCV, 2021, arXiv:2009.14119: equations 4 to 6. The defaults are those that the authors train with
    (``train.py`` of Alibaba-MIIL/ASL; its class has ``gamma_pos=1``).
    """

    def __init__(self, gamma_neg: float = 4.0, gamma_pos: float = 0.0, margin: float = 0.05) -> None:
        super().__init__()
        self.gamma_neg = _within("gamma_neg", gamma_neg, 0, math.inf)
        self.gamma_pos = _within("gamma_pos", gamma_pos, 0, math.inf)
        self.margin = _within("margin", margin, 0, 1)

    def sides(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What each label costs if it is there, and if it is not."""
        log_there, log_absent = F.logsigmoid(logits), F.logsigmoid(-logits)
        positive = -log_there * torch.exp(self.gamma_pos * log_absent)
        shifted = torch.sigmoid(logits) - self.margin
        log_not_shifted = log_absent
        if self.margin:
            log_not_shifted = torch.logaddexp(log_absent, log_absent.new_tensor(self.margin).log()).clamp(max=0)
        return positive, -log_not_shifted * _power(shifted, self.gamma_neg)


class CrossEntropy(ClassCriterion):
    """Cross-entropy of one class among several."""

    def each(self, logits: torch.Tensor) -> torch.Tensor:
        """What each class costs if it is the true one."""
        return -F.log_softmax(logits, dim=1)


class SoftmaxFocal(ClassCriterion):
    """Focal loss of one class among several: that of :class:`Focal` on the probability of the true class.

    Parameters
    ----------
    gamma : float, default=2.0
    """

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = _within("gamma", gamma, 0, math.inf)

    def each(self, logits: torch.Tensor) -> torch.Tensor:
        """What each class costs if it is the true one."""
        log_p = F.log_softmax(logits, dim=1)
        return -log_p * _power(-torch.expm1(log_p), self.gamma)


class BPMLL(Criterion):
    r"""The pairwise ranking loss of BP-MLL.

    With outputs :math:`c = \tanh(\mathrm{logits})` and the relevant labels :math:`Y` of a row, among all
    labels, the loss of the row is

    .. math:: \frac{1}{|Y||\bar Y|} \sum_{k \in Y} \sum_{l \in \bar Y} \exp(c_l - c_k),

    computed as a product of two sums, in time linear in the labels. A row with no relevant label, or with no
    irrelevant one, has no pair and costs nothing.

    References
    ----------
    Zhang and Zhou, "Multilabel neural networks with applications to functional genomics and text categorization",
    IEEE TKDE 18(10), 2006, equation 3.
    """

    kinds = ("multilabel",)
    accepts_soft = False

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Losses of shape (n_rows,) for logits and targets of shape (n_rows, n_labels)."""
        outputs = torch.tanh(logits)
        n_relevant = targets.sum(dim=1)
        n_pairs = n_relevant * (targets.shape[1] - n_relevant)
        relevant = (targets * torch.exp(-outputs)).sum(dim=1)
        irrelevant = ((1 - targets) * torch.exp(outputs)).sum(dim=1)
        return relevant * irrelevant / n_pairs.clamp(min=1)


class OwnCriterion(Criterion):
    """A user's own loss.

    Parameters
    ----------
    loss : callable or nn.Module
        Given logits and targets, it gives losses of shape (n_rows,) or (n_rows, n_labels), which are averaged over the
        labels, or one for all rows.
    rows_weigh_alike : bool
        Whether one loss for all rows will do.

    Raises
    ------
    ValueError
        When called, if the loss gives anything else, or one for all rows where rows weigh differently.
    """

    def __init__(self, loss: Loss, *, rows_weigh_alike: bool) -> None:
        super().__init__()
        self.loss = loss
        self.rows_weigh_alike = rows_weigh_alike

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Losses of shape (n_rows,)."""
        losses = self.loss(logits, targets)
        if not isinstance(losses, torch.Tensor):
            raise ValueError(f"The criterion must give a tensor, but gave a {type(losses).__name__}.")
        n_rows = len(logits)
        if losses.ndim == 0:
            if not self.rows_weigh_alike:
                raise ValueError(
                    "The criterion gave one loss for all rows, but the rows weigh differently: let it give one a row, "
                    "of shape (n_rows,), or fit without sample_weight."
                )
            return losses.expand(n_rows)
        if losses.ndim > 2 or len(losses) != n_rows:
            raise ValueError(
                f"The criterion must give losses of shape ({n_rows},), ({n_rows}, n_labels) or (), but gave shape "
                f"{tuple(losses.shape)}."
            )
        return losses if losses.ndim == 1 else losses.mean(dim=1)


# the first is what "auto" means
_OF_LABELS: dict[str, type[Criterion]] = {"bce": BinaryCrossEntropy, "focal": Focal, "asymmetric": Asymmetric}
_NAMED: dict[TargetKind, dict[str, type[Criterion]]] = {
    "binary": _OF_LABELS,
    "multiclass": {"cross_entropy": CrossEntropy, "focal": SoftmaxFocal},
    "multilabel": {**_OF_LABELS, "bp_mll": BPMLL},
}

CRITERIA: dict[str, type[Criterion]] = {**_NAMED["multiclass"], **_NAMED["multilabel"]}

# what torch's own losses take in place of logits, and the targets that those of logits are for
_NOT_OF_LOGITS: tuple[tuple[type[nn.Module], Any, str], ...] = (
    (nn.BCELoss, F.binary_cross_entropy, "probabilities"),
    (nn.NLLLoss, F.nll_loss, "logarithms of probabilities"),
)
_OF_LOGITS: tuple[tuple[type[nn.Module], Any, tuple[TargetKind, ...]], ...] = (
    (nn.CrossEntropyLoss, F.cross_entropy, ("multiclass",)),
    (nn.MultiMarginLoss, F.multi_margin_loss, ("multiclass",)),
    (nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits, ("binary", "multilabel")),
    (nn.MultiLabelSoftMarginLoss, F.multilabel_soft_margin_loss, ("binary", "multilabel")),
)
_INSTEAD: dict[TargetKind, str] = {
    "binary": "'bce' or torch.nn.BCEWithLogitsLoss",
    "multiclass": "'cross_entropy' or torch.nn.CrossEntropyLoss",
    "multilabel": "'bce' or torch.nn.BCEWithLogitsLoss",
}


def make_criterion(
    criterion: str | Loss | type[nn.Module],
    targets: Targets,
    *,
    class_weight: ClassWeight | None = None,
    pos_weight: str | float | ArrayLike | None = None,
    label_smoothing: float = 0.0,
    weights: NDArray[np.float64] | None = None,
) -> Criterion:
    """Make the loss that an estimator's parameters mean for targets.

    Parameters
    ----------
    criterion : str, callable, nn.Module or class of nn.Module
        A name in ``CRITERIA``; ``"auto"`` is ``"cross_entropy"`` for several classes and else ``"bce"``. A user's own
        is called with logits and targets: for two classes and for labels both are of shape (n_rows, n_labels), targets
        being numbers from 0 to 1; for several classes logits are of shape (n_rows, n_classes), and targets class
        positions of shape (n_rows,) or, of mixed pictures, shares of classes. It gives losses of shape (n_rows,),
        (n_rows, n_labels), or one for all rows if all weigh the same. A module is copied; if it has an attribute
        ``reduction``, as torch's own, the copy's is set to ``"none"``.
    targets : Targets
    class_weight : dict, list of dict, "balanced" or None, default=None
        Factors of the losses of rows by their class, not scaled any further: as ``sample_weight`` times the class's
        weight. ``"balanced"`` is the number of rows over that of classes and over that of the class's rows. A class
        that a dict leaves out weighs 1. Labels have a dict ``{0: weight, 1: weight}`` each, or ``"balanced"`` for all.
    pos_weight : float, array-like of shape (n_labels,), "balanced" or None, default=None
        Factor of the loss of a label's positives; ``"balanced"`` is the number of its negatives over that of its
        positives. For two classes and for labels.
    label_smoothing : float, default=0.0
        In [0, 1): how far targets move from 0 and 1 towards equal shares.
    weights : ndarray of shape (n_rows,) or None, default=None
        Of the rows, for what is ``"balanced"``. A class, or a side of a label, without any weight counts as absent, and
        where a label is constant ``"balanced"`` weighs it by 1.

    Returns
    -------
    criterion : Criterion

    Raises
    ------
    ValueError
        If the loss does not suit the targets, or the weights do not suit the loss or the targets.

    Examples
    --------
    >>> import torch
    >>> from skdeep._validation import check_targets
    >>> y = ["cat", "dog", "dog", "dog"]
    >>> criterion = make_criterion("bce", check_targets(y, y), class_weight="balanced")
    >>> criterion(torch.zeros(2, 1), torch.tensor([[0.0], [1.0]]))
    tensor([1.3863, 0.4621])
    """
    made = _made(criterion, targets, weights)
    given = {
        "class_weight": class_weight is not None,
        "pos_weight": pos_weight is not None,
        "label_smoothing": label_smoothing != 0,
    }
    names = [name for name, is_given in given.items() if is_given]
    if names and not isinstance(made, LabelCriterion | ClassCriterion):
        raise ValueError(
            f"criterion={criterion!r} does not take {listed(names)}: only "
            f"{listed(map(repr, [*_OF_LABELS, 'cross_entropy']))} do."
        )
    if given["class_weight"] and given["pos_weight"]:
        raise ValueError("class_weight and pos_weight weigh the same losses twice: set one of them to None.")
    if isinstance(made, LabelCriterion | ClassCriterion):
        made.label_smoothing = _below_one("label_smoothing", label_smoothing)
    if isinstance(made, ClassCriterion) and given["pos_weight"]:
        raise ValueError("pos_weight is for two classes and for labels, got multiclass targets: use class_weight.")
    if class_weight is not None:
        _weigh_classes(made, class_weight, targets, _totals(targets.values, weights, len(targets.classes)))
    if pos_weight is not None:
        made.pos_weight = _tensor(_pos_weights(pos_weight, _totals(targets.values, weights, len(targets.classes))))
    return made


def _made(criterion: str | Loss | type[nn.Module], targets: Targets, weights: NDArray[np.float64] | None) -> Criterion:
    """The loss alone, a new one or a copy."""
    named = _NAMED[targets.kind]
    if isinstance(criterion, str):
        name = next(iter(named)) if criterion == "auto" else criterion
        made = named[name]() if name in named else None
    else:
        made = _own(criterion, targets.kind, weights)
    if made is None or targets.kind not in made.kinds:
        names = ["auto", *named]
        raise ValueError(f"criterion={criterion!r} does not suit {targets.kind} targets; use one of {names}.")
    if isinstance(made, BPMLL) and targets.n_outputs < 2:
        raise ValueError("criterion='bp_mll' ranks pairs of labels and needs at least 2 labels, got 1.")
    return made


def _own(criterion: Loss | type[nn.Module], kind: TargetKind, weights: NDArray[np.float64] | None) -> Criterion:
    loss: Any = _instance(criterion) if isinstance(criterion, type) else criterion
    for module, function, what in _NOT_OF_LOGITS:
        if loss is function or isinstance(loss, module):
            raise ValueError(
                f"criterion={criterion!r} takes {what}, but a criterion is given logits: use {_INSTEAD[kind]}."
            )
    for module, function, kinds in _OF_LOGITS:
        if (loss is function or isinstance(loss, module)) and kind not in kinds:
            raise ValueError(
                f"criterion={criterion!r} is for {' and '.join(kinds)} targets, and learns nothing right of {kind} "
                f"ones: use {_INSTEAD[kind]}."
            )
    if isinstance(loss, nn.Module):
        loss = copy.deepcopy(loss)
        if hasattr(loss, "reduction"):
            loss.reduction = "none"
    if isinstance(loss, Criterion):
        return loss
    if not callable(loss):
        raise ValueError(
            f"The 'criterion' parameter must be a str among {{{', '.join(map(repr, ['auto', *sorted(CRITERIA)]))}}}, a "
            f"callable, or an nn.Module or a class of these. Got {criterion!r} instead."
        )
    return OwnCriterion(loss, rows_weigh_alike=weights is None or bool(np.all(weights == weights[0])))


def _instance(criterion: type) -> Any:
    try:
        return criterion()
    except TypeError as error:
        raise ValueError(
            f"criterion={criterion!r} cannot be made without arguments ({error}): give an instance of it."
        ) from error


def _weigh_classes(made: nn.Module, class_weight: ClassWeight, targets: Targets, totals: NDArray[np.float64]) -> None:
    """Give a loss its weights of classes."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        found = _balanced(totals)
    elif targets.kind == "multilabel":
        found = _weights_of_sides(class_weight, targets)
    else:
        found = _weights_of_classes(class_weight, targets.classes)[:, None]
    if isinstance(made, ClassCriterion):
        made.class_weights = _tensor(found[:, 0])
    else:
        made.side_weights = _tensor(found)


def _totals(values: NDArray[Any], weights: NDArray[np.float64] | None, n_classes: int) -> NDArray[np.float64]:
    """The weight of each class, of shape (n_classes, 1); of an indicator's two sides, of shape (2, n_labels)."""
    weights = np.ones(len(values)) if weights is None else weights
    if values.ndim == 2:
        return np.stack([weights @ (values == side) for side in (0, 1)])
    totals = np.bincount(values, weights, minlength=n_classes)
    return totals.astype(np.float64)[:, None]


def _balanced(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """scikit-learn's balanced weights in each column; what is absent weighs 1."""
    present = totals > 0
    shares = present.sum(axis=0) * totals
    return np.divide(totals.sum(axis=0), shares, out=np.ones_like(totals), where=present)


def _weights_of_classes(class_weight: Any, classes: NDArray[Any]) -> NDArray[np.float64]:
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            "The 'class_weight' parameter must be a dict from classes to weights, 'balanced' or None. "
            f"Got {class_weight!r} instead."
        )
    known = classes.tolist()
    unknown = [key for key in class_weight if key not in known]
    if unknown:
        raise ValueError(
            f"class_weight names {listed(map(repr, unknown))}, but y has the classes {listed(map(repr, known))}."
        )
    found = np.array([class_weight.get(name, 1) for name in known], dtype=float)
    if not (np.isfinite(found).all() and (found >= 0).all() and found.any()):
        raise ValueError(
            "class_weight must hold finite weights that are not negative, and not all zero. "
            f"Got {class_weight!r} instead."
        )
    return found


def _weights_of_sides(class_weight: Any, targets: Targets) -> NDArray[np.float64]:
    n_labels = targets.n_outputs
    if not isinstance(class_weight, list | tuple) or len(class_weight) != n_labels:
        got = f"{len(class_weight)} of them" if isinstance(class_weight, list | tuple) else repr(class_weight)
        raise ValueError(
            "For labels, the 'class_weight' parameter must be a list of one dict {0: weight, 1: weight} for each of "
            f"the {n_labels} labels, 'balanced' or None. Got {got} instead."
        )
    return np.stack([_weights_of_classes(one, np.array([0, 1])) for one in class_weight], axis=1)


def _pos_weights(pos_weight: Any, totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights of positives, of shape (n_labels,)."""
    if isinstance(pos_weight, str) and pos_weight == "balanced":
        present = (totals > 0).all(axis=0)
        return np.divide(totals[0], totals[1], out=np.ones(totals.shape[1]), where=present)
    try:
        found = np.asarray(pos_weight, dtype=float)
    except (TypeError, ValueError):
        found = np.empty(0)
    n_labels = totals.shape[1]
    if found.shape not in ((), (n_labels,)) or not (np.isfinite(found).all() and (found > 0).all()):
        raise ValueError(
            f"The 'pos_weight' parameter must be a positive float, or one for each label, of shape ({n_labels},), "
            f"'balanced' or None. Got {pos_weight!r} instead."
        )
    return np.broadcast_to(found, n_labels)


def _tensor(values: NDArray[np.float64]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _power(base: torch.Tensor, exponent: float) -> torch.Tensor:
    """A power of probabilities; what cannot be told from 0 has no slope, where that of a root would be infinite."""
    return base.clamp(min=torch.finfo(base.dtype).eps) ** exponent


def _within(name: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high or math.isinf(value):
        top = f"to {high:g}" if math.isfinite(high) else "upwards"
        raise ValueError(f"The '{name}' parameter must be a number from {low:g} {top}. Got {value!r} instead.")
    return value


def _below_one(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"The '{name}' parameter must be a float in the range [0, 1). Got {value!r} instead.")
    return float(value)
