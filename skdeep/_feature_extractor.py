"""CNNFeatureExtractor: images in, activations of a network out, each image computed once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torchvision.models import WeightsEnum

from skdeep._base import ImageEstimator, beside, draw_seed
from skdeep.backbones import feature_size, resolve_device, settle_precision
from skdeep.features import Cache, FeatureFileInfo, export_images


class CNNFeatureExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ImageEstimator):
    """Activations of a convolutional network before its head, as features for any estimator.

    The network is in evaluation mode and never learns, so an image's features depend on nothing but the image: they
    are kept in the feature store, and each image passes the network once in its life, whatever the folds, candidates,
    labels or processes that ask for it.

    Parameters
    ----------
    backbone : str, nn.Module or class of nn.Module, default="resnet34"
        A classification network of torchvision by name, one of timm as ``"timm/NAME"``, ``"small_cnn"``, or your own
        module, or its class, that turns pictures from 0 to 1, of shape (n, n_channels, height, width), into rows.
        :func:`skdeep.backbones.list_backbones` names them all.
    weights : str, path, WeightsEnum or None, default="DEFAULT"
        torchvision's or timm's name of published weights, a file with a state dict (torch or safetensors; the head's
        weights may be absent or of another size; ``"FILE#sha256=HEX"`` checks its digest), or None for random weights
        decided by ``random_state``. A module of your own brings its own; to its class only a file or None applies.
    backbone_params : dict or None, default=None
        Keyword arguments for the class of your own module, or for the builder of a named network.
    layer : str, list of str or None, default=None
        Name of the inner module whose output is wanted, as in ``named_modules()`` of the network, or several, whose
        features are joined in that order. None is what the network gives to its head.
    pool : {"avg", "max", "avgmax", "gem", "flatten", "cls"} or None, default=None
        What becomes of maps and token sequences: their average, maximum, both side by side, generalised mean [2]_,
        all values, or the class token. None is the network's own pooling, and for ``layer`` the average.
    image_size : int, tuple of (height, width) or None, default=None
        Size in pixels at which pictures pass the network; an int is the side of a square. None takes that of the
        published weights; 64 where there are none.
    resize : {"auto", "squash", "crop", "pad"}, default="auto"
        How a picture is brought to that size: the whole of it, whatever becomes of its proportions; its centre; or the
        whole of it with a border that the normalisation makes zero. ``"auto"`` is the published weights' own way (say,
        resized to 256, and 224 cut out) where ``image_size`` is None, else ``"squash"``.
    image_shape : tuple of int or None, default=None
        Shape of one image where X holds flat rows: (height, width), (height, width, channels) or
        (channels, height, width).
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where arrays have their channels; settled in ``fit``. ``"auto"`` looks for 1 or 3 channels on the last axis,
        then on the first, and then for 2 or 4.
    extra_channels : {"repeat", "sum", "zero"}, default="repeat"
        How a named network takes pictures that have neither 1 nor 3 channels: its first filters are repeated over
        them, it sees their mean as grey, or it sees the first three only.
    pixel_range : {"auto", 255, 1}, default="auto"
        The value of white in arrays; settled in ``fit``. ``"auto"`` is 255 for integers and 1 for floats up to 1.
    precision : {"auto", "float32", "bf16", "float16"}, default="auto"
        What the network multiplies in; features are float32 always. ``"auto"`` is bf16 where the hardware multiplies
        in it (CPUs with AMX or AVX512-BF16, CUDA from Ampere on), which is up to some times as fast, and a named
        network bears it: the features of two pictures of noise change by less than 2 %. Else it is float32.
    batch_size : int, default=32
        Images that pass the network together.
    device : str, default="auto"
        A device of torch; ``"auto"`` is the fastest that is there.
    cache : bool, str, path or list of these, default=True
        The feature store: True for the folder in ``SKDEEP_CACHE_DIR`` or else the user's cache folder, False for none,
        or a folder. In a list, paths of feature files that ``export`` wrote follow it, and are looked into before; True
        brings those in ``SKDEEP_FEATURE_FILES`` too, which are separated as in ``PATH``. Files are never written to.
    fingerprint : str or None, default=None
        Your word for all that shapes the output of your own module; without it, that module's features are not stored.
    on_error : {"raise", "nan"}, default="raise"
        What becomes of an image that is missing or broken: an error that names it, before any image passes the
        network, or a row of NaN and one warning.
    random_state : int, RandomState instance or None, default=None
        Decides random weights. Only an int makes them the same from fit to fit, and thus found in the store.

    Attributes
    ----------
    backbone_ : Backbone
        The network, its weights and its preprocessing, as settled in ``fit``.
    precision_ : str
        What the network multiplies in, as settled in ``fit``.
    format_ : ImageFormat
        How X is read, as settled in ``fit``.

    See Also
    --------
    CNNClassifier : Learns on images.

    References
    ----------
    .. [1] Sharif Razavian et al., "CNN features off-the-shelf: an astounding baseline for recognition", CVPR Workshops,
       2014.
    .. [2] Radenovic, Tolias and Chum, "Fine-tuning CNN image retrieval with no human annotation", TPAMI 41(7), 2019,
       equation 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import CNNFeatureExtractor
    >>> images = np.random.default_rng(0).integers(256, size=(4, 32, 32, 3), dtype=np.uint8)
    >>> extractor = CNNFeatureExtractor("squeezenet1_1", weights=None, image_size=32, cache=False, random_state=0)
    >>> extractor.fit_transform(images).shape
    (4, 512)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageEstimator._parameter_constraints,
        "layer": [str, list, tuple, None],
        "on_error": [StrOptions({"raise", "nan"})],
    }

    def __init__(
        self,
        backbone: str | nn.Module | type[nn.Module] = "resnet34",
        *,
        weights: str | os.PathLike[str] | WeightsEnum | None = "DEFAULT",
        backbone_params: Mapping[str, Any] | None = None,
        layer: str | list[str] | tuple[str, ...] | None = None,
        pool: str | None = None,
        image_size: int | tuple[int, int] | None = None,
        resize: str = "auto",
        image_shape: tuple[int, ...] | None = None,
        channel_axis: str = "auto",
        extra_channels: str = "repeat",
        pixel_range: str | int = "auto",
        precision: str = "auto",
        batch_size: int = 32,
        device: str = "auto",
        cache: Cache = True,
        fingerprint: str | None = None,
        on_error: Literal["raise", "nan"] = "raise",
        random_state: int | RandomState | None = None,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.backbone_params = backbone_params
        self.layer = layer
        self.pool = pool
        self.image_size = image_size
        self.resize = resize
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.extra_channels = extra_channels
        self.pixel_range = pixel_range
        self.precision = precision
        self.batch_size = batch_size
        self.device = device
        self.cache = cache
        self.fingerprint = fingerprint
        self.on_error = on_error
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Settle the network and how X is read; no image passes the network yet.

        Parameters
        ----------
        X : paths, images, arrays or flat rows
            A list, array, Series or one-column DataFrame of paths; a list of PIL images; arrays of shape
            (n, height, width[, channels]) or (n, channels, height, width); flat rows with ``image_shape``. Numbers may
            stand to the right of a DataFrame's image column or of flat rows.
        y : ignored

        Returns
        -------
        self : CNNFeatureExtractor

        Raises
        ------
        ValueError
            If the parameters or the backbone's name are wrong.
        ImageError
            If X holds no images, or a file is missing.
        WeightsError
            If the weights do not fit the network, or cannot be downloaded.
        """
        self._validate_params()
        images = self._images(X)
        device = resolve_device(self.device)
        self.backbone_ = self._described(images, self.image_size, draw_seed(self.random_state))
        self.precision_ = settle_precision(self.precision, self.backbone_, device)
        self.format_ = images.format
        n_activations = feature_size(self.backbone_, device, self.precision_)
        self._n_features_out = n_activations + images.format.n_side_features
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Give the features of images.

        Parameters
        ----------
        X : paths, images, arrays or flat rows
            As in ``fit``.

        Returns
        -------
        features : ndarray of float32 of shape (n_samples, n_features)
            Activations, and to their right the numbers that stood beside the images.

        Raises
        ------
        ImageError
            If an image is missing or broken and ``on_error`` is ``"raise"``; files are checked before any image passes
            the network.
        """
        check_is_fitted(self)
        images = self._images_as_settled(X)
        return beside(self._features(images, self.backbone_, self.precision_), images)

    def export(self, X: Any, path: str | os.PathLike[str]) -> FeatureFileInfo:
        """Write the features of images to one file, in which estimators on other hosts find them.

        They are found by images, networks, precisions, kinds of device and versions of libraries that are equal, so
        that no wrong ones are. Those of images that cannot be used are left out.

        Parameters
        ----------
        X : paths, images, arrays or flat rows
            As in ``fit``.
        path : str or path
            A safetensors file, in place of the one that may be there. It is written whole or not at all.

        Returns
        -------
        info : FeatureFileInfo
            What the file holds.

        Raises
        ------
        ValueError
            If the network is a module of your own without ``fingerprint``, or no image can be used.
        ImageError
            If an image is missing or broken and ``on_error`` is ``"raise"``.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from skdeep import CNNFeatureExtractor
        >>> images = np.random.default_rng(0).integers(256, size=(4, 32, 32, 3), dtype=np.uint8)
        >>> extractor = CNNFeatureExtractor("small_cnn", weights=None, image_size=32, cache=False, random_state=0)
        >>> features = extractor.fit_transform(images)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = extractor.export(images, f"{folder}/features.safetensors").path
        ...     found = extractor.set_params(cache=[False, file]).transform(images)
        >>> bool((found == features).all())
        True
        """
        check_is_fitted(self)
        return export_images(path, self._images_as_settled(X), self.backbone_, **self._extraction(self.precision_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
