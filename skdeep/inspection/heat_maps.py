"""Heat maps: where in a picture a network sees a label."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import Interval, validate_params
from sklearn.utils.validation import _num_samples, check_is_fitted
from torch import nn
from torch.nn import functional as F

from skdeep._cnn_classifier import CNNClassifier
from skdeep._text import listed
from skdeep.backbones import resolve_device
from skdeep.backbones.dryrun import first_tensor
from skdeep.backbones.taps import plan_own_taps
from skdeep.images import Geometry, Images, as_images
from skdeep.inspection._answers import last_step, position_of
from skdeep.inspection._plotting import channels_last, channels_note, picture_axes, pyplot, show_picture
from skdeep.training import ImageRows

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

_POSITIVE = Interval(Integral, 1, None, closed="left")
_OPACITY = 0.6  # of the hottest spot


@validate_params({"layer": [str, None]}, prefer_skip_nested_validation=True)
def grad_cam(
    estimator: Any, X: Any, label: str | int | None = None, *, layer: str | None = None
) -> NDArray[np.float32]:
    r"""Where in each picture a network sees a label, by Grad-CAM.

    With the maps :math:`A^k` of a layer and the logit :math:`y` of the label, the weight of a map is the mean of
    :math:`\partial y / \partial A^k` over its positions, and the heat is the positive part of the weighted sum of
    maps. It is brought to the size of the picture, and divided by its maximum: it says where, and not how surely.

    The classifier stays as it is: a copy of its network computes, in float32. Views of ``tta`` do not count. Of several
    networks (``averaging="snapshots"``, ``Phase(snapshot=True)``), the heat is the mean before that division, each
    network's times the number of its positions, which the size of the pictures decides.

    Parameters
    ----------
    estimator : fitted CNNClassifier, or a pipeline or search around one
    X : array-like
        Images, as the classifier takes them; with the numbers beside them, if there are any.
    label : str or int, default=None
        Which label or class, by name or position. None: the only label, or the second of two classes.
    layer : str, default=None
        A layer of the network without head that puts out maps, as ``summary()`` and the network's ``named_modules()``
        name it. None: the last one that does so before the network's pooling.

    Returns
    -------
    heat : ndarray of float32 of shape (n_samples, height, width)
        From 0 to 1, on the pictures as the network sees them; zero all over where nothing speaks for the label.

    Raises
    ------
    ValueError
        If there is no such label or layer, the layer puts out no maps, or maps of a single position; or if several
        networks see different parts of a picture.
    ImageError
        If X holds no images, or one that cannot be read.

    References
    ----------
    Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra, "Grad-CAM: visual explanations from deep networks via
    gradient-based localization", ICCV, 2017: equations 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import CNNClassifier
    >>> from skdeep.inspection import grad_cam
    >>> images = np.random.default_rng(0).integers(256, size=(4, 32, 32, 3), dtype=np.uint8)
    >>> clf = CNNClassifier("small_cnn", weights=None, image_size=32, max_epochs=1, random_state=0)
    >>> grad_cam(clf.fit(images, ["field", "road"] * 2), images, "road").shape
    (4, 32, 32)
    """
    classifier = _classifier_of(estimator)
    position, _ = _asked(classifier, label)
    return _heat(classifier, as_images(X, like=classifier.format_), position, layer)


class GradCAMDisplay:
    """Pictures as a network sees them, and over each the heat that says where it sees a label.

    Use :meth:`from_estimator`; the constructor takes what it finds.

    Parameters
    ----------
    pictures : sequence of ndarray of shape (height, width, n_channels)
        uint8, or floats from 0 to 1. Of two channels the first is shown as grey, of more than three the first three.
    heat : array-like of shape (n_pictures, height, width)
        From 0, where the picture shows through, to 1.
    probabilities : array-like of shape (n_pictures,)
        Of the label.
    label : str

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
    images_ : list of matplotlib AxesImage
        The pictures.
    heat_images_ : list of matplotlib AxesImage

    See Also
    --------
    grad_cam : The heat alone.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import CNNClassifier
    >>> from skdeep.inspection import GradCAMDisplay
    >>> images = np.random.default_rng(0).integers(256, size=(4, 32, 32, 3), dtype=np.uint8)
    >>> clf = CNNClassifier("small_cnn", weights=None, image_size=32, max_epochs=1, random_state=0)
    >>> display = GradCAMDisplay.from_estimator(clf.fit(images, ["field", "road"] * 2), images, n_images=3)
    >>> display.label, display.heat.shape
    ('road', (3, 32, 32))
    """

    def __init__(
        self, pictures: Sequence[NDArray[Any]], *, heat: ArrayLike, probabilities: ArrayLike, label: str
    ) -> None:
        self.pictures = pictures
        self.heat = heat
        self.probabilities = probabilities
        self.label = label

    @classmethod
    @validate_params({"layer": [str, None], "n_images": [_POSITIVE]}, prefer_skip_nested_validation=True)
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        label: str | int | None = None,
        layer: str | None = None,
        n_images: int = 9,
        ax: Any = None,
    ) -> Self:
        """Plot the heat of the first pictures.

        Parameters
        ----------
        estimator, X, label, layer
            As in :func:`grad_cam`.
        n_images : int, default=9
            Fewer are shown where there are fewer; others do not pass the network.
        ax : array of Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : GradCAMDisplay

        Raises
        ------
        ValueError
            As in :func:`grad_cam`.
        ImageError
            As there.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        classifier = _classifier_of(estimator)
        position, name = _asked(classifier, label)
        few = _safe_indexing(X, np.arange(min(n_images, _num_samples(X))))
        images = as_images(few, like=classifier.format_)
        geometry: Geometry = classifier.backbone_.geometry
        display = cls(
            [channels_last(images.pixels(row, geometry)) for row in range(len(images))],
            heat=_heat(classifier, images, position, layer),
            probabilities=classifier.predict_proba(few)[:, position],
            label=name,
        )
        return display.plot(ax=ax)

    def plot(self, *, n_columns: int | None = None, cmap: str = "inferno", ax: Any = None) -> Self:
        """Plot.

        Parameters
        ----------
        n_columns : int, default=None
            None makes the grid as square as it can be.
        cmap : str, default="inferno"
            A colour map of matplotlib for the heat.
        ax : array of Axes, default=None
            One for each picture. None makes a figure.

        Returns
        -------
        self : GradCAMDisplay

        Raises
        ------
        ValueError
            If ``ax`` holds another number of axes.
        """
        self.figure_, self.axes_ = picture_axes(self, ax, len(self.pictures), n_columns)
        self.images_: list[AxesImage] = []
        self.heat_images_: list[AxesImage] = []
        rows = zip(self.axes_, self.pictures, np.asarray(self.heat), np.asarray(self.probabilities), strict=True)
        for axes, picture, heat, probability in rows:
            self.images_.append(show_picture(axes, picture))
            self.heat_images_.append(axes.imshow(heat, cmap=cmap, vmin=0, vmax=1, alpha=_OPACITY * heat))
            axes.set_title(f"p = {probability:.2f}", fontsize=10)
        if ax is None:
            self.figure_.suptitle(f'Grad-CAM: "{self.label}"{channels_note(self.pictures[0])}')
        return self


class _Watched:
    """A network, of one of whose layers the maps and their gradients are seen.

    Parameters
    ----------
    network : nn.Module
        A backbone and a head; not to be used for anything else.
    layer : str or None
    size : tuple of int
        Of the pictures.
    """

    def __init__(self, network: Any, layer: str | None, size: tuple[int, int]) -> None:
        self.network = network
        body, layers = network.backbone, () if layer is None else (layer,)
        (self.tap,) = plan_own_taps(body, layers, None, network.description.n_channels, size).taps
        if self.tap.kind not in {"map", "map_last"}:
            raise ValueError(
                f"Grad-CAM needs maps, and the layer {self.tap.layer!r} of {type(body).__name__} puts out "
                f"{self.tap.kind}: name one that puts out maps with layer=."
            )
        # in front of others, which may end the pass
        body.get_submodule(self.tap.layer).register_forward_hook(self._note, prepend=True)

    def heat(self, arguments: dict[str, torch.Tensor], kind: str, position: int) -> torch.Tensor:
        """Heat maps of a batch."""
        logits = self.network(**arguments)
        if kind == "binary":
            logits = torch.cat([-logits, logits], dim=1)
        # pictures do not meet in evaluation mode, so that the gradient of the sum holds each one's own
        (gradients,) = torch.autograd.grad(logits[:, position].sum(), self.maps)
        maps = self.maps.detach()
        if self.tap.kind == "map_last":
            maps, gradients = (values.permute(0, 3, 1, 2) for values in (maps, gradients))
        if maps[0, 0].numel() == 1:
            raise ValueError(
                f"The maps of the layer {self.tap.layer!r} of {type(self.network.backbone).__name__} have a single "
                "position for pictures of this size, which shows nothing: name an earlier layer with layer=."
            )
        # not their mean, with which networks of few positions would count more than those of many
        shares = gradients.sum((2, 3), keepdim=True)
        return (shares * maps).sum(dim=1).relu()

    def _note(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        tensor: Any = first_tensor(output)
        self.maps = tensor.detach().requires_grad_()
        # a copy goes on, for what follows may change it in place
        going_on = self.maps.clone()
        return going_on if tensor is output else type(output)([going_on, *output[1:]])


def _classifier_of(estimator: Any) -> Any:
    """The image classifier itself, within pipelines and searches."""
    classifier = last_step(estimator)
    if not isinstance(classifier, CNNClassifier):
        raise ValueError(f"Grad-CAM looks into the network of a CNNClassifier, got {type(classifier).__name__}.")
    check_is_fitted(classifier)
    return classifier


def _asked(classifier: Any, label: str | int | None) -> tuple[int, str]:
    """Position and name of the label or class that is asked for."""
    names = [str(name) for name in getattr(classifier, "label_names_", classifier.classes_)]
    position = position_of(1 if label is None and classifier._kind == "binary" else label, names)
    return position, names[position]


def _heat(classifier: Any, images: Images, position: int, layer: str | None) -> NDArray[np.float32]:
    device, geometry, size = resolve_device(classifier.device), classifier.backbone_.geometry, classifier.batch_size
    rows = list(range(len(images)))
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    done = []
    with torch.inference_mode(False), torch.enable_grad():
        networks = classifier._whole_networks(device)
        _check_parts([own for _, own in networks])
        watched = [_Watched(network, layer, own.size) for network, own in networks]
        streams = [ImageRows(images, own, device).take(batches) for _, own in networks]
        for seen in zip(*streams, strict=True):
            maps = [
                network.heat(arguments, classifier._kind, position)[:, None]
                for network, arguments in zip(watched, seen, strict=True)
            ]
            heat = torch.cat([F.interpolate(some, geometry.size, mode="bilinear") for some in maps], dim=1).mean(1)
            peak = heat.amax((1, 2), keepdim=True)
            done.append((heat / peak.where(peak > 0, 1)).cpu())
    return torch.cat(done).numpy()


def _check_parts(geometries: Sequence[Geometry]) -> None:
    """Raise an error if geometries show different parts of a picture, whose heat has no common place."""
    parts = set()
    for geometry in geometries:
        policy, (height, width), resize = geometry.policy, geometry.size, geometry.resize or max(geometry.size)
        parts.add((policy,) if policy == "squash" else (policy, Fraction(height, width), Fraction(resize, height)))
    if len(parts) > 1:
        raise ValueError(
            "The networks of this classifier see different parts of a picture "
            f"({listed(dict.fromkeys(geometries))}), and their heat would not meet."
        )
