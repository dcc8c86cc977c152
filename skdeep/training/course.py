"""The way through the phases: epochs, validation, averages of weights, and where to go on after a break."""

from __future__ import annotations

import copy
import itertools
import math
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skdeep.backbones import seeded
from skdeep.training.averaging import EqualAverage, MovingAverage, Tensors, WeightAverage
from skdeep.training.batch_norm import learning_batch_norms, settle_batch_norm
from skdeep.training.batches import Batch, Batches, Change, Lesson
from skdeep.training.checkpoints import Checkpoint, pack_optimizer, unpack_optimizer
from skdeep.training.net import WeightedNet, module_outputs
from skdeep.training.phases import Phase
from skdeep.training.rate_finder import RateCurve, sweep_rates
from skdeep.training.schedules import averaged_ends, cycle_ends, learning_rates, momenta

OPTIMIZERS = ("adamw", "sgd")
AVERAGES = ("ema", "snapshots", "swa")

_PLAIN_RATE = 1e-3  # where none can be found
# Batches that tell the statistics of batch normalisation well enough to see how an epoch went.
_N_GLANCING = 10
# Those for a network that predicts; of averaged weights, which no batch has seen, all are looked at.
_N_SETTLING = 100

Record = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """A phase, made ready.

    Attributes
    ----------
    lesson : Lesson
    held_out : Lesson or None
        What is not learnt from, to tell how well it goes.
    groups : list of (float, list of str)
        For each group of the module's parameters, the factor of the learning rate, and their names. Others rest.
    change : callable or None
        What is done to each training batch.
    plain : callable or None
        What of that is not random: done to batches from which nothing is learnt.
    resting : sequence of nn.Module
        Modules that stay in evaluation mode.
    """

    lesson: Lesson
    held_out: Lesson | None
    groups: list[tuple[float, list[str]]]
    change: Change | None = None
    plain: Change | None = None
    resting: Sequence[nn.Module] = ()


@dataclass(frozen=True)
class Stopping:
    """When a phase ends early.

    Attributes
    ----------
    n_iter_no_change : int
        Epochs without progress that are borne.
    tol : float
        What counts as progress.
    """

    n_iter_no_change: int
    tol: float


@dataclass(frozen=True)
class Options:
    """What all phases have in common.

    Attributes
    ----------
    batch_size : int
    optimizer : {"adamw", "sgd"}
    weight_decay : float
        Of weights with two dimensions or more.
    averaging : {"ema", "snapshots", "swa"} or None
    stopping : Stopping or None
    seed : int
    """

    batch_size: int
    optimizer: str
    weight_decay: float
    averaging: str | None
    stopping: Stopping | None
    seed: int


class Report(Protocol):
    """Whoever is told how it goes."""

    def __call__(self, record: Record) -> None:
        """Take note of an epoch."""


@dataclass
class _State:
    """How far training has come: all that a checkpoint holds beside the module and the optimizer."""

    phase: int = 0
    epoch: int = 0
    records: list[Record] = field(default_factory=list)
    found: dict[str, float] = field(default_factory=dict)
    best: float = -math.inf
    n_worse: int = 0
    best_epoch: int = 0
    best_weights: Tensors | None = None
    snapshots: list[Tensors] = field(default_factory=list)


class Course:
    """Train a net phase by phase.

    Randomness is drawn anew for each epoch from the seed, the phase and the epoch, so that an epoch depends on nothing
    but these, the weights and the optimizer: what a checkpoint holds.

    Parameters
    ----------
    net : WeightedNet
        Its module learns in place.
    phases : sequence of Phase
        A rate that is None is found before the first phase that trains as much; where nothing shows one, it is 1e-3,
        with a warning.
    stage_of : callable
        Makes a phase ready, when its turn has come, by its position and whether some of its epochs are behind.
    options : Options
    score : callable or None
        From the outputs for the rows held out to a score, the higher the better; None takes the loss.
    checkpoint : Checkpoint or None
    report : callable
        Told of each epoch.

    Attributes
    ----------
    phases : list of Phase
        With the rates that were found.
    """

    def __init__(
        self,
        net: WeightedNet,
        phases: Sequence[Phase],
        stage_of: Callable[[int, bool], Stage],
        options: Options,
        *,
        score: Callable[[NDArray[np.float64]], float] | None,
        checkpoint: Checkpoint | None,
        report: Report,
    ) -> None:
        self.net = net
        self.phases = list(phases)
        self._stage_of = stage_of
        self._options = options
        self._score = score
        self._checkpoint = checkpoint
        self._report = report
        self._state = _State()
        self._average: WeightAverage | None = None

    @property
    def records(self) -> list[Record]:
        """A line of the history for each epoch."""
        return self._state.records

    @property
    def snapshots(self) -> list[nn.Module]:
        """The networks that predict together, the net's own being the last; empty where it predicts alone.

        They are those at the ends of phases that say so, and of the last phase's cycles where the options do. Where
        that phase ended with an earlier epoch's weights, only the cycles before that epoch count.
        """
        if not self._state.snapshots:
            return []
        # the last weights are those that the net ended with
        return [*(_with_weights(self.net.module_, weights) for weights in self._state.snapshots[:-1]), self.net.module_]

    @property
    def phases_of_snapshots(self) -> list[int]:
        """The position of the phase that each of the snapshots comes from."""
        earlier, last = self._earlier_snapshots, len(self.phases) - 1
        return [*earlier, *[last] * (len(self._state.snapshots) - len(earlier))]

    @property
    def _earlier_snapshots(self) -> list[int]:
        """The phases before the last that end with a snapshot."""
        return [index for index, phase in enumerate(self.phases[:-1]) if phase.snapshot]

    def run(self) -> None:
        """Train, from the beginning or from where a checkpoint ends."""
        kept = self._checkpoint.read() if self._checkpoint else None
        if kept is not None:
            self._restore(*kept)
        for index in range(self._state.phase, len(self.phases)):
            self._run_phase(index, kept if index == self._state.phase else None)

    def _run_phase(self, index: int, kept: tuple[Tensors, Record] | None) -> None:
        state, phase = self._state, self.phases[index]
        if index > state.phase:
            state.phase, state.epoch, state.best, state.n_worse = index, 0, -math.inf, 0
            state.best_epoch, state.best_weights = 0, None
        stage = self._stage_of(index, state.epoch > 0)
        prepare(self.net, stage, self._options)
        phase = self.phases[index] = self._with_rate(phase, stage)
        rates, inertia = learning_rates(phase, n := self._n_batches(stage)), momenta(phase, n)
        if self._options.averaging == "ema":
            self._average = MovingAverage(self.net.module_, len(rates))
        elif self._options.averaging == "swa" and index == len(self.phases) - 1:
            self._average = EqualAverage(self.net.module_)
        if kept is not None:
            self._restore_optimizer(*kept)
        while state.epoch < (phase.max_epochs or 0) and not self._is_over():
            steps = slice(state.epoch * n, (state.epoch + 1) * n)
            self._run_epoch(index, phase, stage, rates[steps], inertia[steps])
        self._end_phase(index, stage)

    def _run_epoch(
        self, index: int, phase: Phase, stage: Stage, rates: NDArray[np.float64], inertia: NDArray[np.float64]
    ) -> None:
        state, start = self._state, time.perf_counter()
        seed = epoch_seed(self._options.seed, index, state.epoch)
        with seeded(seed, self.net.device):
            batches = Batches(stage.lesson, self._options.batch_size, seed, stage.change)
            moving = self._average if isinstance(self._average, MovingAverage) else None
            loss = learn_epoch(self.net, batches, rates, inertia, moving)
        of_phase = f" of phase {index + 1}" if len(self.phases) > 1 else ""
        _check_finite(self.net, loss, phase, f"epoch {state.epoch + 1} of {phase.max_epochs}{of_phase}")
        state.epoch += 1
        if isinstance(self._average, EqualAverage) and state.epoch in averaged_ends(phase):
            self._average.update(self.net.module_)
        record = _record(len(state.records) + 1, index, phase, rates, loss, **self._examine(stage))
        if self._options.averaging == "snapshots" and self._ends_cycle(index, phase):
            self._settle(stage, _N_SETTLING)
            state.snapshots.append(_weights(self.net.module_))
        state.records.append({**record, "seconds": time.perf_counter() - start})
        self._report(state.records[-1])
        self._write()

    def _examine(self, stage: Stage) -> Record:
        """Loss and score of what was held out, under the averaged weights; and whether they are the best so far."""
        held_out, state, stopping = stage.held_out, self._state, self._options.stopping
        if held_out is None:
            return {"valid_loss": math.nan, "score": math.nan}
        self._swap()
        self._settle(stage, _N_GLANCING)
        outputs = module_outputs(self.net.module_, held_out.rows, batch_size=self._n_at_once, device=self.net.device)
        loss = mean_loss(self.net, outputs, held_out)
        score = math.nan if self._score is None else float(self._score(outputs))
        if stopping is not None:
            reached = -loss if self._score is None else score
            reached = -math.inf if math.isnan(reached) else reached
            state.n_worse = 0 if reached > state.best + stopping.tol else state.n_worse + 1
            if reached > state.best or state.best_weights is None:
                state.best, state.best_epoch, state.best_weights = reached, state.epoch, _weights(self.net.module_)
        self._swap()
        return {"valid_loss": loss, "score": score}

    def _is_over(self) -> bool:
        stopping = self._options.stopping
        return stopping is not None and self._state.n_worse >= stopping.n_iter_no_change

    def _end_phase(self, index: int, stage: Stage) -> None:
        module = self.net.module_
        if self._state.best_weights is not None:
            if self._state.best == -math.inf:
                warnings.warn(
                    f"scoring gave NaN after each epoch of phase {index + 1}, of which the first one's weights were "
                    "kept: with early_stopping it must be able to tell which of them is better.",
                    UserWarning,
                    stacklevel=2,
                )
            module.load_state_dict(self._state.best_weights)
        else:
            self._swap()
        n_batches = None if isinstance(self._average, EqualAverage) else _N_SETTLING
        self._average = None
        following = self.phases[index + 1] if index + 1 < len(self.phases) else None
        is_kept = self.phases[index].snapshot and following is not None
        # layers that all go on learning make statistics of their own
        if is_kept or following is None or following.freeze_bn or not all(following.group_factors()):
            self._settle(stage, n_batches)
        module.eval()
        _check_outputs(self.net, stage, self._options, self.phases[index])
        if is_kept:
            self._state.snapshots.append(_weights(module))
        elif following is None and (self._options.averaging == "snapshots" or self._earlier_snapshots):
            self._keep_snapshots(self.phases[index])

    def _keep_snapshots(self, phase: Phase) -> None:
        """Keep those of earlier phases, of cycles that ended before the network that a phase ends with, and that."""
        state = self._state
        last = state.best_epoch if state.best_weights is not None else state.epoch
        n_before = len(self._earlier_snapshots) + sum(end < last for end in cycle_ends(phase))
        state.snapshots = [*state.snapshots[:n_before], _weights(self.net.module_)]

    def _swap(self) -> None:
        """Exchange the weights and their average, once there is one."""
        if self._average and self._average.n_updates:
            self._average.swap(self.net.module_)

    def _settle(self, stage: Stage, n_batches: int | None) -> None:
        module = self.net.module_
        self.net.set_learning()
        batches = Batches(stage.lesson, self._n_at_once, self._options.seed, stage.plain)
        rows = (arguments for arguments, _ in batches)
        settle_batch_norm(module, learning_batch_norms(module), rows, self.net.device, n_batches)

    def _with_rate(self, phase: Phase, stage: Stage) -> Phase:
        """The phase with a rate of its own, which is found where nobody gave one."""
        if phase.lr is not None:
            return phase
        found = self._state.found
        if str(phase.train) not in found:
            curve = find_rate(self.net, stage, self._options)
            found[str(phase.train)] = _suggestion(curve, phase)
            prepare(self.net, stage, self._options)
        return replace(phase, lr=found[str(phase.train)])

    def _n_batches(self, stage: Stage) -> int:
        return len(Batches(stage.lesson, self._options.batch_size, 0))

    @property
    def _n_at_once(self) -> int:
        return min(self._options.batch_size, self.net.micro_batch_size or self._options.batch_size)

    def _ends_cycle(self, index: int, phase: Phase) -> bool:
        return index == len(self.phases) - 1 and self._state.epoch in cycle_ends(phase)

    def _write(self) -> None:
        if self._checkpoint is None:
            return
        state = self._state
        optimizer_tensors, optimizer = pack_optimizer(self.net.optimizer_, _names(self.net.module_))
        named = {"module": _weights(self.net.module_), "optimizer": optimizer_tensors}
        if self._average:
            named["average"] = self._average.weights
        if state.best_weights is not None:
            named["best"] = state.best_weights
        named |= {f"snapshot{k}": weights for k, weights in enumerate(state.snapshots)}
        document = {
            "phase": state.phase,
            "epoch": state.epoch,
            "records": state.records,
            "found": state.found,
            "best": state.best,
            "best_epoch": state.best_epoch,
            "n_worse": state.n_worse,
            "n_snapshots": len(state.snapshots),
            "n_updates": self._average.n_updates if self._average else 0,
            "optimizer": optimizer,
            "scaler": self.net.scaler.state_dict(),
            "micro_batch_size": self.net.micro_batch_size,
        }
        tensors = {f"{part}/{name}": tensor for part, some in named.items() for name, tensor in some.items()}
        self._checkpoint.write(tensors, document)

    def _restore(self, tensors: Tensors, document: Record) -> None:
        self._state = _State(
            phase=document["phase"],
            epoch=document["epoch"],
            records=document["records"],
            found=document["found"],
            best=document["best"],
            best_epoch=document["best_epoch"],
            n_worse=document["n_worse"],
            best_weights=_part(tensors, "best") or None,
            snapshots=[_part(tensors, f"snapshot{k}") for k in range(document["n_snapshots"])],
        )
        self.net.micro_batch_size = document["micro_batch_size"]
        self.net.module_.load_state_dict(_part(tensors, "module"))
        for index in range(self._state.phase):
            phase = self.phases[index]
            self.phases[index] = replace(phase, lr=self._state.found[str(phase.train)]) if phase.lr is None else phase
        for record in self._state.records:
            self._report(record)

    def _restore_optimizer(self, tensors: Tensors, document: Record) -> None:
        unpack_optimizer(
            self.net.optimizer_, _names(self.net.module_), _part(tensors, "optimizer"), document["optimizer"]
        )
        self.net.scaler.load_state_dict(document["scaler"])
        if self._average:
            self._average.restore(_part(tensors, "average"), document["n_updates"])


def prepare(net: WeightedNet, stage: Stage, options: Options) -> None:
    """Let the parameters learn that a phase teaches, with an optimizer of their own."""
    named = dict(net.module_.named_parameters())
    for parameter in named.values():
        parameter.requires_grad_(False)
    groups: list[Record] = []
    for factor, names in stage.groups:
        learning = [named[name].requires_grad_(True) for name in names if factor > 0]
        # biases and the scales of normalisations are not pulled to zero
        for decay, some in (
            (options.weight_decay, [weight for weight in learning if weight.ndim > 1]),
            (0.0, [weight for weight in learning if weight.ndim <= 1]),
        ):
            if some:
                groups.append({"params": some, "weight_decay": decay, "factor": factor})
    if options.optimizer == "sgd":
        net.optimizer_ = torch.optim.SGD(groups, lr=1.0, momentum=0.9)
    else:
        net.optimizer_ = torch.optim.AdamW(groups, lr=1.0)
    net.resting = list(stage.resting)


def learn_epoch(
    net: WeightedNet,
    batches: Batches,
    rates: NDArray[np.float64],
    inertia: NDArray[np.float64],
    average: MovingAverage | None = None,
) -> float:
    """Learn from each batch once, at its own rate and momentum; the mean loss of the rows."""
    steps = iter(zip(rates.tolist(), inertia.tolist(), strict=True))

    def step(batch: Batch, **_: Any) -> Record:
        set_rate(net.optimizer_, *next(steps))
        learnt = net.train_step(batch)
        if average:
            average.update(net.module_)
        return learnt

    net.notify("on_epoch_begin", dataset_train=None, dataset_valid=None)
    net.run_single_epoch(batches, training=True, prefix="train", step_fn=step)
    net.notify("on_epoch_end", dataset_train=None, dataset_valid=None)
    net.history[-1]["batches"].clear()  # of long trainings they would fill the memory, and every file
    return float(net.history[-1, "train_loss"])


def learn_once(net: WeightedNet, stage: Stage, phase: Phase, options: Options, n_epochs: int) -> Record:
    """Learn from each row of a stage once at a constant rate, after ``n_epochs`` others; a line of the history.

    Its phase is 0, for it belongs to none of those that ``fit`` went through.
    """
    start, seed = time.perf_counter(), epoch_seed(options.seed, 0, n_epochs)
    batches = Batches(stage.lesson, options.batch_size, seed, stage.change)
    rates, inertia = learning_rates(phase, len(batches)), momenta(phase, len(batches))
    with seeded(seed, net.device):
        loss = learn_epoch(net, batches, rates, inertia)
    _check_finite(net, loss, phase, "this call of partial_fit")
    _check_outputs(net, stage, options, phase)
    record = _record(n_epochs + 1, -1, phase, rates, loss)
    return {**record, "seconds": time.perf_counter() - start}


def _record(
    epoch: int,
    index: int,
    phase: Phase,
    rates: NDArray[np.float64],
    train_loss: float,
    valid_loss: float = math.nan,
    score: float = math.nan,
) -> Record:
    size = phase.image_size
    return {
        "epoch": epoch,
        "phase": index + 1,
        "train": phase.train,
        "image_size": math.nan if size is None else size if isinstance(size, int) else size[0],
        "lr": float(rates[-1]) * phase.group_factors()[-1],
        "train_loss": train_loss,
        "valid_loss": valid_loss,
        "score": score,
        "n_steps": len(rates),
    }


def _check_finite(net: WeightedNet, loss: float, phase: Phase, where: str) -> None:
    """Raise an error if training has run away: the last step of an epoch shows in no loss, but in the weights."""
    if not math.isfinite(loss):
        raise ValueError(f"The loss was {loss} in {where}: try a smaller lr than {phase.lr:g}.")
    learning = [weight.detach() for weight in net.module_.parameters() if weight.requires_grad]
    if not all(bool(norm.isfinite()) for norm in torch._foreach_norm(learning, math.inf)):
        raise ValueError(f"Weights are not finite after {where}: try a smaller lr than {phase.lr:g}.")


def _check_outputs(net: WeightedNet, stage: Stage, options: Options, phase: Phase) -> None:
    """Raise an error if a trained net gives no numbers, as finite weights may be too large to multiply."""
    net.module_.eval()
    batches = Batches(stage.lesson, net.micro_batch_size or options.batch_size, options.seed, stage.plain)
    for arguments, _ in itertools.islice(batches, 1):
        with torch.no_grad():
            outputs = net.module_(**{name: values.to(net.device) for name, values in arguments.items()})
        if not bool(outputs.isfinite().all()):
            raise ValueError(f"The trained network's outputs are not finite: try a smaller lr than {phase.lr:g}.")


def set_rate(optimizer: torch.optim.Optimizer, rate: float, momentum: float) -> None:
    """Set the learning rate, of which each group takes its factor, and the momentum."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum


def find_rate(net: WeightedNet, stage: Stage, options: Options, **sweep: Any) -> RateCurve:
    """Sweep over learning rates, from the net as it is and back; small data sets are gone through several times."""
    kept, seed = _weights(net.module_), epoch_seed(options.seed, -1, 0)

    def batches() -> Generator[Batch]:
        epoch = 0
        while True:
            yield from Batches(stage.lesson, options.batch_size, epoch_seed(options.seed, -1, epoch), stage.change)
            epoch += 1

    endless = batches()

    def step(rate: float) -> float:
        set_rate(net.optimizer_, rate, 0.9)
        return float(net.train_step(next(endless))["loss"])

    with seeded(seed, net.device):
        curve = sweep_rates(step, **sweep)
    endless.close()
    net.module_.load_state_dict(kept)
    return curve


def _suggestion(curve: RateCurve, phase: Phase) -> float:
    """The rate that a curve suggests, or a plain one where it shows nothing: what was learnt must not be lost."""
    try:
        return curve.suggestion
    except ValueError as error:
        warnings.warn(
            f"No learning rate was found for the phases with train={phase.train!r}, which learn at {_PLAIN_RATE:g}: "
            f"give them an lr of their own. {error}",
            UserWarning,
            stacklevel=2,
        )
        return _PLAIN_RATE


def mean_loss(net: WeightedNet, outputs: NDArray[np.float64], lesson: Lesson) -> float:
    """The weighted mean loss of outputs."""
    targets = torch.as_tensor(lesson.targets)
    targets = (targets.long() if targets.ndim == 1 else targets.float()).to(net.device)
    with torch.no_grad():
        losses = net.criterion_(torch.as_tensor(outputs, dtype=torch.float32, device=net.device), targets)
    return float(np.average(losses.cpu().double().numpy(), weights=lesson.weights))


def epoch_seed(seed: int, phase: int, epoch: int) -> int:
    """The seed of an epoch's order, dropout and augmentation."""
    return int(np.random.SeedSequence([seed, phase + 1, epoch]).generate_state(1)[0])


def _names(module: nn.Module) -> dict[nn.Parameter, str]:
    return {parameter: name for name, parameter in module.named_parameters()}


def _weights(module: nn.Module) -> Tensors:
    """A copy of all that a module has learnt, on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in module.state_dict().items()}


def _with_weights(module: nn.Module, weights: Tensors) -> nn.Module:
    other = copy.deepcopy(module)
    other.load_state_dict(weights)
    return other.eval()


def _part(tensors: Tensors, part: str) -> Tensors:
    return {name.removeprefix(f"{part}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{part}/")}
