"""Losses on logits; each gives one value a row, so that rows can be weighted."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from skdeep._validation import TargetKind


class BinaryCrossEntropy(nn.Module):
    """Binary cross-entropy of logits, averaged over the labels of a row."""

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Losses of shape (n_rows,) for logits and targets of shape (n_rows, n_labels)."""
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1)


class CrossEntropy(nn.Module):
    """Cross-entropy of one class among several."""

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Losses of shape (n_rows,) for logits of shape (n_rows, n_classes) and class positions of shape (n_rows,)."""
        return F.cross_entropy(logits, targets, reduction="none")


class BPMLL(nn.Module):
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

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Losses of shape (n_rows,) for logits and targets of shape (n_rows, n_labels)."""
        outputs = torch.tanh(logits)
        n_relevant = targets.sum(dim=1)
        n_pairs = n_relevant * (targets.shape[1] - n_relevant)
        relevant = (targets * torch.exp(-outputs)).sum(dim=1)
        irrelevant = ((1 - targets) * torch.exp(outputs)).sum(dim=1)
        return relevant * irrelevant / n_pairs.clamp(min=1)


CRITERIA: dict[str, type[nn.Module]] = {
    "bce": BinaryCrossEntropy,
    "bp_mll": BPMLL,
    "cross_entropy": CrossEntropy,
}

_ALLOWED: dict[TargetKind, tuple[str, ...]] = {
    "binary": ("bce",),
    "multiclass": ("cross_entropy",),
    "multilabel": ("bce", "bp_mll"),
}


def make_criterion(criterion: str, kind: TargetKind, n_outputs: int) -> nn.Module:
    """Make the loss of a name; ``"auto"`` is the first that the kind of target allows.

    Raises
    ------
    ValueError
        If the loss does not suit the targets.
    """
    allowed = _ALLOWED[kind]
    if criterion == "auto":
        criterion = allowed[0]
    if criterion not in allowed:
        raise ValueError(f"criterion={criterion!r} does not suit {kind} targets; use one of {['auto', *allowed]}.")
    if criterion == "bp_mll" and n_outputs < 2:
        raise ValueError("criterion='bp_mll' ranks pairs of labels and needs at least 2 labels, got 1.")
    return CRITERIA[criterion]()
