"""The skorch net behind every estimator that learns by gradient descent."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from torch import nn

from skdeep.exceptions import SmallerBatchWarning
from skdeep.training.batches import Batch
from skdeep.training.inputs import Rows


class WeightedNet(NeuralNet):
    """A skorch net whose criterion gives one loss a row, and whose rows have weights.

    Parameters
    ----------
    precision : {"float32", "bf16", "float16"}, default="float32"
        What the module multiplies in; gradients of float16 are scaled, for small ones would vanish.
    micro_batch_size : int or None, default=None
        Rows that pass the module at once; a batch of more is learnt in parts whose gradients add up to its own. Where
        memory runs out it becomes smaller by half.

    Attributes
    ----------
    resting : list of nn.Module
        Modules that stay in evaluation mode while others learn.
    """

    def __init__(
        self, *args: Any, precision: str = "float32", micro_batch_size: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.precision = precision
        self.micro_batch_size = micro_batch_size
        self.resting: list[nn.Module] = []

    def start(self) -> None:
        """Make what training needs, whatever was there."""
        self.initialize()
        self.scaler = torch.amp.GradScaler(torch.device(self.device).type, enabled=self.precision == "float16")

    def __getstate__(self) -> dict[str, Any]:
        # by name: skorch pickles the module apart from all else, and these would come back as other objects
        resting = {id(layer) for layer in self.resting}
        names = [name for name, layer in self.module_.named_modules() if id(layer) in resting] if resting else []
        return {**super().__getstate__(), "resting": names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        names = set(state["resting"])
        super().__setstate__(state)
        self.resting = [layer for name, layer in self.module_.named_modules() if name in names] if names else []

    def get_loss(self, y_pred: torch.Tensor, y_true: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Average the losses of a batch under the rows' weights."""
        targets, weights = y_true
        losses = self.criterion_(y_pred, targets.to(y_pred.device))
        return (losses * weights.to(y_pred.device)).mean()

    def train_step(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Learn from a batch, in as many parts as memory asks for."""
        self.set_learning()
        loss = None
        while loss is None:
            loss = self._gradients(batch)
        self.notify("on_grad_computed", named_parameters=[], batch=batch)
        self.scaler.step(self.optimizer_)
        self.scaler.update()
        return {"loss": loss}

    def _gradients(self, batch: Batch) -> torch.Tensor | None:
        """Fill in the gradients of a batch and give its loss; None where memory ran out."""
        n_rows = len(batch[1][0])
        self.optimizer_.zero_grad()
        total = torch.zeros((), device=self.device)
        try:
            for part in _parts(batch, self.micro_batch_size):
                part_loss = self._part_loss(part) * (len(part[1][0]) / n_rows)
                torch.autograd.backward(self.scaler.scale(part_loss))
                total += part_loss.detach()
        except RuntimeError as error:
            n_at_once = min(self.micro_batch_size or n_rows, n_rows)
            if not is_out_of_memory(error) or n_at_once < 4:
                raise
        else:
            return total
        self._take_less(n_at_once)
        return None

    def set_learning(self) -> None:
        """Training mode, but for the modules that rest."""
        self.module_.train()
        for module in self.resting:
            module.eval()

    def _part_loss(self, part: Batch) -> torch.Tensor:
        arguments, answers = part
        return self.get_loss(self.infer(arguments), answers, X=arguments, training=True)

    def _take_less(self, n_at_once: int) -> None:
        self.micro_batch_size = n_at_once // 2
        if torch.device(self.device).type == "cuda":
            torch.cuda.empty_cache()
        warnings.warn(
            f"Memory is too small for {n_at_once} rows at once: they pass the network in parts of "
            f"{self.micro_batch_size} from here on, and learning steps are still of batch_size={self.batch_size}. Set "
            f"micro_batch_size={self.micro_batch_size} to begin so.",
            SmallerBatchWarning,
            stacklevel=2,
        )


def move_net(net: WeightedNet, device: str) -> None:
    """Bring a net, and all that it remembers, to a device; in place."""
    net.module_.to(device)
    net.criterion_.to(device)
    # what an optimizer loads goes to its parameters' device
    net.optimizer_.load_state_dict(net.optimizer_.state_dict())
    of_scaler = net.scaler.state_dict()
    net.scaler = torch.amp.GradScaler(torch.device(device).type, enabled=net.precision == "float16")
    if of_scaler:
        net.scaler.load_state_dict(of_scaler)
    net.device = device


def on_cpu(net: WeightedNet) -> WeightedNet:
    """The net itself where all of it is on the CPU, else a copy there, which any machine can load."""
    if net.device == "cpu" and is_on_cpu(net.module_):
        return net
    copied = copy.deepcopy(net)
    move_net(copied, "cpu")
    return copied


def is_on_cpu(module: nn.Module) -> bool:
    """Whether all tensors of a module are on the CPU."""
    return all(tensor.device.type == "cpu" for tensor in module.state_dict().values())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine, had not enough memory."""
    plain = ("DefaultCPUAllocator", "MPS backend out of memory")
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in plain)


def _parts(batch: Batch, size: int | None) -> Iterator[Batch]:
    """Cut a batch into nearly equal parts of at most ``size`` rows, none of a single row."""
    arguments, (targets, weights) = batch
    n_rows = len(targets)
    n_parts = 1 if size is None else max(1, min(-(-n_rows // size), n_rows // 2))
    for rows in torch.arange(n_rows).tensor_split(n_parts):
        cut = slice(int(rows[0]), int(rows[-1]) + 1)
        yield {name: values[cut] for name, values in arguments.items()}, (targets[cut], weights[cut])


def module_outputs(module: nn.Module, rows: Rows, *, batch_size: int, device: str) -> NDArray[np.float64]:
    """What a module gives for each row, in evaluation mode.

    Returns
    -------
    outputs : ndarray of float64 of shape (n_rows, n_outputs)
    """
    module.eval()
    batches = [list(range(start, min(start + batch_size, len(rows)))) for start in range(0, len(rows), batch_size)]
    with torch.no_grad():
        outputs = [
            module(**{name: values.to(device) for name, values in arguments.items()}).cpu().double()
            for arguments in rows.take(iter(batches))
        ]
    return torch.cat(outputs).numpy()
