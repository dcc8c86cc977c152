"""What the deep classifiers share: the estimator's side of targets, weights and predictions."""

from __future__ import annotations

import copy
import inspect
import math
import os
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_softmax, logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics._scorer import _BaseScorer
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._param_validation import Options as Choices
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from torch import nn
from torchvision.models import WeightsEnum

from skdeep._saving import load_estimator, save_estimator
from skdeep._validation import TargetKind, Targets
from skdeep.backbones import (
    EXTRA_CHANNELS,
    POOLS,
    PRECISIONS,
    RESIZE,
    Backbone,
    resolve_backbone,
    resolve_device,
)
from skdeep.features import Cache, extract_features, open_files, open_store, split_cache
from skdeep.images import Images, as_images
from skdeep.metrics import get_scorer
from skdeep.model_selection._split import split_rows
from skdeep.training import (
    CRITERIA,
    Checkpoint,
    Course,
    Criterion,
    Lesson,
    Options,
    Phase,
    RankingThreshold,
    Record,
    Rows,
    Stage,
    Stopping,
    WeightedNet,
    is_on_cpu,
    make_criterion,
    on_cpu,
    report,
)


def draw_seed(random_state: int | RandomState | None) -> int:
    """One seed that an estimator's ``random_state`` decides; a generator's next one differs."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def beside(features: NDArray[np.float32], images: Images) -> NDArray[np.float32]:
    """Features, and to their right the numbers beside the images."""
    return np.hstack([features, images.side_features]) if images.format.n_side_features else features


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
    cache: Cache
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
        "pixel_range": [StrOptions({"auto"}), Choices(Integral, {1, 255})],
        "precision": [StrOptions(set(PRECISIONS))],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "cache": ["boolean", str, os.PathLike, list, tuple],
        "fingerprint": [str, None],
        "random_state": ["random_state"],
    }

    # what a subclass may make parameters of
    layer: str | list[str] | tuple[str, ...] | None = None
    on_error: Literal["raise", "nan"] = "raise"

    def _validate_params(self) -> None:
        super()._validate_params()
        split_cache(self.cache)

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

    def _described(self, images: Images, image_size: int | tuple[int, int] | None, seed: int) -> Backbone:
        """The network for images at a size."""
        return resolve_backbone(
            self.backbone,
            weights=self.weights,
            params=self.backbone_params,
            layer=self.layer,
            pool=self.pool,
            image_size=image_size,
            resize=self.resize,
            n_channels=images.format.n_channels,
            extra_channels=self.extra_channels,
            seed=seed,
            fingerprint=self.fingerprint,
        )

    def _features(self, images: Images, backbone: Backbone, precision: str) -> NDArray[np.float32]:
        """The activations of a network as its description has it."""
        return extract_features(images, backbone, **self._extraction(precision))

    def _extraction(self, precision: str) -> dict[str, Any]:
        """What the parameters say of extraction."""
        return {
            "store": open_store(self.cache),
            "files": open_files(self.cache),
            "batch_size": self.batch_size,
            "device": resolve_device(self.device),
            "precision": precision,
            "on_error": self.on_error,
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True  # pixels; not the numbers beside them
        tags.input_tags.sparse = self.image_shape is not None
        return tags


@dataclass(frozen=True)
class Sample:
    """X as an estimator takes it, with encoded targets and weights.

    Attributes
    ----------
    X : Images, ndarray or CSR
    targets : ndarray of shape (n_rows,) or (n_rows, n_outputs)
    weights : ndarray of float of shape (n_rows,)
    """

    X: Any
    targets: NDArray[Any]
    weights: NDArray[np.float64]

    def lesson(self, rows: Rows) -> Lesson:
        """Rows that were made of X, and what is to be learnt of them."""
        return Lesson(rows, self.targets, self.weights)


class DeepClassifier(ClassifierMixin, BaseEstimator):
    """Base of the classifiers that hold a skorch net as ``net_``.

    A subclass turns X into rows, makes the module, and makes phases ready; the type of y decides the rest.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "criterion": [StrOptions({"auto", *CRITERIA}), callable, nn.Module],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "pos_weight": [StrOptions({"balanced"}), Interval(Real, 0, None, closed="neither"), "array-like", None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "scoring": [str, callable],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    criterion: Any
    class_weight: str | dict[Any, float] | list[dict[int, float]] | None
    pos_weight: str | float | ArrayLike | None
    label_smoothing: float
    weight_decay: float
    batch_size: int
    early_stopping: bool
    scoring: str | Callable[..., float]
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    device: str
    random_state: int | RandomState | None
    verbose: int

    threshold_: RankingThreshold | None

    # what a subclass may make parameters of
    optimizer: str = "adamw"
    averaging: str | None = None
    micro_batch_size: int | None = None
    checkpoint: str | os.PathLike[str] | None = None

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Logits; after ``criterion="bp_mll"``, the distances of the outputs to the row's threshold.

        Where several outputs are averaged (of views, or of networks), the logits of the mean probabilities.

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
        return self._decide(self._outputs(X))

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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted estimator in one file that loads without running code.

        Parameters
        ----------
        path : str or path
            A safetensors file, whose header carries everything but the tensors as JSON. It is replaced if it is there,
            and written whole or not at all.

        Raises
        ------
        NotFittedError
            If there is nothing to save yet.
        """
        check_is_fitted(self)
        save_estimator(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **given: Any) -> Self:
        """Load an estimator that was saved.

        Parameters
        ----------
        path : str or path
        **given
            Parameters that no file can hold: the user's own modules, classes and callables, by the names of the
            parameters.

        Returns
        -------
        estimator
            Fitted.

        Raises
        ------
        ValueError
            If the file is damaged, of another class or of a newer version, or what is given is not what was saved.
        """
        return load_estimator(cls, path, **given)

    def _decide(self, outputs: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """From the outputs of each view and network to the decision."""
        if self.threshold_ is not None:
            ranks = np.mean([np.tanh(output) for output in outputs], axis=0)
            return ranks - self.threshold_(ranks)[:, None]
        decision = outputs[0] if len(outputs) == 1 else _mean_decision(outputs, self._kind)
        return decision.ravel() if self._kind == "binary" else decision

    def _check_fit(
        self, X: Any, targets: Targets, sample_weight: ArrayLike | None
    ) -> tuple[Criterion, NDArray[np.float64]]:
        """Check criterion, scoring and weights."""
        self._check_scoring()
        weights = _check_weights(sample_weight, X, "sample_weight")
        # what is made within a caller's inference mode could not take part in learning
        with torch.inference_mode(False):
            criterion = make_criterion(
                self.criterion,
                targets,
                class_weight=self.class_weight,
                pos_weight=self.pos_weight,
                label_smoothing=self.label_smoothing,
                weights=weights,
            )
        return criterion, weights

    def _known_targets(self) -> Targets:
        """What was learnt, without rows."""
        return Targets(self._kind, np.empty(0), self.classes_, getattr(self, "label_names_", None))

    def _remember(self, targets: Targets) -> None:
        """Set what targets say of the estimator."""
        self._kind = targets.kind
        self.classes_ = targets.classes
        if targets.label_names is not None:
            self.label_names_ = targets.label_names
        elif hasattr(self, "label_names_"):
            del self.label_names_

    def _samples(
        self,
        X: Any,
        targets: Targets,
        weights: NDArray[np.float64],
        validation: tuple[Any, Any] | None,
        seed: int | None,
    ) -> tuple[Sample, Sample | None]:
        """What is learnt from, and what is held out to see how well it goes: nothing without a seed to draw it by."""
        values = targets.columns
        if validation is not None:
            held_X, y_val = validation
            known = replace(targets, values=targets.encode(held_X, y_val)).columns
            return Sample(X, values, weights), Sample(held_X, known, np.ones(len(known)))
        if seed is None:
            return Sample(X, values, weights), None
        learnt, held = split_rows(targets, self.validation_fraction, seed, weights)
        _check_weights(weights[learnt], learnt, "sample_weight of the rows that are learnt from")
        return tuple(Sample(self._some(X, rows), values[rows], weights[rows]) for rows in (learnt, held))  # type: ignore[return-value]

    def _run_course(
        self,
        net: WeightedNet,
        phases: Sequence[Phase],
        stage_of: Callable[[int, bool], Stage],
        seed: int,
        *,
        score: Callable[[NDArray[np.float64]], float] | None,
        checkpoint: Checkpoint | None = None,
    ) -> Course:
        """Train a net phase by phase."""
        with report(int(self.verbose), sum(int(phase.max_epochs or 0) for phase in phases)) as told:
            course = Course(net, phases, stage_of, self._options(seed), score=score, checkpoint=checkpoint, report=told)
            course.run()
        return course

    def _keep(self, net: WeightedNet, phases: list[Phase], records: list[Record], snapshots: list[nn.Module]) -> None:
        """Keep what came of training."""
        net.module = type(net.module_)  # pickles need no second one
        self.net_ = net
        self.phases_ = phases
        self.history_ = pd.DataFrame(records)
        self.n_iter_ = len(records)
        self.snapshots_ = snapshots
        self.threshold_ = None

    def _net(self, module: nn.Module, criterion: nn.Module, precision: str, device: str) -> WeightedNet:
        net = WeightedNet(
            module,
            criterion=criterion,
            batch_size=self.batch_size,
            train_split=None,
            callbacks__print_log=None,
            device=device,
            precision=precision,
            micro_batch_size=self.micro_batch_size,
        )
        net.start()
        return net

    def _empty_net(self, shapes: Mapping[str, torch.Size]) -> WeightedNet:
        """A net like ``net_`` on the CPU, its weights yet to be loaded, whose shapes are told by name."""
        criterion = CRITERIA["cross_entropy" if self._kind == "multiclass" else "bce"]()
        return self._net(self._empty_module(shapes), criterion, getattr(self, "precision_", "float32"), "cpu")

    def _options(self, seed: int) -> Options:
        stopping = Stopping(self.n_iter_no_change, self.tol) if self.early_stopping else None
        return Options(self.batch_size, self.optimizer, self.weight_decay, self.averaging, stopping, seed)

    def _check_scoring(self) -> Callable[..., float] | None:
        """What ``scoring`` means; None where that is the loss."""
        if not isinstance(self.scoring, str):
            return self.scoring
        return None if self.scoring == "loss" else get_scorer(self.scoring)

    def _scorer(self, held: Sample | None, targets: Targets) -> Callable[[NDArray[np.float64]], float] | None:
        """From the outputs for the rows held out to ``scoring``; None where that is the loss.

        Scorers that accept ``sample_weight`` are given the weights where they differ.

        Raises
        ------
        ValueError
            If the scorer cannot score such targets. The user's own functions are not tried, for they may keep count.
        """
        scorer: Any = self._check_scoring()
        if held is None or scorer is None:
            return None
        is_ranking = self.criterion == "bp_mll" or CRITERIA["bp_mll"] in (self.criterion, type(self.criterion))
        judged, y = _Judged(targets.kind, targets.classes, is_ranking=is_ranking), targets.decode(held.targets)
        rows = np.arange(len(held.targets)).reshape(-1, 1)
        differ = not np.all(held.weights == held.weights[0])
        weighed = {"sample_weight": held.weights} if differ and _takes_weights(scorer) else {}

        def score(outputs: NDArray[np.float64]) -> float:
            judged.known = outputs
            return float(scorer(judged, rows, y, **weighed))

        outputs, found = np.random.default_rng(0).normal(size=(len(y), targets.n_outputs)), 0.0
        if is_ranking:
            try:
                found = score(outputs)
            except AttributeError as error:
                raise ValueError(
                    f"scoring={self.scoring!r} cannot judge epochs of criterion='bp_mll', whose threshold between "
                    "labels is learnt last: use 'loss' or a scorer that ranks labels, such as 'neg_ranking_loss'."
                ) from error
        elif isinstance(scorer, _BaseScorer):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = score(outputs)
            except Exception as error:
                raise ValueError(
                    f"scoring={self.scoring!r} cannot score the {targets.kind} targets that are held out: {error}"
                ) from error
        if math.isnan(found) and self.early_stopping:
            raise ValueError(
                f"scoring={self.scoring!r} is NaN for the {targets.kind} targets that are held out, as where one of a "
                "label's two values, or a class, is missing from them, and cannot say when to stop: hold out others "
                "(X_val and y_val, validation_fraction), or choose another scoring."
            )
        return score

    @staticmethod
    @abstractmethod
    def _some(X: Any, rows: NDArray[np.int64]) -> Any:
        """Some rows of X as ``_samples`` takes it."""

    @abstractmethod
    def _empty_module(self, shapes: Mapping[str, torch.Size]) -> nn.Module:
        """A module like that of ``net_``, its weights yet to be loaded."""

    @abstractmethod
    def _outputs(self, X: Any) -> list[NDArray[np.float64]]:
        """What each network puts out for each view of X."""

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__()}
        if "net_" in state:
            state["net_"] = on_cpu(state["net_"])
            others = state["snapshots_"][:-1]
            moved = [module if is_on_cpu(module) else copy.deepcopy(module).to("cpu") for module in others]
            state["snapshots_"] = [*moved, None] if state["snapshots_"] else []  # the last one is in the net
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if getattr(self, "snapshots_", None):
            self.snapshots_[-1] = self.net_.module_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _decides(judged: Any) -> bool:
    return not judged.is_ranking


class _Judged(DeepClassifier):
    """Stands before scorers for a classifier that is still learning: its outputs for the rows held out are known.

    One that ranks labels has no threshold yet, so that it can say which labels stand before others, but not which are
    there.
    """

    def __init__(self, kind: TargetKind, classes: NDArray[Any], *, is_ranking: bool = False) -> None:
        self.kind = self._kind = kind
        self.classes = self.classes_ = classes
        self.is_ranking = is_ranking
        self.threshold_ = None
        self.known: NDArray[np.float64] = np.empty(0)

    def fit(self, X: Any, y: Any) -> Self:
        """Nothing: it learns elsewhere."""
        return self

    @staticmethod
    def _some(X: Any, rows: NDArray[np.int64]) -> Any:
        return X[rows]

    def _empty_module(self, shapes: Mapping[str, torch.Size]) -> nn.Module:
        return nn.Identity()

    def _outputs(self, X: Any) -> list[NDArray[np.float64]]:
        return [self.known[X.ravel()]]

    @available_if(_decides)
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities, where they are learnt."""
        return super().predict_proba(X)

    @available_if(_decides)
    def predict(self, X: Any) -> NDArray[Any]:
        """Classes or labels, where there is a threshold."""
        return super().predict(X)


def _takes_weights(scorer: Any) -> bool:
    """Whether a scorer, or the metric of one that was made by scikit-learn, accepts ``sample_weight``."""
    try:
        return "sample_weight" in inspect.signature(getattr(scorer, "_score_func", scorer)).parameters
    except (TypeError, ValueError):
        return False


def _mean_decision(outputs: list[NDArray[np.float64]], kind: str) -> NDArray[np.float64]:
    """The logits of mean probabilities."""
    log_n = np.log(len(outputs))
    if kind == "multiclass":
        return logsumexp([log_softmax(output, axis=1) for output in outputs], axis=0) - log_n
    # of both answers in logarithms, for their difference is the logit even where one rounds to zero
    yes, no = (logsumexp([-np.logaddexp(0, -sign * output) for output in outputs], axis=0) for sign in (1, -1))
    return yes - no


def _check_weights(weights: ArrayLike | None, X: Any, name: str) -> NDArray[np.float64]:
    checked = _check_sample_weight(weights, X, dtype=np.float64, ensure_non_negative=True)
    if not checked.sum() > 0:
        raise ValueError(f"{name} must hold at least one positive weight.")
    return checked
