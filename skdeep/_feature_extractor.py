"""CNNFeatureExtractor: images in, activations of a network out, each image computed once."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skdeep._base import ImageEstimator, draw_seed
from skdeep.backbones import feature_size, resolve_device
from skdeep.images import as_images


class CNNFeatureExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ImageEstimator):
    """Activations of a convolutional network before its head, as features for any estimator.

    The network is in evaluation mode and never learns, so an image's features depend on nothing but the image: they
    are kept in the feature store, and each image passes the network once in its life, whatever the folds, candidates,
    labels or processes that ask for it.

    Parameters
    ----------
    backbone : str or nn.Module, default="resnet34"
        A classification network of torchvision by name, ``"small_cnn"``, or your own module that turns pictures from 0
        to 1, of shape (n, 3, height, width), into rows. :func:`skdeep.backbones.list_backbones` names them all.
    weights : str, path or None, default="DEFAULT"
        torchvision's name of published weights, a file with a state dict (torch or safetensors; the head's weights may
        be absent or of another size), or None for random weights decided by ``random_state``. Your own module brings
        its own.
    image_size : int or None, default=None
        Side in pixels of the square to which each picture is squashed. None takes the transforms of the best
        published weights (say, resize to 256, cut out 224); 64 where there are none.
    image_shape : tuple of int or None, default=None
        Shape of one image where X holds flat rows: (height, width), (height, width, channels) or
        (channels, height, width).
    pixel_range : {"auto", 255, 1}, default="auto"
        The value of white in arrays; settled in ``fit``. ``"auto"`` is 255 for integers and 1 for floats up to 1.
    batch_size : int, default=32
        Images that pass the network together.
    device : str, default="auto"
        A device of torch; ``"auto"`` is the fastest that is there.
    cache : bool, str or path, default=True
        The feature store: True for the folder in ``SKDEEP_CACHE_DIR`` or else the user's cache folder, False for none,
        or a folder.
    fingerprint : str or None, default=None
        Your word for all that shapes the output of your own module; without it, that module's features are not stored.
    random_state : int, RandomState instance or None, default=None
        Decides random weights. Only an int makes them the same from fit to fit, and thus found in the store.

    Attributes
    ----------
    backbone_ : Backbone
        The network, its weights and its preprocessing, as settled in ``fit``.
    format_ : ImageFormat
        How X is read, as settled in ``fit``.

    See Also
    --------
    CNNClassifier : Learns on images.

    References
    ----------
    Sharif Razavian et al., "CNN features off-the-shelf: an astounding baseline for recognition", CVPR Workshops, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import CNNFeatureExtractor
    >>> images = np.random.default_rng(0).integers(256, size=(4, 32, 32, 3), dtype=np.uint8)
    >>> extractor = CNNFeatureExtractor("squeezenet1_1", weights=None, image_size=32, cache=False, random_state=0)
    >>> extractor.fit_transform(images).shape
    (4, 512)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = ImageEstimator._parameter_constraints

    def __init__(
        self,
        backbone: str | nn.Module = "resnet34",
        *,
        weights: str | os.PathLike[str] | None = "DEFAULT",
        image_size: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        pixel_range: str | int = "auto",
        batch_size: int = 32,
        device: str = "auto",
        cache: bool | str | os.PathLike[str] = True,
        fingerprint: str | None = None,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.image_size = image_size
        self.image_shape = image_shape
        self.pixel_range = pixel_range
        self.batch_size = batch_size
        self.device = device
        self.cache = cache
        self.fingerprint = fingerprint
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
        images = as_images(X, image_shape=self.image_shape, pixel_range=self.pixel_range)  # type: ignore[arg-type]
        self._settle(images, draw_seed(self.random_state))
        n_activations = feature_size(self.backbone_, resolve_device(self.device))
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
            If an image is missing or broken; files are checked before any image passes the network.
        """
        check_is_fitted(self)
        return self._features(as_images(X, like=self.format_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
