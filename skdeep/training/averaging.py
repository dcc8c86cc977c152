"""Averages of a network's weights over training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import nn

Tensors = dict[str, torch.Tensor]


class WeightAverage(ABC):
    """An average of the weights that learn, which begins with those of a module.

    Attributes
    ----------
    n_updates : int
    weights : dict of str to Tensor
    """

    def __init__(self, module: nn.Module) -> None:
        self.n_updates = 0
        self.weights: Tensors = {name: weight.detach().clone() for name, weight in _learning(module)}

    def update(self, module: nn.Module) -> None:
        """Let the weights of a module enter."""
        self.n_updates += 1
        now = [weight.detach() for _, weight in _learning(module)]
        torch._foreach_lerp_(list(self.weights.values()), now, self._share())

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

    @abstractmethod
    def _share(self) -> float:
        """The share of the weights that enter now."""


class MovingAverage(WeightAverage):
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
        super().__init__(module)
        self._most = max(0.0, 1 - 10 / n_steps)

    def _share(self) -> float:
        return 1 - min(self._most, (1 + self.n_updates) / (10 + self.n_updates))


class EqualAverage(WeightAverage):
    """The plain mean of the weights that entered; those that it begins with do not count.

    References
    ----------
    Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, "Averaging weights leads to wider optima and better
    generalization", UAI, 2018: algorithm 1, whose first weights are the first to enter.
    """

    def _share(self) -> float:
        return 1 / self.n_updates


def _learning(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, weight) for name, weight in module.named_parameters() if weight.requires_grad]
