"""CNNClassifier: a pretrained or new network that learns on images."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn
from torchvision.models import WeightsEnum

from skdeep._base import DeepClassifier, ImageEstimator, draw_seed
from skdeep.backbones import Backbone, build_backbone, feature_size, pass_pictures, resolve_device
from skdeep.features import open_store
from skdeep.images import Images, check_images
from skdeep.training import ImageRows, Rows, TableRows


class CNNClassifier(ImageEstimator, DeepClassifier):
    """A convolutional network with a new head: only the head learns, or all of it.

    The type of ``y`` decides what is learnt: two classes, several classes, or one decision for each label. The head is
    batch normalisation, dropout and one linear layer on the backbone's activations and the numbers beside the images.

    Parameters
    ----------
    backbone : str, nn.Module or class of nn.Module, default="resnet34"
        As in :class:`CNNFeatureExtractor`.
    weights : str, path, WeightsEnum or None, default="DEFAULT"
        As in :class:`CNNFeatureExtractor`; where training starts.
    backbone_params, pool
        As in :class:`CNNFeatureExtractor`.
    train : {"head", "all"}, default="head"
        What learns. ``"head"`` trains on stored activations, so that each image passes the network once whatever the
        number of epochs; ``"all"`` trains every layer.
    criterion : {"auto", "bce", "bp_mll", "cross_entropy"}, default="auto"
        The loss; as in :class:`TabularClassifier`.
    dropout : float, default=0.25
        Share of the head's inputs that is dropped at each training step.
    lr : float, default=1e-3
        Learning rate.
    weight_decay : float, default=1e-4
        Decoupled weight decay of AdamW.
    max_epochs : int, default=20
        Passes over the training data.
    batch_size : int, default=32
        Images in one step; at least 2, for batch normalisation cannot learn from one.
    image_size, resize, image_shape, channel_axis, extra_channels, pixel_range
        As in :class:`CNNFeatureExtractor`.
    precision : {"auto", "float32", "bf16"}, default="auto"
        What the backbone multiplies in, as in :class:`CNNFeatureExtractor`; weights and the head stay float32.
    device : str, default="auto"
        A device of torch; ``"auto"`` is the fastest that is there.
    cache : bool, str or path, default=True
        The store, as in :class:`CNNFeatureExtractor`: ``train="head"`` keeps features in it, ``train="all"`` resized
        pictures of files, so that no later epoch, fold or candidate decodes them again.
    fingerprint : str or None, default=None
        As in :class:`CNNFeatureExtractor`.
    random_state : int, RandomState instance or None, default=None
        Decides random weights, the order of images and dropout.
    verbose : int, default=0
        Print the loss of each epoch if positive.

    Attributes
    ----------
    classes_ : ndarray
        The classes, of shape (n_classes,); for multilabel targets, a row ``[0, 1]`` a label, of shape (n_labels, 2).
    label_names_ : ndarray of shape (n_labels,)
        Names of the labels; only for multilabel targets.
    net_ : skorch.NeuralNet
        The trained net. After ``train="all"`` its ``module_.backbone`` is the network without head, whose
        ``state_dict()`` may be saved and given back as ``weights=``.
    backbone_ : Backbone
        The network, its weights and its preprocessing, as settled in ``fit``. After ``train="all"`` it knows of no
        weights: the trained ones are in ``net_``.
    precision_ : str
        What the backbone multiplies in, as settled in ``fit``.
    format_ : ImageFormat
        How X is read, as settled in ``fit``.
    threshold_ : object or None
        The learnt threshold after ``criterion="bp_mll"``.

    See Also
    --------
    CNNFeatureExtractor : Features for any other estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import CNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> images = rng.integers(256, size=(8, 32, 32, 3), dtype=np.uint8)
    >>> clf = CNNClassifier("small_cnn", weights=None, train="all", image_size=32, max_epochs=1, random_state=0)
    >>> clf.fit(images, rng.integers(2, size=(8, 5))).predict_proba(images).shape
    (8, 5)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageEstimator._parameter_constraints,
        "train": [StrOptions({"head", "all"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        **DeepClassifier._parameter_constraints,
        "precision": [StrOptions({"auto", "float32", "bf16"})],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        backbone: str | nn.Module | type[nn.Module] = "resnet34",
        *,
        weights: str | os.PathLike[str] | WeightsEnum | None = "DEFAULT",
        backbone_params: Mapping[str, Any] | None = None,
        pool: str | None = None,
        train: str = "head",
        criterion: str = "auto",
        dropout: float = 0.25,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        max_epochs: int = 20,
        batch_size: int = 32,
        image_size: int | tuple[int, int] | None = None,
        resize: str = "auto",
        image_shape: tuple[int, ...] | None = None,
        channel_axis: str = "auto",
        extra_channels: str = "repeat",
        pixel_range: str | int = "auto",
        precision: str = "auto",
        device: str = "auto",
        cache: bool | str | os.PathLike[str] = True,
        fingerprint: str | None = None,
        random_state: int | RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.backbone_params = backbone_params
        self.pool = pool
        self.train = train
        self.criterion = criterion
        self.dropout = dropout
        self.lr = lr
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.batch_size = batch_size
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

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train the head, or the whole network.

        Parameters
        ----------
        X : paths, images, arrays or flat rows
            As in :meth:`CNNFeatureExtractor.fit`.
        y : array-like of shape (n_samples,), or indicator of shape (n_samples, n_labels)
            Classes, or a label indicator (dense, sparse or DataFrame).
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each image in the loss.

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
        self._validate_params()
        images = self._images(X)
        targets, criterion, weights = self._check_fit(X, y, sample_weight)
        if len(images) < 2:
            raise ValueError(f"{type(self).__name__} needs at least 2 images to learn from, got 1 sample.")
        seed = draw_seed(self.random_state)
        self._settle(images, seed)
        self._trains_head_only = self.train == "head"
        self._fit_rows(self._image_rows(images), targets, criterion, weights, seed)
        if not self._trains_head_only:
            self.backbone_ = self.backbone_.without_weights()
        return self

    def _rows(self, X: Any) -> Rows:
        return self._image_rows(self._images_as_settled(X))

    def _image_rows(self, images: Images) -> Rows:
        if self._trains_head_only:
            return TableRows(self._features(images))
        geometry, store = self.backbone_.geometry, open_store(self.cache)
        pictures, digests = (store.pictures, store.digests) if store else (None, None)
        check_images(images, geometry, pictures, digests)
        return ImageRows(images, geometry, resolve_device(self.device), pictures)

    def _module(self, n_outputs: int) -> nn.Module:
        device = resolve_device(self.device)
        n_inputs = feature_size(self.backbone_, device, self.precision_) + self.format_.n_side_features
        head = _Head(n_inputs, n_outputs, self.dropout)
        if self._trains_head_only:
            return head
        network = copy.deepcopy(build_backbone(self.backbone_, device))
        return _ImageNetwork(self.backbone_.without_weights(), network, head, self.precision_)


class _Head(nn.Module):
    def __init__(self, n_inputs: int, n_outputs: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm1d(n_inputs), nn.Dropout(dropout), nn.Linear(n_inputs, n_outputs))

    def forward(self, table: torch.Tensor) -> torch.Tensor:
        return self.layers(table)


class _ImageNetwork(nn.Module):
    """A backbone and a head, from pixels to logits."""

    def __init__(self, description: Backbone, backbone: nn.Module, head: nn.Module, precision: str) -> None:
        super().__init__()
        self.description = description
        self.precision = precision
        self.backbone = backbone
        self.head = head

    def forward(self, images: torch.Tensor, side_features: torch.Tensor) -> torch.Tensor:
        activations = pass_pictures(self.backbone, self.description, images, self.precision)
        return self.head(torch.cat([activations, side_features], dim=1))
