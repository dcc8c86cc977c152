"""The skorch net behind every estimator that learns by gradient descent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import Dataset

from skdeep.backbones import seeded
from skdeep.training.inputs import Arguments, Rows

Batch = tuple[Arguments, tuple[torch.Tensor, torch.Tensor]]


class WeightedNet(NeuralNet):
    """A skorch net whose criterion gives one loss a row, and whose rows have weights."""

    def get_loss(self, y_pred: torch.Tensor, y_true: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Average the losses of a batch under the rows' weights."""
        targets, weights = y_true
        losses = self.criterion_(y_pred, targets.to(y_pred.device))
        return (losses * weights.to(y_pred.device)).mean()


class StopAtDivergence(Callback):
    """End training with an error in the first epoch whose loss is not finite."""

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Look at the epoch's loss."""
        loss = net.history[-1, "train_loss"]
        if not np.isfinite(loss):
            where = f"epoch {len(net.history)} of {net.max_epochs}"
            raise ValueError(f"The loss was {loss} in {where}: try a smaller lr than {net.lr:g}.")


class WeightedRows(Dataset[Batch]):
    """Inputs, their targets and their weights."""

    def __init__(self, rows: Rows, targets: torch.Tensor, weights: torch.Tensor) -> None:
        self.rows = rows
        self.targets = targets
        self.weights = weights

    def __len__(self) -> int:
        return len(self.rows)


class RowBatches:
    """Batches of ``WeightedRows``, taken whole rather than row by row.

    When shuffled, a last batch of a single row is left out, for batch normalisation cannot learn from one row; the
    next epoch's order brings the row back.
    """

    def __init__(self, dataset: WeightedRows, batch_size: int, shuffle_seed: int | None = None) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.generator = None if shuffle_seed is None else torch.Generator().manual_seed(shuffle_seed)

    def __len__(self) -> int:
        return len(range(0, self._n_taken(), self.batch_size))

    def __iter__(self) -> Iterator[Batch]:
        batches = self._batches()
        for batch, arguments in zip(batches, self.dataset.rows.take(iter(batches)), strict=True):
            yield arguments, (self.dataset.targets[batch], self.dataset.weights[batch])

    def _batches(self) -> list[list[int]]:
        n_rows = len(self.dataset)
        if self.generator is None:
            order = list(range(n_rows))
        else:
            order = torch.randperm(n_rows, generator=self.generator).tolist()
        n_taken = self._n_taken()
        return [order[start : min(start + self.batch_size, n_taken)] for start in range(0, n_taken, self.batch_size)]

    def _n_taken(self) -> int:
        n_rows = len(self.dataset)
        single_row_left = self.generator is not None and n_rows > self.batch_size and n_rows % self.batch_size == 1
        return n_rows - 1 if single_row_left else n_rows


def fit_net(
    module: nn.Module,
    rows: Rows,
    targets: NDArray[Any],
    *,
    criterion: nn.Module,
    sample_weight: NDArray[np.float64],
    lr: float,
    weight_decay: float,
    max_epochs: int,
    batch_size: int,
    device: str,
    seed: int,
    verbose: int,
) -> WeightedNet:
    """Train a module with AdamW.

    Parameters
    ----------
    module : nn.Module
        Trained in place; parameters that need no gradient stay as they are.
    rows : Rows
    targets : ndarray
        Class positions of shape (n_rows,) for cross-entropy, else an indicator of shape (n_rows, n_outputs).
    criterion : nn.Module
        One loss a row.
    sample_weight : ndarray of shape (n_rows,)
        Scaled to a mean of 1.
    lr, weight_decay, max_epochs, batch_size, device, verbose
        As in the estimators.
    seed : int
        Of the order of rows and of dropout.

    Returns
    -------
    net : WeightedNet

    Raises
    ------
    ValueError
        If the loss stops being finite.
    """
    dtype = torch.float32 if targets.ndim == 2 else torch.int64
    weights = torch.as_tensor(sample_weight / sample_weight.mean(), dtype=torch.float32)
    dataset = WeightedRows(rows, torch.as_tensor(targets, dtype=dtype), weights)
    net = WeightedNet(
        module,
        criterion=criterion,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=weight_decay,
        lr=lr,
        max_epochs=max_epochs,
        batch_size=batch_size,
        iterator_train=RowBatches,
        iterator_train__shuffle_seed=seed,
        iterator_valid=RowBatches,
        train_split=None,
        callbacks=[StopAtDivergence()],
        device=device,
        verbose=verbose,
    )
    with seeded(seed, device):
        net.fit(dataset, None)
        settle_batch_norm(net, dataset, seed)
    # nothing learns any more: pickles need neither the module a second time nor what the optimizer remembers
    net.module = type(module)
    net.optimizer_.state.clear()
    return net


def settle_batch_norm(net: WeightedNet, dataset: WeightedRows, seed: int) -> None:
    """Give batch normalisation the statistics of the trained network over the training rows.

    Those that are kept in training lag behind weights that still move; small data sets end before they catch up.

    References
    ----------
    Wu and Johnson, "Rethinking 'Batch' in BatchNorm", arXiv:2105.07576, 2021, section 3.
    """
    layers = [layer for layer in net.module_.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    net.module_.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain average over batches
        layer.train()
    with torch.no_grad():
        for arguments, _ in RowBatches(dataset, net.batch_size, seed):
            net.infer(arguments)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    net.module_.eval()


def net_outputs(net: WeightedNet, rows: Rows) -> NDArray[np.float64]:
    """What the module gives for each row, in evaluation mode.

    Returns
    -------
    outputs : ndarray of float64 of shape (n_rows, n_outputs)
    """
    nothing = torch.zeros(len(rows))
    outputs = net.forward(WeightedRows(rows, nothing, nothing), training=False, device="cpu")
    return outputs.double().numpy()
