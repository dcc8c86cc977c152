"""CNNClassifier: a pretrained or new network that learns on images."""

from __future__ import annotations

import copy
import functools
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torchvision.models import WeightsEnum

import skdeep
from skdeep._base import DeepClassifier, ImageEstimator, Sample, beside, draw_seed
from skdeep._digest import digest_of
from skdeep._onnx import ProbabilityGraph, check_onnx, export_onnx
from skdeep._saving import empty_network
from skdeep._text import listed
from skdeep._validation import Targets, check_known_targets, check_targets, is_multilabel
from skdeep.backbones import (
    Backbone,
    build_backbone,
    feature_size,
    freeze,
    layer_groups,
    pass_pictures,
    resolve_device,
    seeded,
    settle_precision,
)
from skdeep.backbones.summary import summarise
from skdeep.backbones.weights import content_digest
from skdeep.features import Cache, open_store, pass_images
from skdeep.images import Augmentation, Geometry, Images, PictureCache, as_images, check_images, resolve_augmentation
from skdeep.training import (
    AVERAGES,
    CRITERIA,
    OPTIMIZERS,
    Batches,
    Checkpoint,
    Criterion,
    ImageChange,
    ImageRows,
    Phase,
    RankingThreshold,
    RateCurve,
    Record,
    Stage,
    TableRows,
    WeightedNet,
    find_rate,
    learn_once,
    learning_batch_norms,
    module_outputs,
    prepare,
    resolve_phases,
    settle_batch_norm,
)

# parameters that do not shape what a fit learns
_WITHOUT_EFFECT = {"verbose", "checkpoint", "cache", "tta", "random_state", "device", "precision"}


class CNNClassifier(ImageEstimator, DeepClassifier):
    """A convolutional network with a new head, fine-tuned phase by phase.

    The type of ``y`` decides what is learnt: two classes, several classes, or one decision for each label. The head is
    batch normalisation, dropout and one linear layer on the backbone's activations and the numbers beside the images.
    Its biases begin at the log-odds of the labels, or the logarithms of the classes' shares, in the training data,
    weighted as the loss weighs them [1]_, so that few steps do not leave rare labels as likely as common ones.

    Parameters
    ----------
    backbone : str, nn.Module or class of nn.Module, default="resnet34"
        As in :class:`CNNFeatureExtractor`.
    weights : str, path, WeightsEnum or None, default="DEFAULT"
        As in :class:`CNNFeatureExtractor`; where training starts.
    backbone_params, pool
        As in :class:`CNNFeatureExtractor`.
    phases : {"linear_probe", "fine_tune", "planet", "planet_pair", "from_scratch"} or list of Phase, \
default="linear_probe"
        What learns, how fast, on pictures of which size, and for how long, one phase after the other; the names are
        those of recipes. ``"linear_probe"`` trains the head alone, on stored activations, so that each image passes
        the network once whatever the number of epochs. ``"fine_tune"`` then goes on to all layers, the first ones
        slowest. ``"planet"`` does both on pictures of 64, 128 and 256 pixels, as fast.ai's lesson on satellite images;
        with ``"planet_pair"`` the network of 128 pixels also predicts, beside the last. ``"from_scratch"`` trains all
        layers at one rate. See :class:`Phase`.
    criterion : str, callable, nn.Module or class of nn.Module, default="auto"
        The loss of logits and targets. ``"auto"`` is ``"cross_entropy"`` for several classes and ``"bce"`` (binary
        cross-entropy) otherwise; ``"focal"`` suits all, ``"asymmetric"`` two classes and labels, ``"bp_mll"`` labels.
        The user's own gives a loss for each row, for each row and label, or one for all.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of classes in the loss, as in scikit-learn; for labels a dict ``{0: w, 1: w}`` each, or
        ``"balanced"``.
    pos_weight : float, array-like of shape (n_labels,), "balanced" or None, default=None
        Weight of the positives of each label in the loss; ``"balanced"`` is the number of negatives over that of
        positives.
    label_smoothing : float, default=0.0
        How far targets move from 0 and 1 to where all classes are equally likely.
    augmentation : {"side_on", "top_down"}, callable, Augmentation or None, default=None
        How training pictures are changed at random: ``"side_on"`` for things that stand upright, ``"top_down"`` for
        views from above, any transform of ``torchvision.transforms.v2``, or an :class:`~skdeep.images.Augmentation`,
        which also mixes pictures (mixup, cutmix). Activations of pictures that change cannot be stored.
    tta : int, default=0
        Test-time augmentation: how many other views of each picture, made by ``augmentation``, are averaged with the
        plain one in predictions.
    dropout : float, default=0.25
        Share of the head's inputs that is dropped at each training step; numbers beside the images never are.
    optimizer : {"adamw", "sgd"}, default="adamw"
        ``"sgd"`` has a momentum of 0.9.
    lr : float or "auto", default=1e-3
        Learning rate of the head in phases that set none; ``"auto"`` finds one, as :meth:`find_lr` does, before the
        first phase of each kind of ``train``.
    weight_decay : float, default=1e-4
        Of all weights but biases and the scales of normalisations; decoupled in AdamW.
    max_epochs : int or None, default=None
        Passes over the training data in each phase that sets none; None is the recipe's own number, or 20.
    batch_size : int, default=32
        Images in one step; at least 2, for batch normalisation cannot learn from one.
    micro_batch_size : int or None, default=None
        Images that pass the network at once in training: gradients of parts add up to those of the batch, but for
        batch normalisation, which sees the parts. None is the batch; where memory runs out it is halved, with a
        warning.
    averaging : {"ema", "snapshots", "swa"} or None, default=None
        ``"ema"`` ends each phase with a moving average of its weights. ``"swa"``, stochastic weight averaging, ends the
        last phase with the plain mean of its weights at the ends of epochs, from three quarters of them on, or at the
        cycle ends of ``"sgdr"``; batch normalisation then takes its statistics of all training images. It wants a rate
        that stays high, as that of ``"constant"``. ``"snapshots"`` averages the predictions of the networks at the
        cycle ends of the last phase, up to its best epoch where it stopped early.
    early_stopping : bool, default=False
        Whether a phase ends, with its best epoch's weights, once nothing improves on images held out.
    scoring : str or callable, default="loss"
        What is to improve: the loss, or a scorer's name or callable; one that accepts ``sample_weight`` is given the
        weights of the images held out.
    validation_fraction : float, default=0.1
        Share of the images that is held out where ``early_stopping`` is set and ``fit`` is given no validation set;
        stratified by classes, or iteratively by labels.
    n_iter_no_change : int, default=10
        Epochs without improvement that are borne.
    tol : float, default=1e-4
        What counts as an improvement.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the network of the last one, which must be of the same architecture, classes and
        labels.
    checkpoint : str, path or None, default=None
        A folder in which each fit leaves a checkpoint after each epoch, under a name that its parameters, data and
        versions decide: a fit that was killed, and is called again with the same, goes on at its last whole epoch.
        Checkpoints of finished fits stay, so that a search that is called again need not repeat them. It needs a
        ``random_state``.
    image_size, resize, image_shape, channel_axis, extra_channels, pixel_range
        As in :class:`CNNFeatureExtractor`; ``image_size`` is for phases that set none. Predictions are made at the
        last phase's, and by a network that an earlier phase kept at its own.
    precision : {"auto", "float32", "bf16", "float16"}, default="auto"
        What the backbone multiplies in, as in :class:`CNNFeatureExtractor`; weights and the head stay float32, and
        gradients of float16 are scaled.
    device : str, default="auto"
        A device of torch; ``"auto"`` is the fastest that is there.
    cache : bool, str, path or list of these, default=True
        The store, as in :class:`CNNFeatureExtractor`: it keeps the features of networks that did not learn, and for
        others the resized pictures of files, so that no later epoch, fold or candidate decodes them again.
    fingerprint : str or None, default=None
        As in :class:`CNNFeatureExtractor`.
    random_state : int, RandomState instance or None, default=None
        Decides random weights, the order of images, augmentation and dropout. For that, torch's global generator is
        seeded and put back, so that fits in threads of one process take turns; use processes.
    verbose : int, default=0
        1 shows a progress bar, more prints a line for each epoch.

    Attributes
    ----------
    classes_ : ndarray
        The classes, of shape (n_classes,); for multilabel targets, a row ``[0, 1]`` a label, of shape (n_labels, 2).
    label_names_ : ndarray of shape (n_labels,)
        Names of the labels; only for multilabel targets.
    phases_ : list of Phase
        The phases with all that they left open.
    history_ : DataFrame
        A row for each epoch: ``epoch``, ``phase`` (from 1; 0 for ``partial_fit``), ``train``, ``image_size``, ``lr``
        (the head's at the last step), ``train_loss``, ``valid_loss`` and ``score`` (NaN where nothing was held out,
        and the score where ``scoring`` is the loss), ``n_steps`` and ``seconds``.
    n_iter_ : int
        Epochs in all phases.
    net_ : skorch.NeuralNet
        The trained net. Where the backbone learnt, its ``module_.backbone`` is the network without head, whose
        ``state_dict()`` may be saved and given back as ``weights=``.
    snapshots_ : list of nn.Module
        Where several networks predict, after ``averaging="snapshots"`` or a phase with ``snapshot=True``: all whose
        predictions are averaged, the last being ``net_.module_`` itself. Else empty.
    backbone_ : Backbone
        The network, its weights and its preprocessing, as settled in ``fit``. Where the backbone learnt, it knows of
        no weights: the trained ones are in ``net_``.
    precision_ : str
        What the backbone multiplies in, as settled in ``fit``.
    format_ : ImageFormat
        How X is read, as settled in ``fit``.
    threshold_ : object or None
        The learnt threshold after ``criterion="bp_mll"``.

    See Also
    --------
    CNNFeatureExtractor : Features for any other estimator.

    References
    ----------
    .. [1] T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár, "Focal loss for dense object detection", ICCV 2017,
       section 3.3: the prior of a rare class in the initialisation of its output.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import CNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> images = rng.integers(256, size=(8, 32, 32, 3), dtype=np.uint8)
    >>> clf = CNNClassifier(
    ...     "small_cnn", weights=None, phases="from_scratch", image_size=32, max_epochs=1, random_state=0
    ... )
    >>> clf.fit(images, rng.integers(2, size=(8, 5))).predict_proba(images).shape
    (8, 5)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageEstimator._parameter_constraints,
        **DeepClassifier._parameter_constraints,
        "phases": [str, list, tuple],
        "augmentation": [str, callable, Augmentation, None],
        "tta": [Interval(Integral, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "micro_batch_size": [Interval(Integral, 2, None, closed="left"), None],
        "averaging": [StrOptions(set(AVERAGES)), None],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
    }

    def __init__(
        self,
        backbone: str | nn.Module | type[nn.Module] = "resnet34",
        *,
        weights: str | os.PathLike[str] | WeightsEnum | None = "DEFAULT",
        backbone_params: Mapping[str, Any] | None = None,
        pool: str | None = None,
        phases: str | list[Phase] | tuple[Phase, ...] = "linear_probe",
        criterion: Any = "auto",
        class_weight: str | dict[Any, float] | list[dict[int, float]] | None = None,
        pos_weight: str | float | ArrayLike | None = None,
        label_smoothing: float = 0.0,
        augmentation: str | Callable[[torch.Tensor], torch.Tensor] | Augmentation | None = None,
        tta: int = 0,
        dropout: float = 0.25,
        optimizer: str = "adamw",
        lr: float | str = 1e-3,
        weight_decay: float = 1e-4,
        max_epochs: int | None = None,
        batch_size: int = 32,
        micro_batch_size: int | None = None,
        averaging: str | None = None,
        early_stopping: bool = False,
        scoring: str | Callable[..., float] = "loss",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        image_size: int | tuple[int, int] | None = None,
        resize: str = "auto",
        image_shape: tuple[int, ...] | None = None,
        channel_axis: str = "auto",
        extra_channels: str = "repeat",
        pixel_range: str | int = "auto",
        precision: str = "auto",
        device: str = "auto",
        cache: Cache = True,
        fingerprint: str | None = None,
        random_state: int | RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.backbone_params = backbone_params
        self.pool = pool
        self.phases = phases
        self.criterion = criterion
        self.class_weight = class_weight
        self.pos_weight = pos_weight
        self.label_smoothing = label_smoothing
        self.augmentation = augmentation
        self.tta = tta
        self.dropout = dropout
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.micro_batch_size = micro_batch_size
        self.averaging = averaging
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.image_size = image_size
        self.resize = resize
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.extra_channels = extra_channels
        self.pixel_range = pixel_range
        self.precision = precision
        self.device = device
        self.cache = cache
        self.fingerprint = fingerprint
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train phase by phase.

        Parameters
        ----------
        X : paths, images, arrays or flat rows
            As in :meth:`CNNFeatureExtractor.fit`.
        y : array-like of shape (n_samples,), or indicator of shape (n_samples, n_labels)
            Classes, or a label indicator (dense, sparse or DataFrame). An array of one column is one target of two
            classes, as in scikit-learn; one label is a sparse matrix or a DataFrame of one column, of numbers or
            booleans. :class:`~skdeep.multilabel.BinaryRelevance` takes each of them as one label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each image in the loss.
        X_val, y_val : default=None
            A validation set, in the form of X and y: for the history, and for ``early_stopping``.

        Returns
        -------
        self : CNNClassifier

        Raises
        ------
        ValueError
            If the parameters, X and y do not fit each other, or the loss stops being finite.
        ImageError
            If X holds no images, or one is missing or broken.
        WeightsError
            If the weights do not fit the network, or cannot be downloaded.
        """
        plan = self._plan(X, y, sample_weight, X_val, y_val)
        with torch.inference_mode(False), torch.enable_grad(), seeded(plan.seed, plan.device):
            module = self._start(plan)
            course = self._run_course(
                self._net(module, plan.criterion, plan.precision, plan.device),
                plan.phases,
                lambda index, is_begun: self._stage(plan, index, module, is_begun=is_begun),
                plan.seed,
                score=plan.score,
                checkpoint=self._checkpoint_of(plan, module),
            )
        course.net.optimizer_.state.clear()  # nothing learns any more
        self._remember(plan.targets)
        self._keep(course.net, course.phases, course.records, course.snapshots)
        self._learnt(plan, [plan.backbones[index].geometry for index in course.phases_of_snapshots])
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Learn from some images once, going on from what was learnt before.

        The last phase says what learns, on pictures of which size; the rate is constant: its own, or where it is looked
        for the one that ``fit`` found. The optimizer remembers from one call to the next, until a call changes what
        learns, or how. Batch normalisation keeps the moving averages of training. Of several networks that predicted
        together (``snapshots_``) the last one learns, and predicts alone from then on. The threshold of
        ``criterion="bp_mll"`` is learnt from the images of all calls, each as the network put them out then. Where a
        call fails, the estimator stays as it was.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come. Needed at the first call unless y is a label indicator; later ones may say
            the same again.

        Returns
        -------
        self : CNNClassifier

        Raises
        ------
        ValueError
            As in ``fit``; or if y holds what the first call did not announce, weights are to be "balanced", or no rate
            is known.
        """
        if not hasattr(self, "net_") and classes is None and not is_multilabel(y):
            raise ValueError("classes must be passed at the first call of partial_fit, for y may not hold all of them.")
        plan = self._plan(X, y, sample_weight, classes=classes, is_part=True)
        with torch.inference_mode(False), torch.enable_grad(), seeded(plan.seed, plan.device):
            # a copy learns, so that the estimator stays as it is where that fails or is interrupted
            net = self._net(self._start(plan), plan.criterion, plan.precision, plan.device)
            options, stage = self._options(plan.seed), self._stage(plan, 0, net.module_)
            prepare(net, stage, options)
            if plan.goes_on:
                _recall(net, self.net_)
                if self.micro_batch_size == self._micro_batch_size:
                    net.micro_batch_size = self.net_.micro_batch_size  # memory may have asked for less
            record = learn_once(net, stage, plan.phases[0], options, self.n_iter_ if plan.goes_on else 0)
            net.module_.eval()
        phases, records = plan.phases, [record]
        if plan.goes_on:
            phases, records = self.phases_, [*_records(self.history_), record]
        before = self.threshold_ if plan.goes_on else None
        self._remember(plan.targets)
        self._keep(net, phases, records, [])
        self._learnt(plan, [], before)
        return self

    def find_lr(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        phase: int = 0,
        lowest: float = 1e-7,
        highest: float = 10.0,
        n_steps: int = 100,
    ) -> RateCurve:
        """Look for a learning rate: train at growing rates, and see how the loss falls, and when it explodes.

        The estimator stays as it is. Data sets of few batches are gone through several times.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.
        phase : int, default=0
            Position of the phase that a rate is wanted for; its network is the one that the fit would begin with.
        lowest, highest : float
            The rates between which to look, in equal ratios.
        n_steps : int, default=100
            How many.

        Returns
        -------
        curve : RateCurve
            Rates, losses and suggestions.

        Raises
        ------
        ValueError
            As in ``fit``, or if there is no such phase.

        References
        ----------
        Smith, "Cyclical learning rates for training neural networks", WACV, 2017: section 3.3.
        """
        other = copy.deepcopy(self) if self.warm_start else clone(self)
        plan = other._plan(X, y, sample_weight)
        if not 0 <= phase < len(plan.phases):
            raise ValueError(f"phase must be the position of one of {len(plan.phases)} phases, got {phase}.")
        with torch.inference_mode(False), torch.enable_grad(), seeded(plan.seed, plan.device):
            net = other._net(other._start(plan), plan.criterion, plan.precision, plan.device)
            stage = other._stage(plan, phase, net.module_)
            options = other._options(plan.seed)
            prepare(net, stage, options)
            return find_rate(net, stage, options, lowest=lowest, highest=highest, n_steps=n_steps)

    def summary(self) -> pd.DataFrame:
        """The layers of the fitted network, in the order in which a picture meets them.

        Returns
        -------
        layers : DataFrame
            ``layer``, ``type``, ``output_shape``, ``n_parameters`` and ``trainable``, a row for each layer.
        """
        check_is_fitted(self)
        module, backbone = self.net_.module_, self.backbone_
        if isinstance(module, _ImageNetwork):
            network, head = module.backbone, module.head
        else:
            # a copy, for the network is shared by all that ask for it
            network, head = copy.deepcopy(build_backbone(backbone, "cpu")).requires_grad_(False), module
        layers = summarise(network, n_channels=backbone.n_channels, image_size=backbone.geometry.size)
        of_head = pd.DataFrame(
            {
                "layer": f"head.{name}",
                "type": type(layer).__name__,
                "output_shape": (head.n_outputs if isinstance(layer, nn.Linear) else head.n_inputs,),
                "n_parameters": sum(weight.numel() for weight in layer.parameters()),
                "trainable": any(weight.requires_grad for weight in layer.parameters()),
            }
            for name, layer in head.named_modules()
            if name and not any(layer.children())
        )
        return pd.concat([layers, of_head], ignore_index=True)

    def to_onnx(self, path: str | os.PathLike[str], *, opset_version: int | None = None) -> None:
        """Write the fitted network as an ONNX file, which gives what :meth:`predict_proba` gives.

        Its first input, ``images``, is float32 of shape (n_samples, n_channels, height, width): pixels from 0 to 1, in
        the channels of the training images (RGB for files) and brought to ``image_size`` as the file's metadata say.
        The normalisation is part of the network. Where numbers stand beside the images, ``side_features`` is a second
        input, float32 of shape (n_samples, n_side_features). The output, ``probabilities``, is float32, of the columns
        of ``predict_proba``. Any number of rows may come in. All is computed in float32: a classifier that computes
        in another precision, as ``precision="auto"`` may choose, differs by the rounding of that.

        The metadata are in JSON: ``target`` (binary, multiclass or multilabel), ``classes`` or ``label_names``,
        ``image_size`` (height and width), ``geometry`` (how pictures were brought to it, in the words of
        :class:`~skdeep.images.Geometry`), ``n_channels``, ``side_features`` (their names, or numbers), ``threshold``
        (above which a label, or the second of two classes, is predicted) and ``version`` (of this library).

        Parameters
        ----------
        path : str or path
            The file is replaced if it is there, and written whole or not at all.
        opset_version : int or None, default=None
            Version of ONNX's operators, for older runtimes; None is the exporter's own.

        Raises
        ------
        NotFittedError
            If there is nothing to write yet.
        ImportError
            If onnx or onnxscript, of the extra ``onnx``, is not installed.
        ValueError
            If ``tta`` is set, for views are no part of a network; if networks predict on pictures that were brought to
            size in several ways, as after a phase with ``snapshot=True``; or if the network cannot be exported.
        """
        check_is_fitted(self)
        check_onnx(f"{type(self).__name__}.to_onnx")
        if self.tta:
            raise ValueError(f"tta={self.tta} averages random views, which no graph makes: set tta=0 to export.")
        geometries = dict.fromkeys(backbone.geometry for _, backbone in self._predicting())
        if len(geometries) > 1:
            raise ValueError(
                "The networks of this classifier take pictures of several sizes or ways to them "
                f"({listed(geometries)}), and a graph takes one: fit with snapshot=True in none of the phases before "
                "the last size to export."
            )
        metadata = {key: json.dumps(value, default=str) for key, value in self._described_for_users().items()}
        with torch.inference_mode(False), torch.no_grad(), seeded(0):
            networks = [network for network, _ in self._whole_networks("cpu")]
            for network in networks:
                network.backbone = freeze(network.backbone, self.backbone_, "cpu", "float32")
            graph = ProbabilityGraph(networks, self._kind, self.threshold_)
            inputs = {"images": torch.zeros(2, self.format_.n_channels, *self.backbone_.geometry.size)}
            if self.format_.n_side_features:
                inputs["side_features"] = torch.zeros(2, self.format_.n_side_features)
            export_onnx(graph, inputs, "probabilities", path, metadata=metadata, opset_version=opset_version)

    def _described_for_users(self) -> dict[str, Any]:
        """What whoever uses the network without this library needs to know."""
        geometry, seen = asdict(self.backbone_.geometry), self.format_
        is_multilabel = self._kind == "multilabel"
        names = self.label_names_ if is_multilabel else self.classes_
        return {
            "target": self._kind,
            "label_names" if is_multilabel else "classes": names.tolist(),
            "image_size": geometry.pop("size"),
            "geometry": geometry,
            "n_channels": seen.n_channels,
            "side_features": seen.side_names or list(range(seen.n_side_features)),
            **({} if self._kind == "multiclass" else {"threshold": 0.5}),
            "version": skdeep.__version__,
        }

    def _plan(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None,
        X_val: Any = None,
        y_val: Any = None,
        *,
        classes: ArrayLike | None = None,
        is_part: bool = False,
    ) -> _Plan:
        """Check everything before any work, and settle what a fit needs; ``is_part`` is for ``partial_fit``."""
        self._validate_params()
        goes_on = hasattr(self, "net_") and (is_part or self.warm_start)
        augmentation = resolve_augmentation(self.augmentation)
        self._check_tta(augmentation)
        phases = resolve_phases(
            self.phases,
            lr=None if self.lr == "auto" else float(self.lr),
            max_epochs=self.max_epochs,
            image_size=self.image_size,
        )
        if is_part:
            phases = [self._part_of(phases[-1])]
        if self.checkpoint is not None and self.random_state is None:
            raise ValueError("checkpoint= needs random_state=, or no later fit could be the same.")
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together.")
        images = self._images_as_settled(X) if goes_on and is_part else self._images(X)
        if goes_on:
            targets = check_known_targets(images, y, self._known_targets(), classes, may_lack=is_part)
        else:
            targets = check_targets(images, y, classes)
        criterion, weights = self._check_fit(images, targets, sample_weight)
        if len(images) < 2:
            raise ValueError(f"{type(self).__name__} needs at least 2 images to learn from, got 1 sample.")
        if augmentation and augmentation.mixes and not criterion.accepts_soft:
            raise ValueError(f"criterion={self.criterion!r} cannot learn from mixed targets: no mixup, no cutmix.")
        device = resolve_device(self.device)
        seed = self._seed if goes_on and is_part else draw_seed(self.random_state)
        # a network of random weights stays the same one where learning goes on
        of_network = self._seed if goes_on else seed
        backbones = [self._described(images, phase.image_size, of_network) for phase in phases]
        precision = settle_precision(self.precision, backbones[-1], device)
        sizes = [feature_size(backbone, device, precision) for backbone in backbones]
        if len(set(sizes)) > 1:
            raise ValueError(
                f"All phases must give the head as many features, got {sizes} for their image sizes "
                f"{[phase.image_size for phase in phases]}; pool='avg' gives as many at all sizes."
            )
        if goes_on:
            self._check_goes_on(images, backbones[0], sizes[0] + images.format.n_side_features)
        validation = None if X_val is None else (as_images(X_val, like=images.format), y_val)
        is_held = self.early_stopping and not is_part
        learnt, held = self._samples(images, targets, weights, validation, seed if is_held else None)
        if held is not None and len(learnt.X) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 images to learn from, got 1 sample beside the {len(held.X)} "
                "that early_stopping holds out: give more images, a smaller validation_fraction, or X_val and y_val."
            )
        score = self._scorer(held, targets)
        self._check_groups(phases, backbones, device, self.net_.module_ if goes_on else None)
        store = open_store(self.cache)
        passes_store = all(phase.trains_head_only and not phase.adapt_bn for phase in phases) and augmentation is None
        for part in (learnt, held):
            # what goes through the store is checked there
            if part is not None and not passes_store:
                cache, digests = (store.pictures, store.digests) if store else (None, None)
                check_images(part.X, backbones[0].geometry, cache, digests)
        return _Plan(
            phases=phases,
            backbones=backbones,
            n_features=sizes[0] + images.format.n_side_features,
            targets=targets,
            learnt=learnt,
            held=held,
            score=score,
            criterion=criterion,
            augmentation=augmentation,
            precision=precision,
            device=device,
            pictures=store.pictures if store else None,
            seed=seed,
            seed_of_network=of_network,
            goes_on=goes_on,
        )

    def _part_of(self, phase: Phase) -> Phase:
        """What ``partial_fit`` does of a phase."""
        for name in ("class_weight", "pos_weight"):
            if isinstance(value := getattr(self, name), str):
                raise ValueError(f"{name}={value!r} is not for partial_fit, which sees a part of y: give the weights.")
        lr = phase.lr
        if lr is None:
            if not hasattr(self, "phases_"):
                raise ValueError(
                    "partial_fit cannot look for lr='auto': give a number, as find_lr suggests, or fit first."
                )
            lr = self.phases_[-1].lr
        return replace(
            phase, lr=lr, max_epochs=1, policy="constant", warmup=0.0, cycle_len=1, cycle_mult=1, adapt_bn=False
        )

    @staticmethod
    def _check_groups(phases: list[Phase], backbones: list[Backbone], device: str, known: Any) -> None:
        """Raise an error if a phase wants the network cut into more groups than it has layers."""
        has_body = isinstance(known, _ImageNetwork)
        if not has_body and all(phase.trains_head_only for phase in phases):
            return
        for phase, backbone in zip(phases, backbones, strict=True):
            if phase.n_groups > 2:
                # all phases train the first one's network
                network = known.backbone if has_body else build_backbone(backbones[0], device)
                layer_groups(network, phase.n_groups - 1, image_size=backbone.geometry.size)

    def _check_tta(self, augmentation: Augmentation | None) -> None:
        if self.tta and not (augmentation and augmentation.changes_pictures):
            raise ValueError(f"tta={self.tta} needs an augmentation that makes other views of pictures.")

    def _start(self, plan: _Plan) -> nn.Module:
        """The module that training begins with."""
        if not plan.goes_on:
            n_side_features = plan.learnt.X.format.n_side_features
            head = _Head(plan.n_features, plan.targets.n_outputs, self.dropout, n_side_features, self.optimizer)
            prior = plan.criterion.prior(plan.learnt.targets, plan.learnt.weights, plan.targets.n_outputs)
            if prior is not None:
                head.begin_with(prior)
        else:
            module = copy.deepcopy(self.net_.module_).to(plan.device)
            is_whole = isinstance(module, _ImageNetwork)
            for layer in (module.head if is_whole else module).modules():
                if isinstance(layer, nn.Dropout):
                    layer.p = self.dropout
            if is_whole:
                module.precision = plan.precision
                return module
            head = module
        if plan.trains_head_only:
            return head
        network = copy.deepcopy(build_backbone(plan.backbones[0], plan.device))
        return _ImageNetwork(plan.backbones[0].without_weights(), network, head, plan.precision)

    def _check_goes_on(self, images: Images, backbone: Backbone, n_features: int) -> None:
        """Raise an error if the network that was fitted is another than the one that is asked for."""
        module: Any = self.net_.module_
        is_whole = isinstance(module, _ImageNetwork)
        body = module.backbone if is_whole else self.backbone_.module
        known = _architecture(self.backbone_, (module.head if is_whole else module).n_inputs, body)
        wanted = _architecture(backbone, n_features, backbone.module)
        if body is None or backbone.module is None:
            del known["shapes of weights"]
        # a head alone answers for the activations that it has seen, a network for itself
        if not is_whole:
            known["weights"], wanted["weights"] = map(_weights_digest, (self.backbone_, backbone))
        if self.format_.side_names and images.format.side_names:
            known["columns beside the images"] = self.format_.side_names
            wanted["columns beside the images"] = images.format.side_names
        others = [name for name in known if known[name] != wanted[name]]
        if others:
            was, would_be = (", ".join(f"{name}: {one[name]}" for name in others) for one in (known, wanted))
            raise ValueError(
                f"Learning can only go on with the network that was fitted. It has other {listed(others)} ({was}) than "
                f"what is asked for ({would_be}): set the parameters back, or fit another estimator."
            )

    def _stage(self, plan: _Plan, index: int, module: Any, *, is_begun: bool = False) -> Stage:
        """Make a phase ready."""
        phase, backbone = plan.phases[index], plan.backbones[index]
        groups = _groups(module, phase, backbone)

        def rows(part: Sample) -> ImageRows:
            return ImageRows(part.X, backbone.geometry, plan.device, plan.pictures)

        if phase.adapt_bn and not is_begun:
            batches = Batches(plan.learnt.lesson(rows(plan.learnt)), self.batch_size, plan.seed)
            module.backbone.train()
            settle_batch_norm(
                module, learning_batch_norms(module.backbone), (arguments for arguments, _ in batches), plan.device
            )
        if not phase.trains_head_only:
            return Stage(
                lesson=plan.learnt.lesson(rows(plan.learnt)),
                held_out=plan.held.lesson(rows(plan.held)) if plan.held else None,
                groups=groups,
                change=plan.change(),
                resting=_resting(module, groups, freeze_bn=phase.freeze_bn),
            )
        learnt = None
        if isinstance(module, _ImageNetwork) and (module.has_learnt or plan.has_body_of_its_own(index)):
            learnt = freeze(module.backbone, backbone, plan.device, plan.precision)

        def table(part: Sample) -> TableRows:
            if learnt is None:
                features = self._features(part.X, backbone, plan.precision)
            else:
                (features,) = pass_images(
                    part.X,
                    learnt,
                    backbone,
                    cache=plan.pictures,
                    batch_size=self.batch_size,
                    device=plan.device,
                    precision=plan.precision,
                )
            return TableRows(beside(features, part.X))

        resting = [module.backbone] if isinstance(module, _ImageNetwork) else []
        held_out = plan.held.lesson(table(plan.held)) if plan.held else None
        if plan.augmentation is None:
            return Stage(plan.learnt.lesson(table(plan.learnt)), held_out, groups, resting=resting)
        network = learnt or build_backbone(backbone, plan.device, frozen=plan.precision)
        encode = functools.partial(_encode, network, backbone, plan.precision)
        return Stage(
            lesson=plan.learnt.lesson(rows(plan.learnt)),
            held_out=held_out,
            groups=groups,
            change=plan.change(encode),
            plain=ImageChange(encode=encode),
            resting=resting,
        )

    @staticmethod
    def _some(X: Images, rows: NDArray[np.int64]) -> Images:
        return X.some(rows.tolist())

    def _learnt(self, plan: _Plan, geometries: list[Geometry], before: RankingThreshold | None = None) -> None:
        """Keep what predictions need to know of the network, and the geometries of the snapshots."""
        self._geometries = geometries
        self.precision_, self.backbone_, self.format_ = plan.precision, plan.backbones[-1], plan.learnt.X.format
        self._seed, self._micro_batch_size = plan.seed_of_network, self.micro_batch_size
        if isinstance(self.net_.module_, _ImageNetwork):
            networks: list[Any] = self.snapshots_ or [self.net_.module_]
            for network in networks:
                network.has_learnt = True
            self.backbone_ = self.backbone_.without_weights()
        if isinstance(plan.criterion, CRITERIA["bp_mll"]):
            ranks = np.mean([np.tanh(outputs) for outputs in self._image_outputs(plan.learnt.X)], axis=0)
            self.threshold_ = RankingThreshold(ranks, plan.learnt.targets, plan.learnt.weights, before)

    def _empty_module(self, shapes: Mapping[str, torch.Size]) -> nn.Module:
        is_whole = "head.layers.2.weight" in shapes
        n_outputs, n_inputs = shapes["head.layers.2.weight" if is_whole else "layers.2.weight"]
        head = _Head(n_inputs, n_outputs, self.dropout, self.format_.n_side_features)
        if not is_whole:
            return head
        network = _ImageNetwork(
            self.backbone_, empty_network(self.backbone_, self.backbone, self.backbone_params), head, self.precision_
        )
        network.has_learnt = True
        return network

    def _outputs(self, X: Any) -> list[NDArray[np.float64]]:
        return self._image_outputs(self._images_as_settled(X))

    def _image_outputs(self, images: Images) -> list[NDArray[np.float64]]:
        """What each network puts out for each view."""
        device = resolve_device(self.device)
        outputs: list[NDArray[np.float64]] = []
        tables: list[NDArray[np.float32]] = []
        seen: Backbone | None = None
        for network, backbone in self._predicting():
            network.to(device)
            if isinstance(network, _ImageNetwork) or backbone != seen:
                tables = [beside(features, images) for features in self._views(images, network, backbone, device)]
                seen = backbone
            size = self.batch_size
            outputs += [module_outputs(network, TableRows(table), batch_size=size, device=device) for table in tables]
        return outputs

    def _predicting(self) -> list[tuple[nn.Module, Backbone]]:
        """The networks that predictions are made of, and how each wants its pictures."""
        if not self.snapshots_:
            return [(self.net_.module_, self.backbone_)]
        backbones = [replace(self.backbone_, geometry=geometry) for geometry in self._geometries]
        return list(zip(self.snapshots_, backbones, strict=True))

    def _views(self, images: Images, network: nn.Module, backbone: Backbone, device: str) -> list[NDArray[np.float32]]:
        """The activations of pictures as they are, and of as many other views as ``tta`` says."""
        augmentation: Any = resolve_augmentation(self.augmentation)
        self._check_tta(augmentation)
        others = [functools.partial(augmentation.view, k=k + 1, seed=self._seed) for k in range(self.tta)]
        store = open_store(self.cache)
        passed = functools.partial(
            pass_images,
            images,
            backbone=backbone,
            cache=store.pictures if store else None,
            batch_size=self.batch_size,
            device=device,
            precision=self.precision_,
        )
        if isinstance(network, _ImageNetwork):
            cache, digests = (store.pictures, store.digests) if store else (None, None)
            check_images(images, backbone.geometry, cache, digests)
            frozen = freeze(network.backbone, backbone, device, self.precision_)
            return passed(network=frozen, views=[None, *others])
        plain = self._features(images, backbone, self.precision_)
        if not others:
            return [plain]
        return [plain, *passed(network=build_backbone(backbone, device, frozen=self.precision_), views=others)]

    def _whole_networks(self, device: str) -> list[tuple[_ImageNetwork, Geometry]]:
        """Copies of the networks that predictions are made of, and how each wants its pictures.

        They go from pixels to logits, in float32, and are not to be trained.
        """
        modules, backbones = zip(*self._predicting(), strict=True)
        networks: Any = copy.deepcopy(modules)
        if not isinstance(modules[0], _ImageNetwork):
            bodies = [copy.deepcopy(build_backbone(backbone, device)) for backbone in backbones]
            heads = networks
            networks = [
                _ImageNetwork(self.backbone_, body, head, "float32") for body, head in zip(bodies, heads, strict=True)
            ]
        for network in networks:
            network.precision = "float32"
            network.to(device).eval().requires_grad_(False)
        return [(network, backbone.geometry) for network, backbone in zip(networks, backbones, strict=True)]

    def _checkpoint_of(self, plan: _Plan, module: nn.Module) -> Checkpoint | None:
        """Where this very fit leaves checkpoints."""
        if self.checkpoint is None:
            return None
        parts = {name: value for name, value in self.get_params(deep=False).items() if name not in _WITHOUT_EFFECT}
        shown = {"weights": [backbone.weights.digest for backbone in plan.backbones], "device": plan.device}
        samples = [
            (part.X.digests(), part.X.side_features, part.targets, part.weights)
            for part in (plan.learnt, plan.held)
            if part is not None
        ]
        start = module.state_dict() if self.warm_start else None
        digest = digest_of(
            {**parts, **shown, "precision": plan.precision, "seed": plan.seed, "samples": samples, "start": start}
        )
        return Checkpoint(self.checkpoint, digest)


@dataclass(frozen=True)
class _Plan:
    """What a fit needs, checked and settled."""

    phases: list[Phase]
    backbones: list[Backbone]
    n_features: int
    targets: Targets
    learnt: Sample
    held: Sample | None
    score: Callable[[NDArray[np.float64]], float] | None
    criterion: Criterion
    augmentation: Augmentation | None
    precision: str
    device: str
    pictures: PictureCache | None
    seed: int
    seed_of_network: int
    goes_on: bool

    @property
    def trains_head_only(self) -> bool:
        return all(phase.trains_head_only and not phase.adapt_bn for phase in self.phases)

    def has_body_of_its_own(self, index: int) -> bool:
        """Whether the backbone is another one in a phase than it was before the first."""
        has_learnt = not all(phase.trains_head_only for phase in self.phases[:index])
        return has_learnt or any(phase.adapt_bn for phase in self.phases[: index + 1])

    def change(self, encode: Callable[[torch.Tensor], torch.Tensor] | None = None) -> ImageChange:
        """What is done to training batches."""
        n_classes = len(self.targets.classes) if self.targets.kind == "multiclass" else None
        return ImageChange(self.augmentation, n_classes, encode)


class _Head(nn.Module):
    """Batch normalisation, dropout and a linear layer.

    Numbers beside the images, which stand last, are few among many activations: from noise, layers that all learn would
    have learnt the training rows by heart before such a number counts. So they are not dropped, start at a weight of 0,
    and are multiplied after normalisation: by the number of activations over theirs, with which a step of Adam, the
    same for each weight, moves the answer as far through them as through all activations; for SGD, whose step goes with
    the square of the input, by the root of that.
    """

    side_scale: torch.Tensor | None

    def __init__(
        self, n_inputs: int, n_outputs: int, dropout: float, n_side_features: int = 0, optimizer: str = "adamw"
    ) -> None:
        super().__init__()
        self.n_inputs = n_inputs
        self.n_outputs = n_outputs
        self.n_side_features = n_side_features
        self.layers = nn.Sequential(nn.BatchNorm1d(n_inputs), nn.Dropout(dropout), nn.Linear(n_inputs, n_outputs))
        self.register_buffer("side_scale", None)
        if n_side_features:
            ratio = (n_inputs - n_side_features) / n_side_features
            self.side_scale = torch.tensor(math.sqrt(ratio) if optimizer == "sgd" else ratio)
            with torch.no_grad():
                weight: Any = self.layers[2].weight
                weight[:, -n_side_features:] = 0

    def begin_with(self, logits: NDArray[np.float64]) -> None:
        """Answer every row about so before anything is learnt."""
        with torch.no_grad():
            self.layers[2].bias.copy_(torch.from_numpy(logits))  # type: ignore[operator]

    def forward(self, table: torch.Tensor) -> torch.Tensor:
        if self.side_scale is None:
            return self.layers(table)
        normalise, drop, decide = self.layers
        activations, side = normalise(table).tensor_split([-self.n_side_features], dim=1)
        return decide(torch.cat([drop(activations), side * self.side_scale], dim=1))


class _ImageNetwork(nn.Module):
    """A backbone and a head: from pixels to logits, or from activations."""

    def __init__(self, description: Backbone, backbone: nn.Module, head: _Head, precision: str) -> None:
        super().__init__()
        self.description = description
        self.precision = precision
        self.backbone = backbone
        self.head = head
        self.has_learnt = False
        # what the user froze in a module of their own stays so
        self.learnable = tuple(name for name, weight in backbone.named_parameters() if weight.requires_grad)

    def forward(
        self,
        images: torch.Tensor | None = None,
        side_features: torch.Tensor | None = None,
        table: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if images is not None and side_features is not None:
            activations = pass_pictures(self.backbone, self.description, images, self.precision)
            table = torch.cat([activations, side_features], dim=1)
        return self.head(table)


def _architecture(backbone: Backbone, n_features: int, network: nn.Module | None) -> dict[str, Any]:
    """What a network cannot change while it learns, by the names that errors say."""
    shapes = network.state_dict().items() if network else ()
    return {
        "backbone": backbone.name,
        "backbone_params": backbone.params,
        "layer": backbone.layers,
        "pool": backbone.pool,
        "number of channels": backbone.n_channels,
        "extra_channels": backbone.extra_channels,
        "normalisation": (backbone.mean, backbone.std),
        "number of features": n_features,
        "shapes of weights": [(name, tuple(tensor.shape)) for name, tensor in shapes],
    }


def _weights_digest(backbone: Backbone) -> str:
    """Of the weights that features come from; the user's own module brings none, for it may change."""
    return backbone.weights.digest or content_digest(backbone.module.state_dict() if backbone.module else {})


def _records(history: pd.DataFrame) -> list[Record]:
    return [{str(name): value for name, value in line.items()} for line in history.to_dict("records")]


def _recall(net: WeightedNet, before: WeightedNet) -> None:
    """Let an optimizer go on from what another one remembers of the same weights, if it learns them in the same way."""
    if _manner(net) == _manner(before):
        net.optimizer_.load_state_dict(copy.deepcopy(before.optimizer_.state_dict()))
        if of_scaler := before.scaler.state_dict():
            net.scaler.load_state_dict(of_scaler)


def _manner(net: WeightedNet) -> list[Any]:
    """What an optimizer teaches, and how."""
    names = {id(weight): name for name, weight in net.module_.named_parameters()}
    groups = [
        (group.get("factor"), group["weight_decay"], [names.get(id(weight)) for weight in group["params"]])
        for group in net.optimizer_.param_groups
    ]
    return [type(net.optimizer_), *groups]


def _encode(network: nn.Module, backbone: Backbone, precision: str, pixels: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return pass_pictures(network, backbone, pixels, precision)


def _groups(module: nn.Module, phase: Phase, backbone: Backbone) -> list[tuple[float, list[str]]]:
    """The parameters of each layer group, and the factor of its learning rate."""
    *factors, of_head = phase.group_factors()
    if not isinstance(module, _ImageNetwork):
        return [(of_head, [name for name, _ in module.named_parameters()])]
    names = [[name for name, _ in module.backbone.named_parameters()]]
    if len(factors) > 1:
        names = layer_groups(module.backbone, len(factors), image_size=backbone.geometry.size)
    groups = [
        (factor, [f"backbone.{name}" for name in group if name in module.learnable])
        for factor, group in zip(factors, names, strict=True)
    ]
    return [*groups, (of_head, [f"head.{name}" for name, _ in module.head.named_parameters()])]


def _resting(module: _ImageNetwork, groups: Sequence[tuple[float, list[str]]], *, freeze_bn: bool) -> list[nn.Module]:
    """The layers of the backbone that stay in evaluation mode: those of which nothing learns, and as asked for.

    Layers without parameters go with the last layer before them that has some; the first ones with the first.
    """
    names = {name for factor, names in groups if factor > 0 for name in names}
    # by identity, for parameters that layers share have several names
    learning = {id(weight) for name, weight in module.named_parameters(remove_duplicate=False) if name in names}

    def learns(layer: nn.Module, *, recurse: bool = True) -> bool:
        return any(id(weight) in learning for weight in layer.parameters(recurse))

    layers = list(module.backbone.modules())
    with_own = [layer for layer in layers if any(True for _ in layer.parameters(recurse=False))]
    is_frozen = bool(with_own) and not learns(with_own[0], recurse=False)
    resting = []
    for layer in layers:
        if layer in with_own:
            is_frozen = not learns(layer, recurse=False)
        has_weights = any(True for _ in layer.parameters())
        rests = not learns(layer) if has_weights else is_frozen
        if rests or (freeze_bn and isinstance(layer, nn.modules.batchnorm._BatchNorm)):
            resting.append(layer)
    return resting
