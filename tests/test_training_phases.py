"""Phases, what they refuse, and the recipes that are made of them."""

from __future__ import annotations

import copy
import json
import pickle
import re
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from skdeep.training.phases import DEFAULT_EPOCHS, RECIPES, Phase, resolve_phases

FULL = {
    "max_epochs": 3,
    "image_size": (48, 64),
    "train": 2,
    "lr": 0.1,
    "lr_mult": (0.0, 0.5, 1.0),
    "policy": "sgdr",
    "cycle_len": 2,
    "cycle_mult": 3,
    "freeze_bn": True,
    "adapt_bn": True,
    "snapshot": True,
}


def resolved(phases: Any, **given: Any) -> list[Phase]:
    return resolve_phases(phases, **{"lr": 0.01, "max_epochs": None, "image_size": None, **given})


@pytest.mark.parametrize(
    ("name", "wrong", "sentence"),
    [
        ("max_epochs", 0, "must be an int in the range [1, inf) or None. Got 0 instead."),
        ("max_epochs", True, "must be an int in the range [1, inf) or None. Got True instead."),
        ("max_epochs", 2.0, "must be an int in the range [1, inf) or None. Got 2.0 instead."),
        (
            "image_size",
            (64,),
            "must be an int in the range [1, inf), a tuple of two of them or None. Got (64,) instead.",
        ),
        ("image_size", (64, 0), "a tuple of two of them or None. Got (64, 0) instead."),
        ("image_size", 64.0, "a tuple of two of them or None. Got 64.0 instead."),
        ("train", "tail", "must be 'head', 'all' or an int in the range [1, inf). Got 'tail' instead."),
        ("train", 0, "must be 'head', 'all' or an int in the range [1, inf). Got 0 instead."),
        ("train", True, "must be 'head', 'all' or an int in the range [1, inf). Got True instead."),
        ("train", None, "must be 'head', 'all' or an int in the range [1, inf). Got None instead."),
        ("train", 4, "must be 'head', 'all' or an int in the range [1, 3], the number of layer groups. Got 4 instead."),
        ("lr", 0.0, "must be a float in the range (0.0, inf) or None. Got 0.0 instead."),
        ("lr", float("nan"), "must be a float in the range (0.0, inf) or None. Got nan instead."),
        ("lr", "auto", "must be a float in the range (0.0, inf) or None. Got 'auto' instead."),
        ("lr_mult", 0.1, "must be a tuple of at least two floats in the range [0.0, inf)"),
        ("lr_mult", (1.0,), "must be a tuple of at least two floats in the range [0.0, inf)"),
        ("lr_mult", (-1.0, 1.0), "must be a tuple of at least two floats in the range [0.0, inf)"),
        ("lr_mult", (1.0, 0.0), "the last of them, the head's, above 0, or None. Got (1.0, 0.0) instead."),
        ("lr_mult", (float("inf"), 1.0), "Got (inf, 1.0) instead."),
        ("policy", "x", "must be a str among {'constant', 'one_cycle', 'sgdr'}. Got 'x' instead."),
        ("cycle_len", 0, "must be an int in the range [1, inf). Got 0 instead."),
        ("cycle_mult", None, "must be an int in the range [1, inf). Got None instead."),
        ("warmup", 1.5, "must be a float in the range [0.0, 1.0]. Got 1.5 instead."),
        ("freeze_bn", 1, "must be an instance of 'bool'. Got 1 instead."),
        ("snapshot", 1, "must be an instance of 'bool'. Got 1 instead."),
        ("cycle_len", 2, "must be 1 unless policy='sgdr'. Got 2 instead."),
        ("cycle_mult", 2, "must be 1 unless policy='sgdr'. Got 2 instead."),
        ("warmup", 0.1, "must be 0.0 unless policy='constant'. Got 0.1 instead."),
    ],
)
def test_a_wrong_field_is_refused_in_one_sentence(name: str, wrong: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        Phase(**{name: wrong})
    assert str(caught.value).startswith(f"The '{name}' parameter of Phase must be ")


def test_as_many_groups_may_learn_as_there_are_factors() -> None:
    assert Phase(train=5, lr_mult=(0.1, 0.2, 0.3, 0.4, 1)).group_factors() == (0.1, 0.2, 0.3, 0.4, 1.0)
    with pytest.raises(ValueError, match=re.escape("an int in the range [1, 2], the number of layer groups. Got 3")):
        Phase(train=3, lr_mult=(0.1, 1))


@pytest.mark.parametrize(
    ("fields", "factors"),
    [
        ({}, (1, 1)),
        ({"train": "head"}, (0, 1)),
        ({"train": 1}, (0, 1)),
        ({"train": 2}, (0, 1, 1)),
        ({"train": 3}, (1, 1, 1)),
        ({"lr_mult": (0.1, 0.2, 2)}, (0.1, 0.2, 2)),
        ({"lr_mult": (0.1, 0.2, 2), "train": "head"}, (0, 0, 2)),
        ({"lr_mult": (0.1, 0.2, 2), "train": 2}, (0, 0.2, 2)),
        ({"lr_mult": (0, 0, 1)}, (0, 0, 1)),
    ],
)
def test_group_factors_are_zero_for_what_does_not_learn(fields: dict[str, Any], factors: tuple[float, ...]) -> None:
    phase = Phase(**fields)
    assert phase.group_factors() == factors
    assert phase.n_groups == len(factors)
    assert phase.trains_head_only == (sum(factor > 0 for factor in factors) == 1)


def test_numbers_of_numpy_are_taken_as_pythons() -> None:
    phase = Phase(
        max_epochs=np.int64(3),
        image_size=[np.int32(48), np.int32(64)],
        train=np.int64(2),
        lr=np.float64(0.1),
        lr_mult=np.array([0.0, 0.5, 1.0]),
        policy=np.str_("sgdr"),
        cycle_len=np.uint8(2),
        cycle_mult=np.int16(3),
        freeze_bn=np.True_,
        adapt_bn=np.True_,
        snapshot=np.True_,
    )
    assert phase == Phase(**FULL)
    assert json.dumps(asdict(phase)) == json.dumps(asdict(Phase(**FULL)))


@pytest.mark.parametrize("phase", [Phase(), Phase(**FULL), *(p for recipe in RECIPES.values() for p in recipe.phases)])
def test_a_phase_equals_what_is_read_from_its_json(phase: Phase) -> None:
    read = Phase(**json.loads(json.dumps(asdict(phase))))
    assert read == phase
    assert hash(read) == hash(phase)


def test_phases_are_copied_and_cloned_as_parameters_are() -> None:
    class Holder(BaseEstimator):
        def __init__(self, phases: Any = "linear_probe") -> None:
            self.phases = phases

    phases = [Phase(**FULL), Phase()]
    assert clone(Holder(phases)).phases == phases
    assert pickle.loads(pickle.dumps(phases)) == copy.deepcopy(phases) == phases


def test_a_field_that_a_phase_sets_stands_and_what_it_leaves_is_filled_in() -> None:
    full, open_ = resolved([Phase(**FULL), Phase(freeze_bn=True)], lr=0.5, max_epochs=9, image_size=32)
    assert full == Phase(**FULL)
    assert open_ == Phase(freeze_bn=True, lr=0.5, max_epochs=9, image_size=32)


def test_what_nobody_sets_has_a_default_or_stays_open() -> None:
    (phase,) = resolved((Phase(),), lr=None)
    assert phase == Phase(max_epochs=DEFAULT_EPOCHS)
    assert phase.lr is phase.image_size is None


@pytest.mark.parametrize("max_epochs", [None, 2])
@pytest.mark.parametrize("name", RECIPES)
def test_resolving_what_a_recipe_resolved_to_changes_nothing(name: str, max_epochs: int | None) -> None:
    phases = resolved(name, max_epochs=max_epochs)
    assert all(phase.max_epochs is not None and phase.lr == 0.01 for phase in phases)
    assert resolve_phases(phases, lr=9.0, max_epochs=99, image_size=None) == phases
    assert phases == resolved(list(phases))


def test_recipes_train_what_their_names_say() -> None:
    assert [(p.train, p.max_epochs, p.policy) for p in resolved("linear_probe")] == [("head", 20, "constant")]
    assert [(p.train, p.max_epochs, p.policy) for p in resolved("from_scratch")] == [("all", 20, "constant")]
    assert all(phase.group_factors() == (1, 1) for phase in resolved("from_scratch"))


def test_fine_tune_is_one_epoch_of_the_head_and_then_falling_rates_towards_the_input() -> None:
    head, whole = resolved("fine_tune", max_epochs=3)
    assert head.trains_head_only
    assert (head.max_epochs, whole.max_epochs) == (1, 3)
    assert resolved("fine_tune")[1].max_epochs == 5
    # half of the rate for the head, a hundredth of that for the first layers, evenly spaced as factors
    assert whole.group_factors() == pytest.approx(0.5 * np.geomspace(1 / 100, 1, 3))


def test_planet_is_the_recipe_of_the_lesson() -> None:
    phases = resolved("planet", image_size=224)
    assert [phase.image_size for phase in phases] == [64, 64, 128, 128, 256, 256]
    assert [phase.trains_head_only for phase in phases] == [True, False] * 3
    assert {phase.group_factors() for phase in phases[1::2]} == {(1 / 9, 1 / 3, 1.0)}
    assert {(p.policy, p.max_epochs, p.cycle_len, p.cycle_mult) for p in phases} == {("sgdr", 7, 1, 2)}
    assert {phase.max_epochs for phase in resolved("planet", max_epochs=3)} == {3}
    assert not any(phase.snapshot for phase in phases)


def test_a_planet_pair_is_planet_with_one_snapshot() -> None:
    pair = resolved("planet_pair")
    assert [phase.snapshot for phase in pair] == [False, False, False, True, False, False]
    assert pair[3].image_size == 128
    assert [replace(phase, snapshot=False) for phase in pair] == resolved("planet")


@pytest.mark.parametrize("wrong", ["planets", [], (), None, Phase(), [Phase(), "planet"], {"planet"}])
def test_phases_that_are_no_recipe_and_no_list_are_refused(wrong: Any) -> None:
    sentence = (
        "The 'phases' parameter of CNNClassifier must be a str among {'linear_probe', 'fine_tune', 'planet', "
        f"'planet_pair', 'from_scratch'}} or a list or tuple of at least one Phase. Got {wrong!r} instead."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        resolved(wrong)
