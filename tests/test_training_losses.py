"""Losses: against their formulas in numpy and against torch's; and the weights that go into them."""

from __future__ import annotations

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.special import expit, log_expit, log_softmax, logit, softmax
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from skdeep._validation import Targets, check_targets
from skdeep.training.losses import (
    BPMLL,
    CRITERIA,
    Asymmetric,
    BinaryCrossEntropy,
    Criterion,
    CrossEntropy,
    Focal,
    SoftmaxFocal,
    make_criterion,
)

Array = NDArray[Any]
OF_LABELS: dict[str, Callable[[], Criterion]] = {
    "bce": BinaryCrossEntropy,
    "focal": Focal,
    "focal, 0.5": functools.partial(Focal, 0.5, alpha=0.25),
    "asymmetric": Asymmetric,
    "asymmetric, no margin": functools.partial(Asymmetric, 0.5, 0.3, 0.0),
}
OF_CLASSES: dict[str, Callable[[], Criterion]] = {
    "cross_entropy": CrossEntropy,
    "focal": SoftmaxFocal,
    "focal, 0.5": functools.partial(SoftmaxFocal, 0.5),
}
LABELS = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0], [1, 0, 0], [0, 1, 0]])
CLASSES = np.array(["b", "a", "c", "b", "b", "c"])


def logits_and_indicator(n_rows: int = 20, n_labels: int = 5) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    indicator = rng.integers(2, size=(n_rows, n_labels))
    indicator[0], indicator[1] = 0, 1
    return rng.normal(scale=3, size=(n_rows, n_labels)), indicator


def soft_targets(n_rows: int = 20, n_columns: int = 5, *, shares: bool = False) -> Array:
    targets = np.random.default_rng(1).random((n_rows, n_columns))
    return targets / targets.sum(axis=1, keepdims=True) if shares else targets


def losses(criterion: nn.Module, logits: Any, targets: Any) -> Array:
    dtype = torch.int64 if np.ndim(targets) == 1 else torch.float64
    return criterion(torch.as_tensor(logits, dtype=torch.float64), torch.as_tensor(targets, dtype=dtype)).numpy()


def targets_of(y: Any) -> Targets:
    return check_targets(y, y)


MULTILABEL, MULTICLASS, BINARY = (targets_of(y) for y in (LABELS, CLASSES, CLASSES[[0, 1, 3]]))
ONE_LABEL = Targets("multilabel", LABELS[:, :1], np.array([[0, 1]]))
BY_KIND = {"multilabel": MULTILABEL, "multiclass": MULTICLASS, "binary": BINARY}


def test_bce_equals_its_formula() -> None:
    logits, indicator = logits_and_indicator()
    probabilities = expit(logits)
    expected = -np.log(np.where(indicator, probabilities, 1 - probabilities)).mean(axis=1)
    assert_allclose(losses(BinaryCrossEntropy(), logits, indicator), expected)


def test_a_worked_example_comes_out_the_same_from_probabilities_and_from_logits() -> None:
    # three pictures with three labels, computed by hand from rounded probabilities
    probabilities = np.array([[0.8707, 0.7517, 0.8162], [0.3411, 0.4872, 0.6815], [0.4847, 0.6589, 0.5273]])
    targets = np.array([[0, 1, 1], [1, 1, 1], [0, 0, 0]])
    expected = pytest.approx(0.8000147727101611, rel=1e-14)
    tensors = [torch.tensor(values, dtype=torch.float64) for values in (probabilities, logit(probabilities), targets)]
    assert nn.BCELoss()(tensors[0], tensors[2]).item() == expected
    assert nn.BCEWithLogitsLoss()(tensors[1], tensors[2]).item() == expected
    assert losses(BinaryCrossEntropy(), logit(probabilities), targets).mean() == expected


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_equals_its_formula(gamma: float, alpha: float | None) -> None:
    logits, indicator = logits_and_indicator()
    p_t = np.where(indicator, expit(logits), expit(-logits))
    alpha_t = 1.0 if alpha is None else np.where(indicator, alpha, 1 - alpha)
    expected = (-alpha_t * (1 - p_t) ** gamma * np.log(p_t)).mean(axis=1)
    assert_allclose(losses(Focal(gamma, alpha), logits, indicator), expected)


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_equals_torchvisions(alpha: float | None) -> None:
    logits, indicator = (torch.tensor(values, dtype=torch.float64) for values in logits_and_indicator())
    expected = sigmoid_focal_loss(logits, indicator, alpha=-1 if alpha is None else alpha, gamma=2)
    torch.testing.assert_close(Focal(alpha=alpha)(logits, indicator), expected.mean(dim=1))


@pytest.mark.parametrize(("gamma_neg", "gamma_pos", "margin"), [(4, 0, 0.05), (4, 1, 0.05), (2, 1, 0), (0, 0, 0.3)])
def test_asymmetric_equals_its_formula(gamma_neg: float, gamma_pos: float, margin: float) -> None:
    logits, indicator = logits_and_indicator()
    p = expit(logits)
    p_m = np.maximum(p - margin, 0)
    entries = np.where(indicator, (1 - p) ** gamma_pos * -np.log(p), p_m**gamma_neg * -np.log1p(-p_m))
    got = losses(Asymmetric(gamma_neg, gamma_pos, margin), logits, indicator)
    assert_allclose(got, entries.mean(axis=1), atol=1e-12)


def test_asymmetric_does_not_care_for_easy_negatives() -> None:
    logits = torch.tensor([[-3.0, -5.0]], requires_grad=True)  # probabilities of 0.047 and less
    loss = Asymmetric()(logits, torch.zeros(1, 2))
    loss.sum().backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_cross_entropy_equals_its_formula() -> None:
    logits, _ = logits_and_indicator()
    classes = np.arange(len(logits)) % 5
    expected = -log_softmax(logits, axis=1)[np.arange(len(logits)), classes]
    assert_allclose(losses(CrossEntropy(), logits, classes), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_of_classes_equals_its_formula(gamma: float) -> None:
    logits, _ = logits_and_indicator()
    classes = np.arange(len(logits)) % 5
    p = softmax(logits, axis=1)[np.arange(len(logits)), classes]
    assert_allclose(losses(SoftmaxFocal(gamma), logits, classes), -((1 - p) ** gamma) * np.log(p))


def test_focal_of_two_classes_is_the_same_from_one_output_and_from_two() -> None:
    logits, _ = logits_and_indicator(n_labels=1)
    classes = np.arange(len(logits)) % 2
    two = losses(SoftmaxFocal(), np.hstack([np.zeros_like(logits), logits]), classes)
    assert_allclose(two, losses(Focal(), logits, classes[:, None]))


def test_bp_mll_equals_the_sum_over_pairs() -> None:
    logits, indicator = logits_and_indicator()
    outputs = np.tanh(logits)
    expected = []
    for row, relevant in zip(outputs, indicator, strict=True):
        pairs = [np.exp(row[j] - row[i]) for i in np.flatnonzero(relevant) for j in np.flatnonzero(1 - relevant)]
        expected.append(np.mean(pairs) if pairs else 0.0)
    assert_allclose(losses(BPMLL(), logits, indicator), expected)
    assert expected[0] == expected[1] == 0


@pytest.mark.parametrize("name", OF_LABELS)
def test_a_soft_target_of_a_label_costs_the_mean_of_its_sides(name: str) -> None:
    logits, _ = logits_and_indicator(n_labels=1)
    targets, criterion = soft_targets(n_columns=1), OF_LABELS[name]()
    there, absent = (losses(criterion, logits, np.full_like(targets, side)) for side in (1, 0))
    assert_allclose(losses(criterion, logits, targets), targets[:, 0] * there + (1 - targets[:, 0]) * absent)
    assert criterion.accepts_soft


@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_shares_of_classes_cost_the_mean_of_the_classes(name: str, smoothing: float) -> None:
    logits, _ = logits_and_indicator()
    criterion, shares = OF_CLASSES[name](), soft_targets(shares=True)
    criterion.label_smoothing = smoothing
    criterion.class_weights = torch.tensor([0.5, 1.0, 2.0, 0.0, 4.0])
    each = np.stack([losses(criterion, logits, np.full(20, k)) for k in range(5)], axis=1)
    assert_allclose(losses(criterion, logits, shares), (shares * each).sum(axis=1))
    one_hot = np.eye(5)[np.arange(20) % 5]
    assert_allclose(losses(criterion, logits, one_hot), losses(criterion, logits, np.arange(20) % 5))


@pytest.mark.parametrize("criterion", [*OF_LABELS.values(), BPMLL], ids=[*OF_LABELS, "bp_mll"])
@pytest.mark.parametrize("size", [0.0, 1.0, 100.0, 1e4])
def test_gradients_of_labels_are_finite(criterion: Callable[[], Criterion], size: float) -> None:
    logits, indicator = logits_and_indicator()
    logits[2:4] = np.sign(logits[2:4])
    tensor = torch.tensor(logits * size, dtype=torch.float32, requires_grad=True)
    loss = criterion()(tensor, torch.tensor(indicator, dtype=torch.float32))
    loss.mean().backward()
    assert torch.isfinite(loss).all()
    assert tensor.grad is not None
    assert torch.isfinite(tensor.grad).all()
    if criterion is BPMLL:
        assert (tensor.grad[:2] == 0).all()


@pytest.mark.parametrize("criterion", OF_CLASSES.values(), ids=OF_CLASSES)
@pytest.mark.parametrize("size", [0.0, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("soft", [False, True])
def test_gradients_of_classes_are_finite(criterion: Callable[[], Criterion], size: float, soft: bool) -> None:
    logits, _ = logits_and_indicator()
    logits[2:4] = np.sign(logits[2:4])
    tensor = torch.tensor(logits * size, dtype=torch.float32, requires_grad=True)
    targets = torch.tensor(soft_targets(shares=True)).float() if soft else torch.arange(20) % 5
    loss = criterion()(tensor, targets)
    loss.mean().backward()
    assert torch.isfinite(loss).all()
    assert tensor.grad is not None
    assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize("sign", [-1, 1])
def test_float32_is_as_exact_far_out_as_near(sign: int) -> None:
    logits = np.array([[0.1, 5.0, 30.0, 80.0]]) * sign
    for side in (0.0, 1.0):
        got = BinaryCrossEntropy().sides(torch.tensor(logits, dtype=torch.float32))[int(1 - side)].numpy()
        assert_allclose(got, -log_expit(logits if side else -logits), rtol=1e-6)
        got = Focal().sides(torch.tensor(logits, dtype=torch.float32))[int(1 - side)].numpy()
        own, other = (log_expit(z) for z in ((logits, -logits) if side else (-logits, logits)))
        assert_allclose(got, -np.exp(2 * other) * own, rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("name", OF_LABELS)
def test_gradients_of_labels_are_those_of_differences(name: str) -> None:
    logits, indicator = logits_and_indicator(n_rows=6)
    criterion = OF_LABELS[name]()
    criterion.label_smoothing = 0.1
    criterion.side_weights = torch.rand(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for targets in (indicator, soft_targets(6)):
        tensor = torch.tensor(logits, requires_grad=True)
        fixed = torch.tensor(targets, dtype=torch.float64)
        assert torch.autograd.gradcheck(lambda z, t=fixed: criterion(z, t), tensor)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_gradients_of_classes_are_those_of_differences(name: str) -> None:
    logits, _ = logits_and_indicator(n_rows=6)
    criterion = OF_CLASSES[name]()
    criterion.label_smoothing = 0.1
    criterion.class_weights = torch.arange(1, 6, dtype=torch.float64)
    for targets in (torch.arange(6) % 5, torch.tensor(soft_targets(6, shares=True))):
        tensor = torch.tensor(logits, requires_grad=True)
        assert torch.autograd.gradcheck(lambda z, t=targets: criterion(z, t), tensor)


NUMBERS = st.floats(-50, 50, width=32)
SHARES = st.floats(0, 1, width=32)
ROWS = st.lists(st.tuples(NUMBERS, SHARES), min_size=1, max_size=8)


@settings(deadline=None, max_examples=50)
@given(rows=ROWS, name=st.sampled_from(sorted(OF_LABELS)))
def test_no_loss_of_labels_is_negative(rows: list[tuple[float, float]], name: str) -> None:
    logits, targets = np.array(rows, dtype=float).T[:, None]
    assert losses(OF_LABELS[name](), logits, targets).item() >= 0


@settings(deadline=None, max_examples=50)
@given(rows=ROWS)
def test_focal_and_asymmetric_without_focus_are_bce(rows: list[tuple[float, float]]) -> None:
    logits, targets = np.array(rows, dtype=float).T[:, None]
    expected = losses(BinaryCrossEntropy(), logits, targets)
    for criterion in (Focal(gamma=0), Asymmetric(0, 0, 0), Asymmetric(0, 0, 1e-30)):
        assert_allclose(losses(criterion, logits, targets), expected, rtol=1e-6, atol=1e-10)


@settings(deadline=None, max_examples=50)
@given(rows=ROWS, gamma=st.sampled_from([1.0, 2.0, 4.0]))
def test_asymmetric_with_equal_focus_and_no_margin_is_focal(rows: list[tuple[float, float]], gamma: float) -> None:
    logits, targets = np.array(rows, dtype=float).T[:, None]
    got = losses(Asymmetric(gamma, gamma, 0), logits, targets)
    assert_allclose(got, losses(Focal(gamma), logits, targets), rtol=1e-6, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(rows=ROWS, factor=st.sampled_from([0.0, 0.25, 3.0]), name=st.sampled_from(sorted(OF_LABELS)))
def test_losses_are_linear_in_the_weights_of_sides(rows: list[Any], factor: float, name: str) -> None:
    logits, targets = np.array(rows, dtype=float).T[:, None]
    plain, weighted = OF_LABELS[name](), OF_LABELS[name]()
    weighted.side_weights = torch.full((2, len(rows)), factor)
    assert_allclose(losses(weighted, logits, targets), factor * losses(plain, logits, targets), rtol=1e-9)
    sides = np.zeros((2, 2, len(rows)))
    sides[0, 0], sides[1, 1] = 1, 1
    parts = []
    for one_side in sides:
        weighted.side_weights = torch.tensor(one_side)
        parts.append(losses(weighted, logits, targets))
    assert_allclose(sum(parts), losses(plain, logits, targets), rtol=1e-9)


@pytest.mark.parametrize(
    ("kind", "auto"),
    [("binary", BinaryCrossEntropy), ("multiclass", CrossEntropy), ("multilabel", BinaryCrossEntropy)],
)
def test_auto_criterion_suits_the_targets(kind: str, auto: type) -> None:
    assert type(make_criterion("auto", BY_KIND[kind])) is auto


def test_names_make_losses_and_focal_is_one_of_labels_or_of_classes() -> None:
    assert sorted(CRITERIA) == ["asymmetric", "bce", "bp_mll", "cross_entropy", "focal"]
    for name, kind in CRITERIA.items():
        targets = MULTICLASS if name == "cross_entropy" else MULTILABEL
        assert type(make_criterion(name, targets)) is kind
    assert type(make_criterion("focal", MULTICLASS)) is SoftmaxFocal
    assert type(make_criterion("focal", BINARY)) is Focal
    assert [name for name, kind in CRITERIA.items() if not kind.accepts_soft] == ["bp_mll"]


@pytest.mark.parametrize(
    ("criterion", "targets", "message"),
    [
        (
            "bp_mll",
            BINARY,
            r"'bp_mll' does not suit binary targets; use one of \['auto', 'bce', 'focal', 'asymmetric'\]",
        ),
        ("bce", MULTICLASS, r"'bce' does not suit multiclass targets; use one of \['auto', 'cross_entropy', 'focal'\]"),
        ("cross_entropy", MULTILABEL, r"does not suit multilabel targets; use one of .*'asymmetric', 'bp_mll'\]"),
        ("hinge", MULTILABEL, r"criterion='hinge' does not suit multilabel targets; use one of"),
        (Focal(), MULTICLASS, r"criterion=Focal\(\) does not suit multiclass targets"),
        (BPMLL, ONE_LABEL, "ranks pairs of labels and needs at least 2 labels, got 1"),
        ("bp_mll", ONE_LABEL, "ranks pairs of labels and needs at least 2 labels, got 1"),
        (3, MULTILABEL, r"must be a str among {'auto', .*'focal'}, a callable, or an nn.Module .* Got 3 instead"),
    ],
)
def test_a_criterion_that_does_not_suit_is_refused(criterion: Any, targets: Targets, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_criterion(criterion, targets)


def random_rows(targets: Targets) -> tuple[Array, Array]:
    """Logits, and the targets as a net is given them."""
    values = targets.values.reshape(-1, 1) if targets.kind == "binary" else targets.values
    return np.random.default_rng(2).normal(scale=3, size=(len(values), targets.n_outputs)), values


def made_and_plain(name: Any, targets: Targets, **weights: Any) -> tuple[Array, Array]:
    """Losses with weights, and the losses of each entry without."""
    logits, values = random_rows(targets)
    plain = make_criterion(name, targets)
    entries = losses(plain, logits, values)
    if targets.kind == "multilabel":
        columns = [(logits[:, [j]], values[:, [j]]) for j in range(targets.n_outputs)]
        entries = np.stack([losses(plain, *column) for column in columns], axis=1)
    return losses(make_criterion(name, targets, **weights), logits, values), entries


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_weights_are_factors_of_the_rows_of_their_class(name: str, smoothing: float) -> None:
    logits, values = random_rows(MULTICLASS)
    plain, weighted = (
        make_criterion(name, MULTICLASS, class_weight=class_weight, label_smoothing=smoothing)
        for class_weight in (None, {"a": 2, "b": 0.5})
    )
    expected = losses(plain, logits, values) * np.array([2, 0.5, 1])[values]
    assert_allclose(losses(weighted, logits, values), expected)


@pytest.mark.parametrize("name", ["bce", "focal", "asymmetric"])
def test_class_weights_of_two_classes_are_factors_of_their_rows(name: str) -> None:
    got, plain = made_and_plain(name, BINARY, class_weight={"b": 3.0})
    assert_allclose(got, plain * np.where(CLASSES[[0, 1, 3]] == "b", 3, 1))


@pytest.mark.parametrize("targets", [BINARY, MULTICLASS], ids=["binary", "multiclass"])
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 3.0, 1.0, 0.5, 4.0]])
def test_balanced_class_weights_are_scikit_learns(targets: Targets, weights: Any) -> None:
    y = targets.classes[targets.values]
    weights = None if weights is None else np.array(weights)[: len(y)]
    expected = compute_class_weight("balanced", classes=targets.classes, y=y, sample_weight=weights)
    got, plain = made_and_plain("auto", targets, class_weight="balanced", weights=weights)
    assert_allclose(got, plain * expected[targets.values], rtol=1e-6)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2.0, 3.0, 1.0, 0.5])])
def test_balanced_labels_are_each_scikit_learns_and_constant_ones_weigh_1(weights: Array | None) -> None:
    got, entries = made_and_plain("bce", MULTILABEL, class_weight="balanced", weights=weights)
    factors = np.ones_like(entries)
    for j in (0, 1):
        sides = compute_class_weight("balanced", classes=np.array([0, 1]), y=LABELS[:, j], sample_weight=weights)
        factors[:, j] = sides[LABELS[:, j]]
    assert_allclose(got, (entries * factors).mean(axis=1), rtol=1e-6)


def test_dicts_of_labels_are_factors_of_their_entries() -> None:
    class_weight = [{0: 1, 1: 5}, {0: 0.5, 1: 2}, {1: 7}]
    got, entries = made_and_plain("focal", MULTILABEL, class_weight=class_weight)
    table = np.array([[1, 0.5, 1], [5, 2, 7]])
    assert_allclose(got, (entries * table[LABELS, np.arange(3)]).mean(axis=1))


def test_rows_of_no_weight_do_not_count_in_what_is_balanced() -> None:
    weights = np.array([1.0, 0.0, 1.0, 1.0, 1.0, 1.0])  # the only "a"
    criterion = make_criterion("auto", MULTICLASS, class_weight="balanced", weights=weights)
    assert isinstance(criterion, CrossEntropy)
    assert criterion.class_weights is not None
    assert_allclose(criterion.class_weights, [1, 5 / 6, 5 / 4])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("pos_weight", [2.5, [0.5, 1.0, 8.0], np.array([0.5, 1.0, 8.0])])
def test_bce_with_pos_weight_and_smoothing_is_torchs(smoothing: float, pos_weight: Any) -> None:
    logits, values = (torch.tensor(some, dtype=torch.float64) for some in random_rows(MULTILABEL))
    expected = F.binary_cross_entropy_with_logits(
        logits,
        values * (1 - smoothing) + smoothing / 2,
        pos_weight=torch.as_tensor(pos_weight, dtype=torch.float64),
        reduction="none",
    ).mean(dim=1)
    criterion = make_criterion("bce", MULTILABEL, pos_weight=pos_weight, label_smoothing=smoothing)
    torch.testing.assert_close(criterion(logits, values), expected)


@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy_with_smoothing_is_torchs(soft: bool) -> None:
    logits, values = (torch.tensor(some) for some in random_rows(MULTICLASS))
    targets = torch.tensor(soft_targets(6, 3, shares=True)) if soft else values
    expected = F.cross_entropy(logits, targets, reduction="none", label_smoothing=0.3)
    criterion = make_criterion("cross_entropy", MULTICLASS, label_smoothing=0.3)
    torch.testing.assert_close(criterion(logits, targets), expected)


def test_cross_entropy_with_class_weights_is_torchs() -> None:
    logits, values = (torch.tensor(some) for some in random_rows(MULTICLASS))
    weight = torch.tensor([2.0, 0.5, 1.0], dtype=torch.float64)
    for targets in (values, torch.tensor(soft_targets(6, 3, shares=True))):
        expected = F.cross_entropy(logits, targets, weight=weight, reduction="none")
        criterion = make_criterion("cross_entropy", MULTICLASS, class_weight={"a": 2, "b": 0.5, "c": 1})
        torch.testing.assert_close(criterion(logits, targets), expected)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2.0, 3.0, 1.0, 0.5])])
def test_balanced_pos_weight_makes_both_sides_weigh_the_same_and_constant_labels_weigh_1(weights: Any) -> None:
    criterion = make_criterion("bce", MULTILABEL, pos_weight="balanced", weights=weights)
    assert isinstance(criterion, BinaryCrossEntropy)
    assert criterion.pos_weight is not None
    of_rows = np.ones(5) if weights is None else weights
    expected = [of_rows[LABELS[:, j] == 0].sum() / of_rows[LABELS[:, j] == 1].sum() for j in (0, 1)]
    assert_allclose(criterion.pos_weight, [*expected, 1], rtol=1e-6)


@pytest.mark.parametrize("constant", [0, 1])
@pytest.mark.parametrize("weights", [{"class_weight": "balanced"}, {"pos_weight": "balanced"}])
def test_a_constant_label_weighs_1_where_labels_are_balanced(constant: int, weights: dict[str, Any]) -> None:
    targets = Targets("multilabel", np.full((4, 1), constant), np.array([[0, 1]]))
    logits = np.linspace(-2, 2, 4)[:, None]
    criterion, plain = make_criterion("bce", targets, **weights), make_criterion("bce", targets)
    for side in (0, 1):
        values = np.full((4, 1), side)
        assert_array_equal(losses(criterion, logits, values), losses(plain, logits, values))


def test_pos_weight_of_two_classes_is_that_of_the_second() -> None:
    got, plain = made_and_plain("bce", BINARY, pos_weight=[4.0])
    assert_allclose(got, plain * np.where(BINARY.values == 1, 4, 1))


@pytest.mark.parametrize(
    ("targets", "weights", "message"),
    [
        (MULTICLASS, {"class_weight": {"d": 1}}, r"names 'd', but y has the classes 'a', 'b', 'c'"),
        (MULTICLASS, {"class_weight": {"a": -1}}, r"finite weights that are not negative, .* Got {'a': -1} instead"),
        (MULTICLASS, {"class_weight": {"a": np.nan}}, r"finite weights that are not negative"),
        (BINARY, {"class_weight": {"a": 0, "b": 0}}, r"not all zero. Got {'a': 0, 'b': 0} instead"),
        (BINARY, {"class_weight": [{0: 1, 1: 1}]}, r"a dict from classes to weights, 'balanced' or None. Got \[\{0"),
        (BINARY, {"class_weight": "even"}, r"a dict from classes to weights, 'balanced' or None. Got 'even' instead"),
        (MULTILABEL, {"class_weight": {0: 1, 1: 2}}, r"one dict .* each of the 3 labels, .* Got {0: 1, 1: 2} instead"),
        (MULTILABEL, {"class_weight": [{0: 1, 1: 2}]}, r"one dict .* each of the 3 labels, .* Got 1 of them instead"),
        (MULTILABEL, {"class_weight": [{}, {}, {2: 1}]}, r"names 2, but y has the classes 0, 1"),
        (MULTICLASS, {"pos_weight": 2.0}, r"for two classes and for labels, got multiclass targets: use class_weight"),
        (
            MULTILABEL,
            {"pos_weight": 0.0},
            r"a positive float, or one for each label, of shape \(3,\), .* Got 0.0",
        ),
        (MULTILABEL, {"pos_weight": np.inf}, r"a positive float, or one for each label"),
        (MULTILABEL, {"pos_weight": [1.0, 2.0]}, r"of shape \(3,\), 'balanced' or None. Got \[1.0, 2.0\] instead"),
        (MULTILABEL, {"pos_weight": "even"}, r"of shape \(3,\), 'balanced' or None. Got 'even' instead"),
        (BINARY, {"pos_weight": 2.0, "class_weight": "balanced"}, r"class_weight and pos_weight .* set one of them"),
        (
            BINARY,
            {"label_smoothing": 1.0},
            r"'label_smoothing' parameter must be a float in the range \[0, 1\).",
        ),
        (BINARY, {"label_smoothing": -0.1}, r"in the range \[0, 1\). Got -0.1 instead"),
    ],
)
def test_weights_that_do_not_suit_are_refused(targets: Targets, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_criterion("auto", targets, **weights)


@pytest.mark.parametrize("criterion", ["bp_mll", nn.BCEWithLogitsLoss(), lambda logits, targets: logits])
@pytest.mark.parametrize("weights", [{"class_weight": "balanced"}, {"pos_weight": 2.0}, {"label_smoothing": 0.1}])
def test_weights_are_refused_for_bp_mll_and_for_a_users_own(criterion: Any, weights: dict[str, Any]) -> None:
    message = rf"does not take {next(iter(weights))}: only 'bce', 'focal', 'asymmetric', 'cross_entropy' do"
    with pytest.raises(ValueError, match=message):
        make_criterion(criterion, MULTILABEL, **weights)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Focal(gamma=-1), "'gamma' parameter must be a number from 0 upwards. Got -1 instead"),
        (lambda: Focal(alpha=2), "'alpha' parameter must be a number from 0 to 1. Got 2 instead"),
        (lambda: Asymmetric(margin=-0.1), "'margin' parameter must be a number from 0 to 1. Got -0.1 instead"),
        (lambda: SoftmaxFocal(float("nan")), "'gamma' parameter must be a number from 0 upwards. Got nan instead"),
    ],
)
def test_parameters_of_losses_out_of_range_are_refused(make: Callable[[], Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make()


def row_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (logits - targets).square().mean(dim=1)


def entry_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (logits - targets).square()


def mean_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (logits - targets).square().mean()


class Squares(nn.Module):
    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return entry_losses(logits, targets)


@pytest.mark.parametrize("own", [row_losses, entry_losses, Squares, Squares(), nn.MSELoss(), nn.MSELoss])
def test_own_criterion_gives_one_loss_a_row(own: Any) -> None:
    logits, values = random_rows(MULTILABEL)
    criterion = make_criterion(own, MULTILABEL, weights=np.arange(5.0))
    assert_allclose(losses(criterion, logits, values), ((logits - values) ** 2).mean(axis=1))
    assert_array_equal(losses(pickle.loads(pickle.dumps(criterion)), logits, values), losses(criterion, logits, values))


@pytest.mark.parametrize("own", [nn.CrossEntropyLoss(), nn.CrossEntropyLoss, F.cross_entropy])
def test_torchs_cross_entropy_is_ours_as_an_own_criterion(own: Any) -> None:
    logits, values = random_rows(MULTICLASS)
    got, expected = (losses(make_criterion(criterion, MULTICLASS), logits, values) for criterion in (own, "auto"))
    assert got.shape == expected.shape
    assert got.mean() == pytest.approx(expected.mean())
    assert own is F.cross_entropy or got == pytest.approx(expected)


def test_one_loss_for_all_rows_is_taken_only_where_all_weigh_the_same() -> None:
    logits, values = random_rows(MULTILABEL)
    for weights in (None, np.full(5, 3.0)):
        got = losses(make_criterion(mean_loss, MULTILABEL, weights=weights), logits, values)
        assert_allclose(got, np.full(5, ((logits - values) ** 2).mean()))
    criterion = make_criterion(mean_loss, MULTILABEL, weights=np.arange(5.0))
    with pytest.raises(ValueError, match="one loss for all rows, but the rows weigh differently: let it give one a"):
        losses(criterion, logits, values)


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        (lambda logits, targets: 1.0, "must give a tensor, but gave a float"),
        (lambda logits, targets: logits[:2, 0], r"of shape \(5,\), \(5, n_labels\) or \(\), but gave shape \(2,\)"),
        (lambda logits, targets: logits[None, :, :], r"but gave shape \(1, 5, 3\)"),
    ],
)
def test_own_criterion_that_gives_no_losses_is_refused(gives: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        losses(make_criterion(gives, MULTILABEL), *random_rows(MULTILABEL))


def test_own_criterion_is_copied_and_left_as_it_is() -> None:
    own = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0]))
    criterion = make_criterion(own, MULTILABEL)
    assert own.reduction == "mean"
    assert [id(module) for module in criterion.modules()].count(id(own)) == 0
    got = losses(criterion, *random_rows(MULTILABEL))
    expected = losses(make_criterion("bce", MULTILABEL, pos_weight=[1, 2, 3]), *random_rows(MULTILABEL))
    assert_allclose(got, expected)
    assert dict(criterion.named_buffers()).keys() == {"loss.pos_weight"}  # goes where the criterion goes


def test_a_loss_of_ours_with_parameters_takes_weights_and_is_left_as_it_is() -> None:
    own = Focal(gamma=3)
    criterion = make_criterion(own, MULTILABEL, pos_weight=2.0, label_smoothing=0.1)
    assert isinstance(criterion, Focal)
    assert (criterion.gamma, criterion.label_smoothing, own.label_smoothing) == (3, 0.1, 0)
    assert criterion.pos_weight is not None
    assert own.pos_weight is None


@pytest.mark.parametrize("own", [nn.BCELoss(), nn.BCELoss, F.binary_cross_entropy, nn.NLLLoss(), F.nll_loss])
@pytest.mark.parametrize(
    ("targets", "instead"),
    [
        (BINARY, "'bce' or torch.nn.BCEWithLogitsLoss"),
        (MULTICLASS, "'cross_entropy' or torch.nn.CrossEntropyLoss"),
        (MULTILABEL, "'bce' or torch.nn.BCEWithLogitsLoss"),
    ],
)
def test_losses_of_probabilities_are_refused(own: Any, targets: Targets, instead: str) -> None:
    with pytest.raises(ValueError, match=f"takes .*probabilities, but a criterion is given logits: use {instead}"):
        make_criterion(own, targets)


@pytest.mark.parametrize(
    ("own", "targets", "message"),
    [
        (nn.CrossEntropyLoss(), BINARY, r"is for multiclass targets, .* of binary ones: use 'bce' or torch.nn.BCEWith"),
        (nn.CrossEntropyLoss, MULTILABEL, r"is for multiclass targets, .* of multilabel ones: use 'bce'"),
        (F.cross_entropy, MULTILABEL, r"is for multiclass targets, .* of multilabel ones: use 'bce'"),
        (nn.BCEWithLogitsLoss(), MULTICLASS, r"is for binary and multilabel targets, .* ones: use 'cross_entropy' or"),
        (F.binary_cross_entropy_with_logits, MULTICLASS, r"is for binary and multilabel targets"),
    ],
)
def test_torchs_losses_for_other_targets_are_refused(own: Any, targets: Targets, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_criterion(own, targets)


def test_a_class_that_needs_arguments_is_refused() -> None:
    class Needy(nn.Module):
        def __init__(self, gamma: float) -> None:
            super().__init__()

    with pytest.raises(ValueError, match=r"cannot be made without arguments \(.*gamma.*\): give an instance"):
        make_criterion(Needy, MULTILABEL)


@pytest.mark.parametrize("weights", [{}, {"class_weight": "balanced"}, {"pos_weight": "balanced"}])
def test_criteria_are_copied_and_pickled_with_their_weights(weights: dict[str, Any]) -> None:
    logits, values = random_rows(MULTILABEL)
    criterion = make_criterion("focal", MULTILABEL, label_smoothing=0.1, **weights)
    expected = losses(criterion, logits, values)
    for other in (copy.deepcopy(criterion), pickle.loads(pickle.dumps(criterion))):
        assert_array_equal(losses(other, logits, values), expected)


def slope_at_prior(criterion: Criterion, targets: Array, weights: Array, n_outputs: int) -> Array:
    """What a constant answer at the prior would change of the mean loss."""
    prior = criterion.prior(targets, weights, n_outputs)
    assert prior is not None
    bias = torch.tensor(prior, requires_grad=True)
    of_rows = torch.tensor(targets) if targets.ndim == 1 else torch.tensor(targets, dtype=torch.float64)
    losses = criterion.double()(bias.expand(len(targets), -1), of_rows)
    (losses * torch.tensor(weights)).mean().backward()
    assert bias.grad is not None
    return bias.grad.numpy()


@pytest.mark.parametrize(
    "options",
    [{}, {"class_weight": "balanced"}, {"class_weight": [{0: 2, 1: 1}, {1: 3}, {}]}, {"pos_weight": [0.5, 2, 7]}],
)
def test_prior_of_labels_is_their_best_constant_answer(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    indicator = (rng.random((5000, 3)) < [0.02, 0.3, 0.9]).astype(int)
    weights = rng.random(5000)
    criterion = make_criterion("bce", check_targets(indicator, indicator), **options, weights=weights)
    assert_allclose(slope_at_prior(criterion, indicator, weights, 3), 0, atol=1e-4)
    if not options:
        assert_allclose(expit(criterion.prior(indicator, weights, 3)), weights @ indicator / weights.sum(), atol=1e-3)


@pytest.mark.parametrize("options", [{}, {"class_weight": "balanced"}, {"class_weight": {"a": 5, "c": 0.1}}])
def test_prior_of_classes_is_their_best_constant_answer(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(["a", "b", "c"], 5000, p=[0.05, 0.15, 0.8])
    targets, weights = check_targets(y, y), rng.random(5000)
    criterion = make_criterion("cross_entropy", targets, **options, weights=weights)
    assert_allclose(slope_at_prior(criterion, targets.columns, weights, 3), 0, atol=2e-4)
    assert_allclose(softmax(criterion.prior(targets.columns, weights, 3)).sum(), 1)


def test_prior_of_what_never_occurs_is_finite() -> None:
    labels = BinaryCrossEntropy().prior(np.array([[0, 1], [0, 1]]), np.ones(2), 2)
    assert_allclose(labels, [np.log(0.5 / 2.5), np.log(2.5 / 0.5)])
    assert_allclose(BinaryCrossEntropy().prior(np.array([0, 1, 0]), np.ones(3), 1), [np.log(1.5 / 2.5)])
    assert_allclose(softmax(CrossEntropy().prior(np.array([0, 0, 1]), np.ones(3), 3)), np.array([2.5, 1.5, 0.5]) / 4.5)


def test_losses_of_rankings_and_of_users_have_no_prior() -> None:
    targets = check_targets(LABELS, LABELS)
    for criterion in (BPMLL(), make_criterion(F.binary_cross_entropy_with_logits, targets)):
        assert criterion.prior(LABELS, np.ones(5), 3) is None
