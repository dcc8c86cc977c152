"""Averages of a network's weights over training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

Tensors = dict[str, torch.Tensor]


class MovingAverage:
    r"""An exponential moving average of the weights that learn.

    Its memory is a tenth of the steps that training takes: after step :math:`t` of :math:`n` the weights :math:`w_t`
    enter with the share :math:`1 - d_t`, where :math:`d_t = \min(1 - 10 / n, (1 + t) / (10 + t))`. The second term
    lets the first weights, which know nothing, go quickly.

    Parameters
    ----------
    module : nn.Module
    n_steps : int
        That training will take.

    References
    ----------
    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 30(4), 1992;
    the growing memory is that of TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``.
    """

    def __init__(self, module: nn.Module, n_steps: int) -> None:
        self._most = max(0.0, 1 - 10 / n_steps)
        self.n_updates = 0
        self.weights: Tensors = {name: weight.detach().clone() for name, weight in _learning(module)}

    def update(self, module: nn.Module) -> None:
        """Let the weights of a step enter."""
        self.n_updates += 1
        decay = min(self._most, (1 + self.n_updates) / (10 + self.n_updates))
        torch._foreach_lerp_(
            list(self.weights.values()), [weight.detach() for _, weight in _learning(module)], 1 - decay
        )

    def swap(self, module: nn.Module) -> None:
        """Exchange the module's weights and the average."""
        with torch.no_grad():
            for name, weight in _learning(module):
                kept = weight.detach().clone()
                weight.copy_(self.weights[name])
                self.weights[name].copy_(kept)

    def restore(self, weights: Mapping[str, torch.Tensor], n_updates: int) -> None:
        """Go on from an average that was kept."""
        for name, weight in weights.items():
            self.weights[name].copy_(weight)
        self.n_updates = n_updates


def _learning(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, weight) for name, weight in module.named_parameters() if weight.requires_grad]
