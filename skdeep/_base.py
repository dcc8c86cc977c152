"""What the deep classifiers share: the estimator's side of targets, weights and predictions."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from torch import nn
from torchvision.models import WeightsEnum

from skdeep._validation import Targets, check_targets
from skdeep.backbones import (
    EXTRA_CHANNELS,
    POOLS,
    PRECISIONS,
    RESIZE,
    resolve_backbone,
    resolve_device,
    seeded,
    settle_precision,
)
from skdeep.features import extract_features, open_store
from skdeep.images import Images, as_images
from skdeep.training import (
    CRITERIA,
    RankingThreshold,
    Rows,
    fit_net,
    make_criterion,
    net_outputs,
)


def draw_seed(random_state: int | RandomState | None) -> int:
    """One seed that an estimator's ``random_state`` decides; a generator's next one differs."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


class ImageEstimator(BaseEstimator):
    """Base of the estimators on images: X, the network and its features."""

    backbone: str | nn.Module | type[nn.Module]
    weights: str | os.PathLike[str] | WeightsEnum | None
    backbone_params: Mapping[str, Any] | None
    pool: str | None
    image_size: int | tuple[int, int] | None
    resize: str
    image_shape: tuple[int, ...] | None
    channel_axis: str
    extra_channels: str
    pixel_range: str | int
    precision: str
    batch_size: int
    device: str
    cache: bool | str | os.PathLike[str]
    fingerprint: str | None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "backbone": [str, nn.Module, type],
        "weights": [str, os.PathLike, WeightsEnum, None],
        "backbone_params": [dict, None],
        "pool": [StrOptions(set(POOLS)), None],
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "resize": [StrOptions(set(RESIZE))],
        "image_shape": [tuple, list, None],
        "channel_axis": [StrOptions({"auto", "first", "last"})],
        "extra_channels": [StrOptions(set(EXTRA_CHANNELS))],
        "pixel_range": [StrOptions({"auto"}), Options(Integral, {1, 255})],
        "precision": [StrOptions(set(PRECISIONS))],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "cache": ["boolean", str, os.PathLike],
        "fingerprint": [str, None],
        "random_state": ["random_state"],
    }

    # what a subclass may make parameters of
    layer: str | list[str] | tuple[str, ...] | None = None
    on_error: Literal["raise", "nan"] = "raise"

    def _images(self, X: Any) -> Images:
        """Take X as images, in the form that it shows."""
        return as_images(
            X,
            image_shape=self.image_shape,
            pixel_range=self.pixel_range,  # type: ignore[arg-type]
            channel_axis=self.channel_axis,  # type: ignore[arg-type]
            on_error=self.on_error,
        )

    def _images_as_settled(self, X: Any) -> Images:
        """Take X as images in the form that ``fit`` settled."""
        return as_images(X, on_error=self.on_error, like=self.format_)

    def _settle(self, images: Images, seed: int) -> None:
        """Settle the network, its precision and the form of X."""
        self.backbone_ = resolve_backbone(
            self.backbone,
            weights=self.weights,
            params=self.backbone_params,
            layer=self.layer,
            pool=self.pool,
            image_size=self.image_size,
            resize=self.resize,
            n_channels=images.format.n_channels,
            extra_channels=self.extra_channels,
            seed=seed,
            fingerprint=self.fingerprint,
        )
        self.precision_ = settle_precision(self.precision, self.backbone_, resolve_device(self.device))
        self.format_ = images.format

    def _features(self, images: Images) -> NDArray[np.float32]:
        """The network's activations, and to their right the numbers beside the images."""
        features = extract_features(
            images,
            self.backbone_,
            store=open_store(self.cache),
            batch_size=self.batch_size,
            device=resolve_device(self.device),
            precision=self.precision_,
            on_error=self.on_error,
        )
        return np.hstack([features, images.side_features]) if images.format.n_side_features else features

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True  # pixels; not the numbers beside them
        tags.input_tags.sparse = self.image_shape is not None
        return tags


class DeepClassifier(ClassifierMixin, BaseEstimator):
    """Base of the classifiers that hold a skorch net as ``net_``.

    A subclass turns X into rows and makes the module; the type of y decides the rest.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "criterion": [StrOptions({"auto", *CRITERIA})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Logits; after ``criterion="bp_mll"``, the distances of the outputs to the row's threshold.

        Parameters
        ----------
        X : array-like
            As in ``fit``.

        Returns
        -------
        logits : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            For binary, multiclass and multilabel targets.
        """
        check_is_fitted(self)
        outputs = net_outputs(self.net_, self._rows(X))
        if self.threshold_ is not None:
            outputs = np.tanh(outputs)
            return outputs - self.threshold_(outputs)[:, None]
        return outputs.ravel() if self._kind == "binary" else outputs

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities.

        Parameters
        ----------
        X : array-like
            As in ``fit``.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            Of each class, or of each label for multilabel targets. After ``criterion="bp_mll"``, which learns a ranking
            and no probability, they are the logistic function of the distance to the threshold.
        """
        decision = self.decision_function(X)
        if self._kind == "multiclass":
            return softmax(decision, axis=1)
        probabilities = expit(decision)
        if self._kind == "binary":
            return np.column_stack([1 - probabilities, probabilities])
        return probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """Classes, or an indicator of labels.

        Parameters
        ----------
        X : array-like
            As in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_samples,), or of int of shape (n_samples, n_labels)
        """
        decision = self.decision_function(X)
        if self._kind == "multilabel":
            return (decision > 0).astype(np.int64)
        positions = (decision > 0).astype(np.int64) if self._kind == "binary" else decision.argmax(axis=1)
        return self.classes_[positions]

    def _check_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None
    ) -> tuple[Targets, nn.Module, NDArray[np.float64]]:
        """Check targets, criterion and weights, and set what they say of the estimator."""
        targets = check_targets(X, y)
        criterion = make_criterion(self.criterion, targets.kind, targets.n_outputs)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not weights.sum() > 0:
            raise ValueError("sample_weight must hold at least one positive weight.")
        self._kind = targets.kind
        self.classes_ = targets.classes
        if targets.label_names is not None:
            self.label_names_ = targets.label_names
        elif hasattr(self, "label_names_"):
            del self.label_names_
        return targets, criterion, weights

    def _fit_rows(
        self, rows: Rows, targets: Targets, criterion: nn.Module, weights: NDArray[np.float64], seed: int
    ) -> Self:
        """Make the module and train it on rows."""
        values = targets.values.reshape(-1, 1) if targets.kind == "binary" else targets.values
        device = resolve_device(self.device)
        # within a caller's inference mode nothing could learn
        with torch.inference_mode(False), torch.enable_grad(), seeded(seed, device):
            self.net_ = fit_net(
                self._module(targets.n_outputs),
                rows,
                values,
                criterion=criterion,
                sample_weight=weights,
                lr=self.lr,
                weight_decay=self.weight_decay,
                max_epochs=self.max_epochs,
                batch_size=self.batch_size,
                device=device,
                seed=seed,
                verbose=int(self.verbose),
            )
        self.threshold_ = None
        if isinstance(criterion, CRITERIA["bp_mll"]):
            self.threshold_ = RankingThreshold(np.tanh(net_outputs(self.net_, rows)), targets.values, weights)
        return self

    @abstractmethod
    def _rows(self, X: Any) -> Rows:
        """X as the net takes it, after fit."""

    @abstractmethod
    def _module(self, n_outputs: int) -> nn.Module:
        """An untrained module."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
