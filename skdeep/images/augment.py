"""Random views of pictures: symmetries, small rotations and zooms, changes of light, or the user's own."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
import torch
from torch.nn import functional as F

Transform = Callable[[torch.Tensor], torch.Tensor]

# Numbers that are worked on at once, few enough to stay in the processor's cache from one step to the next.
_CHUNK = 2**19


@dataclass(frozen=True)
class Augmentation:
    """Change the pictures of a batch at random, each by draws of its own, and say how they are mixed in training.

    Parameters
    ----------
    transform : {"side_on", "top_down"}, callable or None, default=None
        ``"side_on"`` is for photographs of things that stand upright: half of the pictures are mirrored left to right.
        ``"top_down"`` is for views from above: all 8 symmetries of the square are equally likely; pictures that are
        not square take the 4 that keep their shape. Both also rotate by up to 10 degrees (three pictures of four) and
        zoom into a window of 1/1.05 to all of each side (three of four, the window's place is random), and change
        brightness by up to 5 % of white and contrast by a factor from 1/1.05 to 1.05. What a rotation brings in from
        outside is the picture's reflection. They may be used in any thread.

        A callable, such as a transform of ``torchvision.transforms.v2``, is given each picture as a tensor of shape
        (channels, height, width) and gives one of the same shape and dtype. Torch's generator on the CPU, numpy's and
        Python's are seeded before each picture and put back after the batch; as they belong to the whole process, it
        must not be used in one thread while another draws from them.

        None leaves the pictures as they are.
    mixup : float, default=0.0
        Averages of two pictures, and of their targets, by a share drawn from Beta(mixup, mixup) for each training
        batch; the paper finds 0.1 to 0.4 best on ImageNet. 0 is none.
    cutmix : float, default=0.0
        Rectangles of one picture in another, of a share of the area drawn from Beta(cutmix, cutmix) for each training
        batch; the paper has 1. 0 is none. With both, each batch takes one of the two with equal chance.

    Raises
    ------
    ValueError
        If ``transform`` is no such name, and not callable, or a number is negative or not finite.

    See Also
    --------
    skdeep.training.mixing.mix : Mixes a batch.

    References
    ----------
    ``transforms_side_on`` and ``transforms_top_down`` of fast.ai 0.7, with ``max_zoom=1.05``.

    Examples
    --------
    >>> import torch
    >>> from skdeep.images import Augmentation
    >>> pixels = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
    >>> generator = torch.Generator().manual_seed(0)
    >>> augmented = Augmentation("top_down")(pixels, generator)
    >>> augmented.shape, augmented.dtype
    (torch.Size([4, 3, 32, 32]), torch.uint8)
    """

    transform: str | Transform | None = None
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        transform = self.transform
        known = transform in _PRESETS if isinstance(transform, str) else transform is None or callable(transform)
        if not known or isinstance(transform, type):
            names = ", ".join(map(repr, _PRESETS))
            raise ValueError(
                f"The 'augmentation' parameter must be a str among {{{names}}}, a callable that changes one picture, "
                f"or None. Got {transform!r} instead."
            )
        for name in ("mixup", "cutmix"):
            alpha = getattr(self, name)
            if not isinstance(alpha, Real) or not 0 <= float(alpha) < math.inf:
                raise ValueError(
                    f"The '{name}' parameter of Augmentation must be a float in the range [0.0, inf). Got {alpha!r} "
                    "instead."
                )

    @property
    def changes_pictures(self) -> bool:
        """Whether calling it does anything."""
        return self.transform is not None

    @property
    def mixes(self) -> bool:
        """Whether training mixes pictures."""
        return self.mixup > 0 or self.cutmix > 0

    def __call__(self, pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Augment a batch; it is not mixed.

        Parameters
        ----------
        pixels : tensor of shape (n_pictures, n_channels, height, width)
            uint8, or float32 from 0 to 1; it is not changed. Any number of channels; light acts on all alike.
        generator : torch.Generator
            Decides everything; picture ``i`` depends on its state and on ``i``, not on the other pictures.

        Returns
        -------
        augmented : tensor
            Of the same shape and dtype.

        Raises
        ------
        ValueError
            If ``pixels`` is no such batch, or a callable changed the shape or the dtype of a picture.
        """
        _check_batch(pixels)
        if self.transform is None:
            return pixels
        if isinstance(self.transform, str):
            return _PRESETS[self.transform](pixels, generator)
        seeds = torch.randint(2**32, (len(pixels),), generator=generator, device=generator.device).tolist()
        return _one_by_one(self.transform, pixels, seeds)

    def view(self, pixels: torch.Tensor, k: int, seed: int) -> torch.Tensor:
        """Give the ``k``-th other view of pictures, for predictions that are averaged over views.

        All pictures are changed by the same draws, which ``k`` and ``seed`` decide; so the view of a picture depends
        on nothing but the picture, whatever else is in its batch.

        Parameters
        ----------
        pixels : tensor of shape (n_pictures, n_channels, height, width)
            As for a call.
        k : int
            From 1. The named augmentations go round their symmetries, those that change the picture first; rotation,
            zoom and light are drawn anew for each view.
        seed : int
            Not negative.

        Returns
        -------
        views : tensor
            Of the same shape and dtype.

        Raises
        ------
        ValueError
            As for a call; if ``k`` is less than 1; if there is no ``transform``, hence no other view.

        Examples
        --------
        >>> import torch
        >>> from skdeep.images import Augmentation
        >>> pixels = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
        >>> views = [Augmentation("top_down").view(pixels, k, seed=0) for k in (1, 2, 3)]
        """
        _check_batch(pixels)
        if k < 1:
            raise ValueError(f"Other views of a picture are numbered from 1, got k={k}.")
        if self.transform is None:
            raise ValueError("Other views of pictures need a transform, got Augmentation(transform=None).")
        drawn = int(np.random.SeedSequence([seed, k]).generate_state(1)[0])
        if isinstance(self.transform, str):
            return _PRESETS[self.transform].view(pixels, k, drawn)
        return _one_by_one(self.transform, pixels, [drawn] * len(pixels))


def resolve_augmentation(augmentation: str | Transform | Augmentation | None) -> Augmentation | None:
    """The augmentation that a parameter of an estimator means; None is none.

    So is an ``Augmentation`` that neither changes nor mixes pictures: a search over ``mixup`` may begin at 0.

    Raises
    ------
    ValueError
        If it is neither a known name nor callable.

    Examples
    --------
    >>> resolve_augmentation("side_on")
    Augmentation(transform='side_on', mixup=0.0, cutmix=0.0)
    """
    resolved = augmentation if isinstance(augmentation, Augmentation) else Augmentation(augmentation)
    return resolved if resolved.changes_pictures or resolved.mixes else None


@dataclass(frozen=True)
class RandomViews:
    """Symmetry, rotation and zoom of a whole batch in one resampling, then light in one pass.

    Attributes
    ----------
    n_symmetries : {1, 2, 8}
        None, left and right, or all of the square.
    max_degrees : float
        Of rotations to either side.
    max_zoom : float
        From 1.
    max_brightness, max_contrast : float
        Parts of white that are added or taken away; and how much further from their mean pixels may move, or in the
        inverse proportion nearer.
    """

    n_symmetries: int
    max_degrees: float = 10.0
    max_zoom: float = 1.05
    max_brightness: float = 0.05
    max_contrast: float = 0.05

    def __call__(self, pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Give a view of each picture."""
        return _seen(pixels, self.draw(len(pixels), self._n_symmetries_of(pixels), generator))

    def view(self, pixels: torch.Tensor, k: int, seed: int) -> torch.Tensor:
        """Give the same view of each picture: its symmetry is the ``k``-th, the rest is drawn from ``seed``."""
        n_symmetries = self._n_symmetries_of(pixels)
        drawn = self.draw(1, n_symmetries, torch.Generator().manual_seed(seed))
        return _seen(pixels, replace(drawn, symmetry=torch.tensor([k % n_symmetries])).repeated(len(pixels)))

    def _n_symmetries_of(self, pixels: torch.Tensor) -> int:
        """Those that keep the pictures' shape."""
        height, width = pixels.shape[-2:]
        return self.n_symmetries if height == width else min(self.n_symmetries, 4)

    def draw(self, n_pictures: int, n_symmetries: int, generator: torch.Generator) -> Views:
        """Draw the views: the same number of draws for each picture, whatever they decide."""
        draws = torch.rand((n_pictures, 9), generator=generator, device=generator.device).cpu()
        symmetry, rotated, angle, zoomed, zoom, x, y, brightness, contrast = draws.unbind(1)
        zooms = torch.where(zoomed < 0.75, 1 + (self.max_zoom - 1) * zoom, 1)
        room = 1 - 1 / zooms
        return Views(
            symmetry=(symmetry * n_symmetries).long(),
            angle=torch.where(rotated < 0.75, math.radians(self.max_degrees) * _signed(angle), 0),
            zoom=zooms,
            centre=torch.complex(room * _signed(x), room * _signed(y)),
            brightness=self.max_brightness * _signed(brightness),
            contrast=(1 + self.max_contrast) ** _signed(contrast),
        )


@dataclass(frozen=True)
class Views:
    """What is done to each picture of a batch; all tensors are of shape (n_pictures,).

    Attributes
    ----------
    symmetry : tensor of int64
        The sum of 1 for left to right, 2 for upside down, and 4 for rows as columns, which comes first.
    angle : tensor
        In radians.
    zoom : tensor
        At least 1.
    centre : tensor of complex numbers
        Where the middle of the window lies in the picture: x + iy, whose edges are at -1 and 1. The window lies inside:
        neither x nor y is further from 0 than 1 - 1 / zoom.
    brightness : tensor
        Added, in parts of white.
    contrast : tensor
        Factor of each pixel's distance from the picture's mean.
    """

    symmetry: torch.Tensor
    angle: torch.Tensor
    zoom: torch.Tensor
    centre: torch.Tensor
    brightness: torch.Tensor
    contrast: torch.Tensor

    def of(self, rows: slice, device: torch.device) -> Views:
        """Those of some pictures, on the pictures' device."""
        return Views(**{name: values[rows].to(device) for name, values in vars(self).items()})

    def repeated(self, n_pictures: int) -> Views:
        """Those of one picture, for several."""
        return Views(**{name: values.expand(n_pictures) for name, values in vars(self).items()})


_PRESETS = {"side_on": RandomViews(n_symmetries=2), "top_down": RandomViews(n_symmetries=8)}


def _check_batch(pixels: torch.Tensor) -> None:
    if pixels.ndim != 4 or pixels.dtype not in (torch.uint8, torch.float32):
        raise ValueError(
            "Augmentation takes a batch of shape (n_pictures, n_channels, height, width) and dtype uint8 or "
            f"float32, got shape {tuple(pixels.shape)} and dtype {pixels.dtype}."
        )


def _seen(pixels: torch.Tensor, views: Views) -> torch.Tensor:
    """The pictures as their views show them."""
    augmented = torch.empty_like(pixels)
    n_at_once = max(1, _CHUNK // max(1, pixels[:1].numel()))
    for start in range(0, len(pixels), n_at_once):
        rows = slice(start, start + n_at_once)
        chunk = views.of(rows, pixels.device)
        augmented[rows] = _light(_move(pixels[rows], chunk), chunk, pixels.dtype)
    return augmented


def _signed(draws: torch.Tensor) -> torch.Tensor:
    """From -1 to 1, where the draws are from 0 to 1."""
    return 2 * draws - 1


def _move(pixels: torch.Tensor, views: Views) -> torch.Tensor:
    """Sample the pictures where their views look: float32, in the range of ``pixels``."""
    grid = _sampling_grid(views, *pixels.shape[-2:])
    moved = F.grid_sample(pixels.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    # coordinates are rounded, so that only a permutation of the pixels gives these exactly
    for row in ((views.angle == 0) & (views.zoom == 1)).nonzero().flatten().tolist():
        moved[row] = _permute(pixels[row], int(views.symmetry[row]))
    return moved


def _sampling_grid(views: Views, height: int, width: int) -> torch.Tensor:
    """Where each pixel of a view lies in its picture, as ``grid_sample`` wants it: (n, height, width, 2), -1 to 1.

    A point is a complex number x + iy from the picture's middle, so that turning and zooming is a multiplication. It
    is the sum of a term of its column and one of its row, which makes the grid one addition of small tensors.
    """
    device = views.angle.device
    turn = torch.polar(1 / views.zoom, views.angle)
    swapped = views.symmetry & 4 != 0
    to_right = turn * (1 - 2 * (views.symmetry & 1)) * torch.where(swapped, 1j, 1)
    downwards = turn * (1 - (views.symmetry & 2)) * torch.where(swapped, 1, 1j)
    x = torch.arange(width, device=device) - (width - 1) / 2
    y = torch.arange(height, device=device) - (height - 1) / 2
    columns = _relative(to_right[:, None] * x, height, width) + views.centre[:, None]
    rows = _relative(downwards[:, None] * y, height, width)
    return torch.view_as_real(columns[:, None, :] + rows[:, :, None])


def _relative(points: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """From pixels to parts of half a side."""
    return torch.complex(points.real * (2 / width), points.imag * (2 / height))


def _permute(picture: torch.Tensor, symmetry: int) -> torch.Tensor:
    if symmetry & 4:
        picture = picture.transpose(-2, -1)
    return picture.flip([axis for bit, axis in ((1, -1), (2, -2)) if symmetry & bit])


def _light(pixels: torch.Tensor, views: Views, dtype: torch.dtype) -> torch.Tensor:
    """Change brightness and contrast, in place, so that a cast to ``dtype`` gives the nearest value that it has."""
    white, rounding = (255, 0.5) if dtype == torch.uint8 else (1, 0.0)
    mean = pixels.mean(dim=(1, 2, 3))
    shift = mean * (1 - views.contrast) + white * views.brightness + rounding
    pixels.mul_(views.contrast[:, None, None, None]).add_(shift[:, None, None, None])
    return pixels.clamp_(0, white + rounding)


def _one_by_one(transform: Transform, pixels: torch.Tensor, seeds: list[int]) -> torch.Tensor:
    """Call a user's transform on each picture, under the seed that is the picture's."""
    augmented = torch.empty_like(pixels)
    with _global_generators_kept():
        for row, seed in enumerate(seeds):
            torch.default_generator.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            # a copy, for some transforms work in place
            augmented[row] = _checked(transform(pixels[row].clone()), pixels[row])
    return augmented


def _checked(changed: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
    if not isinstance(changed, torch.Tensor):
        got = f"a {type(changed).__name__}"
    elif changed.shape != picture.shape or changed.dtype != picture.dtype:
        got = f"a tensor of shape {tuple(changed.shape)} and dtype {changed.dtype}"
    else:
        return changed
    raise ValueError(
        f"The augmentation must give a tensor of shape {tuple(picture.shape)} and dtype {picture.dtype}, as it was "
        f"given, but gave {got}; leave resizing and conversion to the estimator."
    )


@contextmanager
def _global_generators_kept() -> Iterator[None]:
    """Leave torch's generator on the CPU, numpy's and Python's as they were found."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)  # noqa: NPY002
