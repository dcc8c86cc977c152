"""Training as a list of phases: plain data that a grid search can vary, and recipes under a name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

# Epochs of a phase when neither it nor the estimator says how many.
DEFAULT_EPOCHS = 20

_POLICIES = ("constant", "one_cycle", "sgdr")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of training: what learns, how fast, on pictures of which size, and for how long.

    Numbers of numpy become Python's, and lists and arrays tuples, so that a phase equals its copy read from JSON.

    Parameters
    ----------
    max_epochs : int or None, default=None
        Passes over the training data. None takes the estimator's ``max_epochs``, or 20 if that is None too.
    image_size : int, tuple of int or None, default=None
        Side, or height and width, of the pictures. None takes the estimator's.
    train : {"head", "all"} or int, default="all"
        What learns. A number is that of the layer groups that learn, counted from the head, which is the first: 1 is
        ``"head"``, 2 adds the last layers of the backbone. There are as many groups as ``lr_mult`` has factors, or 3.
    lr : float or None, default=None
        The highest rate of a group whose factor is 1, as the head's is unless ``lr_mult`` says otherwise. None takes
        the estimator's.
    lr_mult : tuple of float or None, default=None
        A factor of ``lr`` for each layer group, in the order in which a picture meets them; the last is the head's. A
        group of factor 0 does not learn. None is 1 for all.
    policy : {"constant", "one_cycle", "sgdr"}, default="one_cycle"
        The course of the rate, as in :func:`learning_rates`.
    cycle_len : int, default=1
        Epochs of the first cycle of ``"sgdr"``.
    cycle_mult : int, default=1
        How many times as long as the one before each cycle of ``"sgdr"`` is.
    warmup : float, default=0.0
        Share of the steps of ``"constant"`` over which the rate first rises from 0.
    freeze_bn : bool, default=False
        Whether batch normalisation keeps its running statistics. Its scale and shift learn all the same.
    adapt_bn : bool, default=False
        Whether batch normalisation first takes the statistics of the training pictures at this phase's size, which may
        differ much from those of the pictures that the weights come from.
    snapshot : bool, default=False
        Whether the network at this phase's end is kept, and predicts beside the last phase's: on pictures of this
        phase's size. The network at the end of the last phase predicts in any case; all networks, those of
        ``averaging="snapshots"`` too, count alike. What is judged in training (``early_stopping``, ``history_``) is the
        network that learns, alone.

    Raises
    ------
    ValueError
        If a field has a wrong type or value, there are fewer groups than ``train`` asks for, or a field is set that
        belongs to another policy.

    References
    ----------
    Howard and Ruder, "Universal language model fine-tuning for text classification", ACL, 2018: sections 3.2,
    discriminative fine-tuning, and 3.3, gradual unfreezing. ``adapt_bn``: Li et al., "Revisiting batch normalization
    for practical domain adaptation", ICLR workshop, 2017.

    Examples
    --------
    >>> phase = Phase(max_epochs=7, train=2, lr_mult=(1 / 9, 1 / 3, 1), policy="sgdr", cycle_mult=2)
    >>> phase.n_groups
    3
    >>> [round(factor, 2) for factor in phase.group_factors()]
    [0.0, 0.33, 1.0]
    """

    max_epochs: int | None = None
    image_size: int | tuple[int, int] | None = None
    train: Literal["head", "all"] | int = "all"
    lr: float | None = None
    lr_mult: tuple[float, ...] | None = None
    policy: Literal["constant", "one_cycle", "sgdr"] = "one_cycle"
    cycle_len: int = 1
    cycle_mult: int = 1
    warmup: float = 0.0
    freeze_bn: bool = False
    adapt_bn: bool = False
    snapshot: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = _plain(getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            is_allowed, allowed = _ALLOWED[field.name]
            _check(field.name, value, is_allowed(value), allowed)
        if isinstance(self.train, int):
            allowed = f"'head', 'all' or an int in the range [1, {self.n_groups}], the number of layer groups"
            _check("train", self.train, self.train <= self.n_groups, allowed)
        for name, (policy, default) in _ONLY_WITH.items():
            value = getattr(self, name)
            _check(name, value, value == default or self.policy == policy, f"{default} unless policy={policy!r}")

    @property
    def n_groups(self) -> int:
        """Layer groups to cut: the backbone's, and one that is the head."""
        if self.lr_mult is not None:
            return len(self.lr_mult)
        return 3 if isinstance(self.train, int) and self.train > 1 else 2

    @property
    def trains_head_only(self) -> bool:
        """Whether nothing of the backbone learns."""
        return not any(self.group_factors()[:-1])

    def group_factors(self) -> tuple[float, ...]:
        """The factor of each layer group, input first and head last; 0 for those that do not learn."""
        factors = self.lr_mult or (1,) * self.n_groups
        n_frozen = self.n_groups - self._n_learning()
        return tuple(0.0 if group < n_frozen else float(factor) for group, factor in enumerate(factors))

    def _n_learning(self) -> int:
        if isinstance(self.train, int):
            return self.train
        return 1 if self.train == "head" else self.n_groups


@dataclass(frozen=True)
class Recipe:
    """Phases under a name.

    Attributes
    ----------
    phases : tuple of Phase
    max_epochs : int
        Of each phase that leaves it open, unless the estimator says otherwise.
    """

    phases: tuple[Phase, ...]
    max_epochs: int


def resolve_phases(
    phases: str | list[Phase] | tuple[Phase, ...],
    *,
    lr: float | None,
    max_epochs: int | None,
    image_size: int | tuple[int, int] | None,
) -> list[Phase]:
    """Fill in what phases leave to their estimator.

    Parameters
    ----------
    phases : {"linear_probe", "fine_tune", "planet", "planet_pair", "from_scratch"} or list or tuple of Phase
        ``"linear_probe"`` trains the head for 20 epochs at a constant rate.

        ``"fine_tune"`` trains the head for one epoch, whatever ``max_epochs`` is, and then three groups of layers for
        5, at 1/200, 1/20 and 1/2 of ``lr``. Each phase is one cycle.

        ``"planet"`` goes through pictures of 64, 128 and 256 pixels. On each, batch normalisation takes their
        statistics, and then first the head learns and then three groups of layers, at 1/9, 1/3 and all of ``lr``, for 7
        epochs in cycles of 1, 2 and 4.

        ``"planet_pair"`` is the same, but the network at the end of the fourth phase, that of pictures of 128 pixels,
        is kept and predicts beside the last one.

        ``"from_scratch"`` trains everything for 20 epochs at a constant rate.
    lr : float or None
        For phases that set none; None if it is not known yet.
    max_epochs : int or None
        For phases that set none; None takes the recipe's number, or 20.
    image_size : int, tuple of int or None
        For phases that set none; None is the network's own.

    Returns
    -------
    phases : list of Phase
        All with ``max_epochs``; and with ``lr`` and ``image_size`` where these were given.

    Raises
    ------
    ValueError
        If ``phases`` is no such name, and no list of phases or an empty one.

    References
    ----------
    ``"fine_tune"`` has the epochs and rates of ``Learner.fine_tune`` of fastai 2, but cycles of the shape that
    ``fit_one_cycle`` has by default. ``"planet"`` is the third lesson of fast.ai's course of 2018 on the Kaggle
    competition "Planet: Understanding the Amazon from Space", which leaves the statistics as they are.

    Examples
    --------
    >>> for phase in resolve_phases("fine_tune", lr=1e-3, max_epochs=None, image_size=224):
    ...     print(phase.max_epochs, phase.train, phase.lr_mult)
    1 head None
    5 all (0.005, 0.05, 0.5)
    """
    recipe = _recipe(phases)
    return [
        replace(
            phase,
            lr=phase.lr or lr,
            max_epochs=phase.max_epochs or max_epochs or recipe.max_epochs,
            image_size=phase.image_size or image_size,
        )
        for phase in recipe.phases
    ]


def _recipe(phases: Any) -> Recipe:
    if isinstance(phases, str) and phases in RECIPES:
        return RECIPES[phases]
    if isinstance(phases, list | tuple) and phases and all(isinstance(phase, Phase) for phase in phases):
        return Recipe(tuple(phases), DEFAULT_EPOCHS)
    raise InvalidParameterError(
        f"The 'phases' parameter of CNNClassifier must be {_one_of(RECIPES)} or a list or tuple of at least one Phase. "
        f"Got {phases!r} instead."
    )


def _plain(value: Any) -> Any:
    """Python's own types for numpy's, and tuples for lists."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _check(name: str, value: Any, is_allowed: bool, allowed: str) -> None:
    if not is_allowed:
        raise InvalidParameterError(f"The {name!r} parameter of Phase must be {allowed}. Got {value!r} instead.")


def _is_count(value: Any) -> bool:
    # not isinstance, for True is no number here
    return type(value) is int and value >= 1


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def _is_size(value: Any) -> bool:
    return _is_count(value) or (isinstance(value, tuple) and len(value) == 2 and all(map(_is_count, value)))


def _are_factors(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) >= 2 and all(map(_is_number, value)) and value[-1] > 0


def _one_of(names: Iterable[str]) -> str:
    return f"a str among {{{', '.join(map(repr, names))}}}"


# What each field may be, and how an error says it.
_ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_epochs": (lambda value: value is None or _is_count(value), "an int in the range [1, inf) or None"),
    "image_size": (
        lambda value: value is None or _is_size(value),
        "an int in the range [1, inf), a tuple of two of them or None",
    ),
    "train": (
        lambda value: value in ("head", "all") or _is_count(value),
        "'head', 'all' or an int in the range [1, inf)",
    ),
    "lr": (lambda value: value is None or (_is_number(value) and value > 0), "a float in the range (0.0, inf) or None"),
    "lr_mult": (
        lambda value: value is None or _are_factors(value),
        "a tuple of at least two floats in the range [0.0, inf), the last of them, the head's, above 0, or None",
    ),
    "policy": (lambda value: value in _POLICIES, _one_of(_POLICIES)),
    "cycle_len": (_is_count, "an int in the range [1, inf)"),
    "cycle_mult": (_is_count, "an int in the range [1, inf)"),
    "warmup": (lambda value: _is_number(value) and value <= 1, "a float in the range [0.0, 1.0]"),
    "freeze_bn": (lambda value: isinstance(value, bool), "an instance of 'bool'"),
    "adapt_bn": (lambda value: isinstance(value, bool), "an instance of 'bool'"),
    "snapshot": (lambda value: isinstance(value, bool), "an instance of 'bool'"),
}
# Fields that only one policy reads, and their defaults: set with another they would be lost in silence.
_ONLY_WITH = {"cycle_len": ("sgdr", 1), "cycle_mult": ("sgdr", 1), "warmup": ("constant", 0.0)}

_PLANET = tuple(
    Phase(image_size=image_size, policy="sgdr", cycle_mult=2, **learning)
    for image_size in (64, 128, 256)
    for learning in ({"train": "head", "adapt_bn": True}, {"lr_mult": (1 / 9, 1 / 3, 1)})
)

# What the recipes are; a phase's own numbers stand, the others come from its estimator.
RECIPES = {
    "linear_probe": Recipe((Phase(train="head", policy="constant"),), max_epochs=20),
    "fine_tune": Recipe((Phase(max_epochs=1, train="head"), Phase(lr_mult=(1 / 200, 1 / 20, 1 / 2))), max_epochs=5),
    "planet": Recipe(_PLANET, max_epochs=7),
    "planet_pair": Recipe((*_PLANET[:3], replace(_PLANET[3], snapshot=True), *_PLANET[4:]), max_epochs=7),
    "from_scratch": Recipe((Phase(policy="constant"),), max_epochs=20),
}
