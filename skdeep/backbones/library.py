"""What a library of named networks must tell of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import nn

from skdeep.backbones.weights import StateDict


@dataclass(frozen=True)
class Preprocessing:
    """What published weights expect of a picture.

    Attributes
    ----------
    size : tuple of int
        Height and width.
    policy : {"squash", "crop", "pad"}
    resize : int or None
        Length of the shorter side before the centre is cut out.
    interpolation : str
    mean, std : tuple of float
    """

    size: tuple[int, int]
    policy: Literal["squash", "crop", "pad"] = "squash"
    resize: int | None = None
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


class Library(ABC):
    """A library of networks by name."""

    prefix: ClassVar[str] = ""
    #: parameters of its constructors that are settled by other means
    reserved: ClassVar[frozenset[str]] = frozenset()
    #: whether published weights may need conversion before they fit
    converts: ClassVar[bool] = False

    @abstractmethod
    def names(self) -> list[str]:
        """Names of all networks, without the prefix."""

    def has(self, name: str) -> bool:
        """Whether there is a network of that name."""
        return name in self.names()

    @abstractmethod
    def construct(self, name: str, params: Mapping[str, Any], *, whole: bool = False) -> nn.Module:
        """Make a network with random weights of torch's own generator, without its heads unless whole."""

    @abstractmethod
    def published(self, name: str) -> tuple[str, ...]:
        """Names of the published weights, best first."""

    @abstractmethod
    def published_name(self, name: str, weights: Any) -> str | None:
        """The published weights that are meant, or None.

        Raises
        ------
        WeightsError
            If weights of another network are meant.
        """

    @abstractmethod
    def preprocessing(self, name: str, weights: str | None) -> Preprocessing:
        """What published weights, or the best of a network, expect of a picture."""

    @abstractmethod
    def locate(self, name: str, weights: str) -> Path:
        """Path of published weights on this machine, downloaded if they are not there.

        Raises
        ------
        WeightsUnavailableError
            If they cannot be had.
        """

    def settled(self, name: str, weights: str | None) -> tuple[str, dict[str, Any]]:
        """Name and arguments by which a network is made for published weights, or for the best."""
        return name, {}

    def has_aux(self, name: str) -> bool:
        """Whether a network has auxiliary heads for training."""
        return False

    def load_published(self, name: str, params: Mapping[str, Any], weights: str, state: StateDict) -> nn.Module | None:
        """A network with published weights that do not fit as they are; None if they cannot be converted."""
        return None

    def versions(self) -> dict[str, str]:
        """Of what shapes activations beside torch and torchvision."""
        return {}


def discarded(whole: nn.Module, headless: nn.Module) -> frozenset[str]:
    """Names of the modules whose tensors a network has only with its heads."""
    kept = headless.state_dict()
    return frozenset(name.rpartition(".")[0] for name in whole.state_dict() if name not in kept)
