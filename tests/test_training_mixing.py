"""Mixing of pictures, targets and weights: what mixup and cutmix do, and that the loss is the mixture's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skdeep._validation import Targets, check_targets
from skdeep.images import Augmentation
from skdeep.training.losses import make_criterion
from skdeep.training.mixing import mix

MIXUP, CUTMIX, BOTH = Augmentation(mixup=1.0), Augmentation(cutmix=1.0), Augmentation(mixup=1.0, cutmix=1.0)
SIDES = (24, 32)

Mixed = tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 8, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Pictures of one grey each, a number beside each that is its row, and noise in a second channel."""
    greys = torch.arange(n).mul(30).to(torch.uint8)[:, None, None, None].expand(n, 1, *SIDES)
    noise = torch.randint(256, (n, 1, *SIDES), generator=seeded(9)).to(torch.uint8)
    pixels = torch.cat([greys, noise], dim=1)
    return {
        "images": pixels if dtype == torch.uint8 else pixels / 255,
        "side_features": torch.arange(n, dtype=torch.float32)[:, None].repeat(1, 2),
    }


def mixed_rows(augmentation: Augmentation, seed: int = 0, n: int = 8, dtype: torch.dtype = torch.float32) -> Mixed:
    """A batch whose targets are the rows themselves, one class each."""
    return mix(batch(n, dtype), torch.arange(n), torch.ones(n), n, augmentation, seeded(seed))


def share_and_partners(targets: torch.Tensor) -> tuple[float, list[int]]:
    """Read them off mixed one-hot targets."""
    shares = {round(float(targets[row, row]), 6) for row in range(len(targets)) if targets[row, row] < 1}
    others = targets.clone().fill_diagonal_(0)
    partners = [int(row.argmax()) if row.any() else k for k, row in enumerate(others)]
    assert len(shares) <= 1
    return shares.pop() if shares else 1.0, partners


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_mixup_averages_pictures_numbers_and_targets_by_one_share(dtype: torch.dtype) -> None:
    plain = batch(dtype=dtype)
    arguments, targets, weights = mixed_rows(MIXUP, dtype=dtype)
    share, partners = share_and_partners(targets)
    assert 0 < share < 1
    assert sorted(partners) == list(range(8))
    for name in ("images", "side_features"):
        own, other = plain[name].double(), plain[name][partners].double()
        exact = share * own + (1 - share) * other
        tolerance = 0.501 if arguments[name].dtype == torch.uint8 else 1e-4
        assert arguments[name].dtype == plain[name].dtype
        assert (arguments[name].double() - exact).abs().max() <= tolerance
    assert torch.equal(weights, torch.ones(8))
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(8))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("seed", range(5))
def test_cutmix_pastes_one_rectangle_whose_area_is_the_share(seed: int, dtype: torch.dtype) -> None:
    plain = batch(dtype=dtype)
    arguments, targets, _ = mixed_rows(CUTMIX, seed, dtype=dtype)
    share, partners = share_and_partners(targets)
    row = next(row for row in range(8) if partners[row] != row)
    changed = (arguments["images"] != plain["images"]).any(dim=1)
    rows, columns = changed[row].any(dim=1), changed[row].any(dim=0)
    rectangle = rows[:, None] & columns
    # noise of both pictures may be the same in a pixel, but their greys differ
    assert torch.equal(changed[row], rectangle)
    assert 1 - rectangle.double().mean().item() == pytest.approx(share, abs=1e-6)
    expected = torch.where(rectangle, plain["images"][partners], plain["images"])
    assert torch.equal(arguments["images"], expected)
    numbers = share * torch.arange(8) + (1 - share) * torch.tensor(partners)
    torch.testing.assert_close(arguments["side_features"], numbers[:, None].repeat(1, 2))


def test_cutmix_rectangles_lie_everywhere_and_keep_the_pictures_proportions() -> None:
    pictures = torch.zeros(2, 1, 40, 80)
    pictures[1] = 1
    arguments = {"images": pictures, "side_features": torch.empty(2, 0)}
    seen = torch.zeros(40, 80)
    ratios = []
    for seed in range(300):
        mixed, _, _ = mix(arguments, torch.eye(2), torch.ones(2), None, CUTMIX, seeded(seed))
        pasted = mixed["images"][0, 0] == 1
        seen += pasted
        rows, columns = pasted.any(dim=1).nonzero()[:, 0], pasted.any(dim=0).nonzero()[:, 0]
        if len(rows) > 10 and rows[0] > 0 and rows[-1] < 39 and columns[0] > 0 and columns[-1] < 79:
            ratios.append(len(columns) / len(rows))
    assert (seen > 5).all()
    assert len(ratios) > 5
    assert ratios == pytest.approx([2] * len(ratios), rel=0.1)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_are_drawn_from_the_beta_distribution(alpha: float) -> None:
    shares = []
    for seed in range(400):
        _, targets, _ = mixed_rows(Augmentation(mixup=alpha), seed, n=3)
        shares += [share_and_partners(targets)[0]] if (targets.diagonal() < 1).any() else []
    # one permutation of three in six leaves all rows where they are
    assert len(shares) > 290
    assert np.mean(shares) == pytest.approx(0.5, abs=0.08)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.25)


def is_pasted(arguments: dict[str, torch.Tensor]) -> bool:
    greys = batch()["images"][:, 0, 0, 0]
    return bool(torch.isin(arguments["images"][:, 0], greys).all())


def test_with_both_each_batch_takes_one_of_the_two_with_equal_chance() -> None:
    pasted = [is_pasted(mixed_rows(BOTH, seed)[0]) for seed in range(200)]
    assert 68 < sum(pasted) < 132  # 100 ± 4.5 deviations
    assert not any(is_pasted(mixed_rows(MIXUP, seed)[0]) for seed in range(20))
    assert all(is_pasted(mixed_rows(CUTMIX, seed)[0]) for seed in range(20))


KINDS = {
    "multilabel": check_targets([0] * 8, np.random.default_rng(0).integers(2, size=(8, 4))),
    "binary": check_targets([0] * 8, [0, 1] * 4),
    "multiclass": check_targets([0] * 8, [0, 1, 2, 3] * 2),
}


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    name=st.sampled_from(["auto", "focal"]),
    augmentation=st.sampled_from([MIXUP, CUTMIX]),
    weights=st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0]), min_size=8, max_size=8),
    balanced=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 1000),
)
def test_the_mixed_loss_is_the_mixture_of_the_losses(
    kind: str, name: str, augmentation: Augmentation, weights: list[float], balanced: bool, smoothing: float, seed: int
) -> None:
    targets = KINDS[kind]
    criterion = make_criterion(
        name, targets, class_weight="balanced" if balanced else None, label_smoothing=smoothing
    ).double()
    values = encoded(targets)
    n_classes = len(targets.classes) if kind == "multiclass" else None
    rows = torch.tensor(weights, dtype=torch.float64)
    logits = torch.randn(8, targets.n_outputs, generator=seeded(1), dtype=torch.float64)
    _, mixed, mixed_weights = mix(batch(), values, rows, n_classes, augmentation, seeded(seed))
    # the same draws on targets that are the rows
    _, of_rows, _ = mix(batch(), torch.arange(8), torch.ones(8, dtype=torch.float64), 8, augmentation, seeded(seed))
    # what each row's logits cost with each other row's targets
    costs = torch.stack([criterion(logits, values[row].expand(8, *values.shape[1:])) for row in range(8)], dim=1)
    expected = (of_rows * rows * costs).sum(dim=1)
    torch.testing.assert_close(criterion(logits, mixed) * mixed_weights, expected)
    assert 0 <= mixed.min() <= mixed.max() <= 1


def encoded(targets: Targets) -> torch.Tensor:
    if targets.kind == "multiclass":
        return torch.tensor(targets.values)
    return torch.tensor(targets.values.reshape(8, -1), dtype=torch.float64)


@pytest.mark.parametrize("augmentation", [MIXUP, CUTMIX, BOTH])
def test_the_generator_alone_decides(augmentation: Augmentation) -> None:
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, again = mixed_rows(augmentation), mixed_rows(augmentation)
    for one, other in zip(flat(first), flat(again), strict=True):
        assert torch.equal(one, other)
    assert any(not torch.equal(*pair) for pair in zip(flat(first), flat(mixed_rows(augmentation, 1)), strict=True))
    generator = seeded()
    twice = [mix(batch(), torch.arange(8), torch.ones(8), 8, augmentation, generator)[1] for _ in range(2)]
    assert not torch.equal(*twice)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def flat(mixed: Mixed) -> list[torch.Tensor]:
    return [*mixed[0].values(), *mixed[1:]]


@pytest.mark.parametrize("augmentation", [MIXUP, CUTMIX])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_nothing_is_changed_in_place(augmentation: Augmentation, dtype: torch.dtype) -> None:
    arguments = {**batch(dtype=dtype), "others": torch.arange(8)}
    targets, weights = torch.rand(8, 3, generator=seeded()), torch.rand(8, generator=seeded())
    before = [tensor.clone() for tensor in flat((arguments, targets, weights))]
    mixed, _, _ = mix(arguments, targets, weights, None, augmentation, seeded())
    for tensor, kept in zip(flat((arguments, targets, weights)), before, strict=True):
        assert torch.equal(tensor, kept)
    assert mixed["others"] is arguments["others"]


@pytest.mark.parametrize("augmentation", [MIXUP, CUTMIX, BOTH])
def test_a_batch_of_one_stays_as_it_is(augmentation: Augmentation) -> None:
    arguments, targets, weights = batch(1), torch.tensor([2]), torch.tensor([0.7])
    same: tuple[Any, ...] = mix(arguments, targets, weights, 4, augmentation, seeded())
    assert same[0] is arguments
    assert same[1] is targets
    assert same[2] is weights


def test_what_does_not_mix_leaves_a_batch_as_it_is() -> None:
    arguments, targets, weights = batch(), torch.arange(8), torch.ones(8)
    assert mix(arguments, targets, weights, 8, Augmentation("top_down"), seeded())[0] is arguments


def test_own_criterion_of_torch_learns_from_mixed_classes() -> None:
    _, targets, weights = mixed_rows(MIXUP)
    logits = torch.randn(8, 8, generator=seeded())
    eight = check_targets([0] * 8, np.arange(8))
    own, ours = (make_criterion(criterion, eight) for criterion in (nn.CrossEntropyLoss(), "cross_entropy"))
    torch.testing.assert_close(own(logits, targets) * weights, ours(logits, targets) * weights)
