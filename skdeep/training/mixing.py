"""Mix the pictures of a batch with each other, and what is to be learnt of them: mixup and cutmix."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F

from skdeep.images import Augmentation
from skdeep.training.inputs import Arguments


def mix(
    arguments: Arguments,
    targets: torch.Tensor,
    weights: torch.Tensor,
    n_classes: int | None,
    augmentation: Augmentation,
    generator: torch.Generator,
) -> tuple[Arguments, torch.Tensor, torch.Tensor]:
    r"""Mix each row of a batch with a partner, by one share for the whole batch.

    Mixup averages two pictures; cutmix pastes a rectangle of one into the other, and its share is the area that is left
    of the first. The numbers beside the pictures are averaged by the same share.

    With the share :math:`\lambda`, a row of weight :math:`w_i` and targets :math:`y_i`, and its partner :math:`j`, the
    weight becomes :math:`w = \lambda w_i + (1 - \lambda) w_j` and the targets
    :math:`(\lambda w_i y_i + (1 - \lambda) w_j y_j) / w`. So for a loss that is linear in the targets the mixed row
    costs :math:`\lambda w_i \ell(y_i) + (1 - \lambda) w_j \ell(y_j)`.

    Parameters
    ----------
    arguments : dict
        ``"images"`` of shape (n_rows, n_channels, height, width), uint8 or float32, and ``"side_features"`` of shape
        (n_rows, n_side_features), float32. Nothing is changed in place.
    targets : tensor of shape (n_rows,) or (n_rows, n_labels)
        Class positions, or numbers from 0 to 1.
    weights : tensor of shape (n_rows,)
    n_classes : int or None
        Of class positions, which become shares of shape (n_rows, n_classes); None for labels.
    augmentation : Augmentation
        Says which of the two, and how much; where it has both, one of them is drawn for each batch.
    generator : torch.Generator
        Decides everything.

    Returns
    -------
    arguments, targets, weights
        Mixed; pictures are of the same dtype, whole numbers being rounded. A batch of a single row stays as it is.

    References
    ----------
    Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR, 2018, arXiv:1710.09412.
    Yun, Han, Oh, Chun, Choe and Yoo, "CutMix: regularization strategy to train strong classifiers with localizable
    features", ICCV, 2019, arXiv:1905.04899: equations 1 and 2.

    Examples
    --------
    >>> import torch
    >>> from skdeep.images import Augmentation
    >>> arguments = {"images": torch.rand(8, 3, 32, 32), "side_features": torch.empty(8, 0)}
    >>> targets, weights, generator = torch.arange(8), torch.ones(8), torch.Generator().manual_seed(0)
    >>> _, mixed, _ = mix(arguments, targets, weights, 8, Augmentation(mixup=0.4), generator)
    >>> mixed.shape, mixed.sum(dim=1)
    (torch.Size([8, 8]), tensor([1., 1., 1., 1., 1., 1., 1., 1.]))
    """
    n_rows = len(weights)
    if n_rows < 2 or not augmentation.mixes:
        return arguments, targets, weights
    seed = torch.randint(2**63 - 1, (1,), generator=generator, device=generator.device)
    rng = np.random.default_rng(int(seed))
    partners = torch.from_numpy(rng.permutation(n_rows))
    pastes = augmentation.cutmix > 0 and (augmentation.mixup == 0 or rng.random() < 0.5)
    alpha = augmentation.cutmix if pastes else augmentation.mixup
    share = float(rng.beta(alpha, alpha))
    images = arguments["images"]
    if pastes:
        images, share = _pasted(images, partners, share, rng)
    else:
        images = _averaged(images, partners, share)
    side_features = _averaged(arguments["side_features"], partners, share)
    if n_classes is not None and targets.ndim == 1:
        targets = F.one_hot(targets, n_classes).to(weights.dtype)
    own = share * weights
    mixed = own + (1 - share) * weights[partners]
    # of a row that weighs nothing any targets will do
    own_share = torch.where(mixed > 0, own / mixed, share)
    targets = torch.lerp(targets[partners], targets, own_share[:, None])
    return {**arguments, "images": images, "side_features": side_features}, targets, mixed


def _averaged(values: torch.Tensor, partners: torch.Tensor, share: float) -> torch.Tensor:
    averaged = values[partners].float().lerp_(values.float(), share)
    return averaged.round_().to(torch.uint8) if values.dtype == torch.uint8 else averaged


def _pasted(
    pictures: torch.Tensor, partners: torch.Tensor, share: float, rng: np.random.Generator
) -> tuple[torch.Tensor, float]:
    """Paste a rectangle of each partner, and say which share of the picture is left: at the edges it is larger."""
    height, width = pictures.shape[-2:]
    top, bottom = _stretch(height, share, rng)
    left, right = _stretch(width, share, rng)
    pasted = pictures.clone()
    pasted[..., top:bottom, left:right] = pictures[partners, :, top:bottom, left:right]
    return pasted, 1 - (bottom - top) * (right - left) / (height * width)


def _stretch(side: int, share: float, rng: np.random.Generator) -> tuple[int, int]:
    """One side of a rectangle whose middle lies anywhere in the picture; what lies outside is cut off."""
    length, middle = side * math.sqrt(1 - share), rng.uniform(0, side)
    return max(0, round(middle - length / 2)), min(side, round(middle + length / 2))
