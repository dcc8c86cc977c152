"""Pictures: those that a model is most right or wrong about, and what augmentation makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import check_consistent_length

from skdeep.images import Augmentation, Geometry, Images, as_images, resolve_augmentation
from skdeep.inspection._answers import (
    Decisions,
    check_decisions,
    first_step,
    last_step,
    names_of,
    probabilities_of,
)
from skdeep.inspection._plotting import (
    WHITE,
    channels_last,
    channels_note,
    grid_axes,
    picture_axes,
    pyplot,
    show_picture,
)

Kind = Literal["most_wrong", "most_correct", "most_uncertain"]

_POSITIVE = Interval(Integral, 1, None, closed="left")
_VIEWS: dict[str, list[Any]] = {"n_images": [_POSITIVE], "n_views": [_POSITIVE], "random_state": ["random_state"]}


class ImageGridDisplay:
    r"""The pictures that a model is most wrong, most right or least certain about, for one label or class.

    Use :meth:`from_estimator` or :meth:`from_predictions`; the constructor takes what they find.

    Parameters
    ----------
    pictures : sequence of ndarray of shape (height, width, n_channels)
        uint8, or floats from 0 to 1. Of two channels the first is shown as grey, of more than three the first three.
    truths : sequence of str of shape (n_pictures,)
        What is true of each: ``"yes"`` or ``"no"``, or its class.
    probabilities : array-like of shape (n_pictures,)
        Of the label.
    label : str
    kind : {"most_wrong", "most_correct", "most_uncertain"}
    rows : array-like of int of shape (n_pictures,), default=None
        Where the pictures stand in X.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
    images_ : list of matplotlib AxesImage

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.inspection import ImageGridDisplay
    >>> images = np.random.default_rng(0).integers(256, size=(3, 32, 32, 3), dtype=np.uint8)
    >>> display = ImageGridDisplay.from_predictions([1, 0, 1], [0.9, 0.8, 0.4], images, n_images=2)
    >>> display.rows.tolist(), [axes.get_title() for axes in display.axes_.flat]
    ([1, 2], ['true: no\np = 0.80', 'true: yes\np = 0.40'])
    """

    def __init__(
        self,
        pictures: Sequence[NDArray[Any]],
        *,
        truths: Sequence[str],
        probabilities: ArrayLike,
        label: str,
        kind: Kind,
        rows: ArrayLike | None = None,
    ) -> None:
        self.pictures = pictures
        self.truths = truths
        self.probabilities = probabilities
        self.label = label
        self.kind = kind
        self.rows = rows

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        label: str | int | None = None,
        kind: Kind = "most_wrong",
        n_images: int = 9,
        image_size: int = 224,
        label_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Self:
        """Plot what a classifier is most wrong about, or as ``kind`` says.

        Parameters
        ----------
        estimator : fitted classifier
            With ``predict_proba``. X is read as the image estimator in it reads it.
        X : array-like
            Images, as the classifier takes them.
        y : array-like of shape (n_samples,), or indicator of shape (n_samples, n_labels)
        label, kind, n_images, image_size, ax
            As in :meth:`from_predictions`.
        label_names : sequence of str, default=None
            None takes the columns of a DataFrame, or the classifier's ``label_names_`` or ``classes_``.

        Returns
        -------
        display : ImageGridDisplay

        Raises
        ------
        ValueError
            As in :meth:`from_predictions`, or if the classifier has no ``predict_proba``.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        images = as_images(X, like=getattr(first_step(estimator), "format_", None))
        return cls.from_predictions(
            y,
            probabilities_of(estimator, X),
            images,
            label=label,
            kind=kind,
            n_images=n_images,
            image_size=image_size,
            label_names=names_of(estimator, y) if label_names is None else label_names,
            ax=ax,
        )

    @classmethod
    @validate_params(
        {
            "kind": [StrOptions({"most_wrong", "most_correct", "most_uncertain"})],
            "n_images": [_POSITIVE],
            "image_size": [_POSITIVE],
        },
        prefer_skip_nested_validation=True,
    )
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: Any,
        images: Any,
        *,
        label: str | int | None = None,
        kind: Kind = "most_wrong",
        n_images: int = 9,
        image_size: int = 224,
        label_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Self:
        """Plot the pictures that probabilities are most wrong about, or as ``kind`` says.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,), or indicator of shape (n_samples, n_labels)
            Of two classes, the second is the label.
        y_proba : array-like of shape (n_samples, n_labels), (n_samples, n_classes) or (n_samples,)
            Probabilities.
        images : array-like, or Images
            Whatever :func:`skdeep.images.as_images` takes, or gives. Only the pictures that are shown are read.
        label : str or int, default=None
            Which label or class, by name or position. None: the only one.
        kind : {"most_wrong", "most_correct", "most_uncertain"}, default="most_wrong"
            ``"most_wrong"``: the probability is farthest from the truth, whether the picture has the label or not.
            ``"most_correct"``: the picture has the label, and the probability is highest. ``"most_uncertain"``: the
            probability is nearest to 1/2. Of equals the first come first.
        n_images : int, default=9
            Fewer are shown where there are fewer.
        image_size : int, default=224
            Side in pixels to which pictures are brought, their proportions kept.
        label_names : sequence of str, default=None
            For ``y_true`` of one dimension, the classes. None reads them off ``y_true``.
        ax : array of Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : ImageGridDisplay

        Raises
        ------
        ValueError
            If ``y_true``, ``y_proba`` and ``images`` do not fit each other, there is no such label, or no picture that
            could be shown.
        ImageError
            If ``images`` holds no images, or one that is shown cannot be read.
        """
        pyplot(f"{cls.__name__}.from_predictions")
        decisions = check_decisions(y_true, y_proba, label_names)
        column = decisions.column(label)
        images = images if isinstance(images, Images) else as_images(images)
        check_consistent_length(y_true, images)
        rows = _ranked(decisions, column, kind)[:n_images]
        display = cls(
            _pictures(images, rows, image_size),
            truths=_truths(decisions, column)[rows].tolist(),
            probabilities=decisions.probabilities[rows, column],
            label=decisions.names[column],
            kind=kind,
            rows=rows,
        )
        return display.plot(ax=ax)

    def plot(self, *, n_columns: int | None = None, ax: Any = None) -> Self:
        """Plot.

        Parameters
        ----------
        n_columns : int, default=None
            None makes the grid as square as it can be.
        ax : array of Axes, default=None
            One for each picture. None makes a figure.

        Returns
        -------
        self : ImageGridDisplay

        Raises
        ------
        ValueError
            If ``ax`` holds another number of axes.
        """
        self.figure_, self.axes_ = picture_axes(self, ax, len(self.pictures), n_columns)
        rows = zip(self.axes_, self.pictures, self.truths, np.asarray(self.probabilities), strict=True)
        self.images_ = []
        for axes_of_picture, picture, truth, probability in rows:
            self.images_.append(show_picture(axes_of_picture, picture))
            axes_of_picture.set_title(f"true: {truth}\np = {probability:.2f}", fontsize=10)
        if ax is None:
            self.figure_.suptitle(f'{self.kind.replace("_", " ")}: "{self.label}"{channels_note(self.pictures[0])}')
        return self


class AugmentedViewsDisplay:
    """Pictures, each in a row of its own: as it is, and as augmentation shows it to training.

    Use :meth:`from_images` or :meth:`from_estimator`; the constructor takes what they make.

    Parameters
    ----------
    pictures : sequence of ndarray of shape (height, width, n_channels)
        uint8, or floats from 0 to 1; shown as in :class:`ImageGridDisplay`.
    views : sequence of sequence of ndarray
        The views of each picture, as many of each.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes of shape (n_pictures, 1 + n_views)
    images_ : list of list of matplotlib AxesImage

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.inspection import AugmentedViewsDisplay
    >>> images = np.random.default_rng(0).integers(256, size=(2, 32, 32, 3), dtype=np.uint8)
    >>> display = AugmentedViewsDisplay.from_images(images, "top_down", n_views=3, random_state=0)
    >>> display.axes_.shape
    (2, 4)
    """

    def __init__(self, pictures: Sequence[NDArray[Any]], views: Sequence[Sequence[NDArray[Any]]]) -> None:
        self.pictures = pictures
        self.views = views

    @classmethod
    @validate_params(_VIEWS, prefer_skip_nested_validation=True)
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_images: int = 3,
        n_views: int = 5,
        random_state: int | RandomState | None = None,
        ax: Any = None,
    ) -> Self:
        """Plot views as a classifier sees them while it learns: by its ``augmentation``, at its size of picture.

        Parameters
        ----------
        estimator : fitted CNNClassifier, or a pipeline or search around one
        X : array-like
            Images, as the classifier takes them.
        n_images, n_views, random_state, ax
            As in :meth:`from_images`.

        Returns
        -------
        display : AugmentedViewsDisplay

        Raises
        ------
        ValueError
            If the classifier has no augmentation.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        classifier = last_step(estimator)
        images = as_images(X, like=getattr(classifier, "format_", None))
        backbone = getattr(classifier, "backbone_", None)
        return cls._of(
            images,
            getattr(classifier, "augmentation", None),
            Geometry((224, 224), "crop") if backbone is None else backbone.geometry,
            (n_images, n_views),
            random_state,
        ).plot(ax=ax)

    @classmethod
    @validate_params({**_VIEWS, "image_size": [_POSITIVE]}, prefer_skip_nested_validation=True)
    def from_images(
        cls,
        images: Any,
        augmentation: str | Callable[[torch.Tensor], torch.Tensor] | Augmentation,
        *,
        n_images: int = 3,
        n_views: int = 5,
        image_size: int = 224,
        random_state: int | RandomState | None = None,
        ax: Any = None,
    ) -> Self:
        """Plot views of the first pictures.

        Parameters
        ----------
        images : array-like, or Images
            Whatever :func:`skdeep.images.as_images` takes, or gives.
        augmentation : {"side_on", "top_down"}, callable or Augmentation
            As in ``CNNClassifier``.
        n_images, n_views : int
            Rows, and views of each picture: 3 and 5 unless told otherwise. Fewer rows where there are fewer pictures.
        image_size : int, default=224
            Side in pixels of the centre of each picture, which is cut out before.
        random_state : int, RandomState instance or None, default=None
            Decides the views.
        ax : array of Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : AugmentedViewsDisplay

        Raises
        ------
        ValueError
            If ``augmentation`` is none.
        ImageError
            If ``images`` holds no images, or one that is shown cannot be read.
        """
        pyplot(f"{cls.__name__}.from_images")
        images = images if isinstance(images, Images) else as_images(images)
        geometry = Geometry((image_size, image_size), "crop")
        return cls._of(images, augmentation, geometry, (n_images, n_views), random_state).plot(ax=ax)

    @classmethod
    def _of(
        cls,
        images: Images,
        augmentation: Any,
        geometry: Geometry,
        shape: tuple[int, int],
        random_state: int | RandomState | None,
    ) -> Self:
        augment = resolve_augmentation(augmentation)
        if augment is None:
            raise ValueError("The 'augmentation' parameter must say how pictures are changed. Got None instead.")
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        pictures, views = [], []
        for row in range(min(shape[0], len(images))):
            pixels = images.pixels(row, geometry)
            pictures.append(channels_last(pixels))
            views.append(list(map(channels_last, augment(pixels.repeat(shape[1], 1, 1, 1), generator))))
        return cls(pictures, views)

    def plot(self, *, ax: Any = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : array of Axes of shape (n_pictures, 1 + n_views), default=None
            None makes a figure.

        Returns
        -------
        self : AugmentedViewsDisplay

        Raises
        ------
        ValueError
            If ``ax`` holds another number of axes.
        """
        shape = (len(self.pictures), 1 + len(self.views[0]))
        self.figure_, self.axes_ = grid_axes(self, ax, shape, (1.15 * shape[1], 0.35 + 1.15 * shape[0]))
        self.images_ = [
            [show_picture(axes, picture) for axes, picture in zip(row, [plain, *views], strict=True)]
            for row, plain, views in zip(self.axes_, self.pictures, self.views, strict=True)
        ]
        for column, axes in enumerate(self.axes_[0]):
            axes.set_title(f"view {column}" if column else "as it is", fontsize=10)
        if ax is None and (note := channels_note(self.pictures[0])):
            self.figure_.suptitle(note.strip(" ,"), fontsize=10)
        return self


def _ranked(decisions: Decisions, column: int, kind: Kind) -> NDArray[np.intp]:
    """Rows that may be shown, the best first."""
    true, proba = decisions.true[:, column], decisions.probabilities[:, column]
    rows = np.arange(len(true))
    if kind == "most_correct":
        rows = np.flatnonzero(true)
        if len(rows) == 0:
            raise ValueError(
                f"None of the {len(true)} pictures has the label {decisions.names[column]!r}, so none can be most "
                'correct; ask for kind="most_wrong".'
            )
    rank = {"most_wrong": np.abs(true - proba), "most_correct": proba, "most_uncertain": -np.abs(proba - 0.5)}[kind]
    return rows[np.argsort(-rank[rows], kind="stable")]


def _truths(decisions: Decisions, column: int) -> NDArray[np.str_]:
    """What is true of each row: its class where there are several, else whether it has the label."""
    if decisions.truths is not None and len(decisions.names) > 1:
        return decisions.truths
    return np.where(decisions.true[:, column] == 1, "yes", "no")


def _pictures(images: Images, rows: NDArray[np.intp], side: int) -> list[NDArray[Any]]:
    geometry = Geometry((side, side), "pad", fill=(WHITE,))
    return [channels_last(images.pixels(int(row), geometry)) for row in rows]
