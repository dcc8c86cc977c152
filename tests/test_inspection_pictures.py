"""Displays of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skdeep import CNNClassifier, CNNFeatureExtractor
from skdeep.exceptions import ImageError
from skdeep.images import Augmentation, as_images
from skdeep.inspection import AugmentedViewsDisplay, ImageGridDisplay
from skdeep.multilabel import BinaryRelevance
from tests.drawing import close_figures, drawn_within, fitted  # noqa: F401

TRUE = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [1, 0], [0, 0]])
PROBA = np.array([[0.9, 0.1], [0.2, 0.7], [0.7, 0.6], [0.1, 0.8], [0.55, 0.3], [0.4, 0.2]])


def titles(display: ImageGridDisplay) -> list[str]:
    return [axes.get_title() for axes in display.axes_]


def colours(image: Any) -> NDArray[np.uint8]:
    """What an artist shows, as RGB from 0 to 255."""
    shown = np.ma.getdata(image.to_rgba(image.get_array(), bytes=True, norm=image.get_array().ndim == 2))
    return shown[..., :3]


@pytest.mark.parametrize(
    ("kind", "rows"), [("most_wrong", [1, 2, 4]), ("most_correct", [0, 4, 1]), ("most_uncertain", [4, 5, 2])]
)
def test_kinds_rank_by_probability_and_truth(kind: str, rows: list[int], pictures: NDArray[np.uint8]) -> None:
    display = ImageGridDisplay.from_predictions(TRUE, PROBA, pictures, label=0, kind=kind, n_images=3, image_size=32)
    assert display.rows.tolist() == rows
    for row, image in zip(rows, display.images_, strict=True):
        np.testing.assert_array_equal(colours(image), pictures[row])
    assert titles(display) == [f"true: {['no', 'yes'][TRUE[row, 0]]}\np = {PROBA[row, 0]:.2f}" for row in rows]


def test_equals_keep_their_order(pictures: NDArray[np.uint8]) -> None:
    display = ImageGridDisplay.from_predictions(TRUE[:, 0], np.full(6, 0.5), pictures, kind="most_uncertain")
    assert display.rows.tolist() == list(range(6))


def test_the_heading_names_kind_and_label(pictures: NDArray[np.uint8]) -> None:
    true = pd.DataFrame(TRUE, columns=["haze", "road"])
    display = ImageGridDisplay.from_predictions(true, PROBA, pictures, label="road", n_images=2)
    assert display.figure_.get_suptitle() == 'most wrong: "road"'
    assert display.rows.tolist() == [2, 1]
    assert drawn_within(display.figure_)


def test_of_several_classes_one_is_asked_for_and_titles_name_the_true_one(pictures: NDArray[np.uint8]) -> None:
    y = np.array(["a", "b", "c", "a", "b", "c"])
    proba = np.eye(3)[[0, 1, 2, 1, 2, 1]] * 0.8 + 0.2 / 3
    display = ImageGridDisplay.from_predictions(y, proba, pictures, label="b", n_images=3)
    # two were taken for b, and one b was not
    assert sorted(display.rows) == [3, 4, 5]
    assert [title.split("\n")[0] for title in titles(display)] == [f"true: {y[row]}" for row in display.rows]
    correct = ImageGridDisplay.from_predictions(y, proba, pictures, label="c", kind="most_correct")
    assert correct.rows.tolist() == [2, 5]


@pytest.mark.parametrize("n_images", [1, 2, 4, 5, 6, 9])
def test_the_grid_has_a_place_for_each_picture(n_images: int, pictures: NDArray[np.uint8]) -> None:
    display = ImageGridDisplay.from_predictions(TRUE[:, 0], PROBA[:, 0], pictures, n_images=n_images)
    assert len(display.axes_) == len(display.images_) == min(n_images, 6)
    assert sum(axes.axison for axes in display.figure_.axes) == min(n_images, 6)


def test_the_number_of_columns_may_be_chosen(pictures: NDArray[np.uint8]) -> None:
    display = ImageGridDisplay.from_predictions(TRUE[:, 0], PROBA[:, 0], pictures).plot(n_columns=6)
    assert {axes.get_subplotspec().rowspan.start for axes in display.axes_} == {0}


@pytest.mark.parametrize("form", ["uint8", "float", "first", "paths", "pil", "tensor"])
def test_colours_are_true_in_whichever_form_pictures_come(
    form: str, pictures: NDArray[np.uint8], paths: list[str]
) -> None:
    X: Any = {
        "uint8": pictures,
        "float": pictures / 255,
        "first": np.moveaxis(pictures, -1, 1),
        "paths": paths,
        "pil": [Image.fromarray(picture) for picture in pictures],
        "tensor": torch.from_numpy(pictures),
    }[form]
    display = ImageGridDisplay.from_predictions(TRUE[:, 0], PROBA[:, 0], X, n_images=2, image_size=32)
    for row, image in zip(display.rows, display.images_, strict=True):
        np.testing.assert_allclose(colours(image), pictures[row], atol=1)


@pytest.mark.parametrize("white", [255, 1])
def test_grey_pictures_are_grey_and_not_stretched(white: int, pictures: NDArray[np.uint8]) -> None:
    # a picture in the middle of the range must not become black and white
    grey = (100 + pictures[..., 0] // 8).astype(np.uint8)
    X = grey if white == 255 else grey / 255
    display = ImageGridDisplay.from_predictions(TRUE[:, 0], PROBA[:, 0], X, n_images=1, image_size=32)
    shown = colours(display.images_[0])
    np.testing.assert_allclose(shown, np.repeat(grey[display.rows[0], ..., None], 3, axis=-1), atol=1)


@pytest.mark.parametrize(("n_channels", "note"), [(2, ", first channel of 2"), (5, ", first 3 channels of 5"), (3, "")])
def test_channels_that_are_not_shown_are_spoken_of(n_channels: int, note: str) -> None:
    X = np.random.default_rng(0).integers(256, size=(6, 32, 32, n_channels), dtype=np.uint8)
    images = as_images(X, channel_axis="last")
    display = ImageGridDisplay.from_predictions(TRUE[:, 0], PROBA[:, 0], images, n_images=1, image_size=32)
    assert display.figure_.get_suptitle() == f'most wrong: "y0"{note}'
    expected = X[display.rows[0]][..., [0, 0, 0] if n_channels == 2 else [0, 1, 2]]
    np.testing.assert_allclose(colours(display.images_[0]), expected, atol=1)
    views = AugmentedViewsDisplay.from_images(images, "side_on", n_views=1, image_size=32, random_state=0)
    assert views.figure_.get_suptitle() == note.removeprefix(", ")


def test_only_pictures_that_are_shown_are_read(paths: list[str]) -> None:
    Path(paths[3]).write_bytes(b"no image")
    display = ImageGridDisplay.from_predictions(TRUE[:, 0], PROBA[:, 0], paths, n_images=3)
    assert display.rows.tolist() == [1, 2, 4]
    with pytest.raises(ImageError, match=r"3\.png"):
        ImageGridDisplay.from_predictions(TRUE[:, 0], PROBA[:, 0], paths, n_images=6)


def test_a_pipeline_shows_its_own_probabilities_names_and_pictures(paths: list[str]) -> None:
    named = pd.DataFrame(TRUE, columns=["haze", "road"])
    extractor = CNNFeatureExtractor("small_cnn", weights=None, image_size=32, random_state=0)
    pipeline = make_pipeline(extractor, BinaryRelevance(LogisticRegression(max_iter=1000))).fit(paths, named)
    display = ImageGridDisplay.from_estimator(pipeline, paths, TRUE, label="road", kind="most_uncertain", n_images=4)
    proba = pipeline.predict_proba(paths)[:, 1]
    assert display.rows.tolist() == np.argsort(np.abs(proba - 0.5), kind="stable")[:4].tolist()
    np.testing.assert_array_equal(display.probabilities, proba[display.rows])


def test_a_network_reads_its_pictures_as_in_fit(pictures: NDArray[np.uint8]) -> None:
    y = np.array(["cat", "dog"] * 3)
    rows = pictures.reshape(6, -1)
    classifier = fitted(
        format_=as_images(rows, image_shape=(32, 32, 3)).format,
        classes_=np.array(["cat", "dog"]),
        predict_proba=lambda X: np.full((len(X), 2), 0.5),
    )
    display = ImageGridDisplay.from_estimator(classifier, rows, y, n_images=2, image_size=32)
    np.testing.assert_array_equal(colours(display.images_[0]), pictures[display.rows[0]])
    assert display.label == "dog"


def test_a_classifier_of_images_is_taken_as_it_is(pictures: NDArray[np.uint8]) -> None:
    classifier = CNNClassifier("small_cnn", weights=None, image_size=32, max_epochs=1, random_state=0)
    classifier.fit(pictures, pd.DataFrame(TRUE, columns=["haze", "road"]))
    display = ImageGridDisplay.from_estimator(classifier, pictures, TRUE, label="haze", n_images=2)
    np.testing.assert_array_equal(display.probabilities, classifier.predict_proba(pictures)[display.rows, 0])


def test_what_does_not_fit_is_refused(pictures: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"'label' parameter must be one of the 2 names y0, y1, .* Got None instead"):
        ImageGridDisplay.from_predictions(TRUE, PROBA, pictures)
    with pytest.raises(ValueError, match=r"'label' parameter .* position from 0 to 1. Got 2 instead"):
        ImageGridDisplay.from_predictions(TRUE, PROBA, pictures, label=2)
    with pytest.raises(ValueError, match=r"The 'kind' parameter of ImageGridDisplay\.from_predictions must be a str"):
        ImageGridDisplay.from_predictions(TRUE, PROBA, pictures, label=0, kind="worst")
    with pytest.raises(ValueError, match=r"The 'n_images' parameter of ImageGridDisplay\.from_predictions"):
        ImageGridDisplay.from_predictions(TRUE, PROBA, pictures, label=0, n_images=0)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ImageGridDisplay.from_predictions(TRUE, PROBA, pictures[:3], label=0)
    with pytest.raises(ValueError, match="None of the 6 pictures has the label 'y0'"):
        ImageGridDisplay.from_predictions(TRUE * 0, PROBA, pictures, label=0, kind="most_correct")
    with pytest.raises(ImageError, match="X must hold images"):
        ImageGridDisplay.from_predictions(TRUE, PROBA, np.zeros((6, 5)), label=0)


def test_views_are_those_of_the_augmentation(pictures: NDArray[np.uint8]) -> None:
    def inverted(picture: torch.Tensor) -> torch.Tensor:
        return 255 - picture

    display = AugmentedViewsDisplay.from_images(pictures, inverted, n_images=2, n_views=3, image_size=32)
    assert display.axes_.shape == (2, 4)
    for row, (plain, *views) in enumerate(display.images_):
        np.testing.assert_array_equal(colours(plain), pictures[row])
        for view in views:
            np.testing.assert_array_equal(colours(view), 255 - pictures[row])
    assert [axes.get_title() for axes in display.axes_[0]] == ["as it is", "view 1", "view 2", "view 3"]
    assert drawn_within(display.figure_)


@pytest.mark.parametrize("augmentation", ["top_down", Augmentation("side_on")])
def test_one_seed_gives_the_same_views_and_another_others(
    augmentation: str | Augmentation, pictures: NDArray[np.uint8]
) -> None:
    one, same, other = (
        AugmentedViewsDisplay.from_images(pictures, augmentation, image_size=32, random_state=seed).views
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[0][0], one[0][1])


def test_a_classifier_shows_the_views_that_it_learns_from(pictures: NDArray[np.uint8]) -> None:
    rows = pictures.reshape(6, -1)
    classifier = fitted(format_=as_images(rows, image_shape=(32, 32, 3)).format, augmentation="side_on")
    display = AugmentedViewsDisplay.from_estimator(classifier, rows, n_images=20, n_views=1, random_state=0)
    assert len(display.pictures) == 6
    network = CNNClassifier("small_cnn", weights=None, image_size=40, max_epochs=1, random_state=0)
    network.fit(pictures, TRUE).augmentation = "top_down"
    assert AugmentedViewsDisplay.from_estimator(network, pictures).pictures[0].shape == (40, 40, 3)


def test_no_augmentation_has_no_views(pictures: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"'augmentation' parameter must say how pictures are changed. Got None"):
        AugmentedViewsDisplay.from_estimator(fitted(augmentation=None), pictures)
    with pytest.raises(ValueError, match=r"The 'n_views' parameter of AugmentedViewsDisplay\.from_images"):
        AugmentedViewsDisplay.from_images(pictures, "top_down", n_views=0)


def test_given_axes_are_plotted_on(pictures: NDArray[np.uint8]) -> None:
    figure, axes = plt.subplots(2, 2)
    display = ImageGridDisplay.from_predictions(TRUE[:, 0], PROBA[:, 0], pictures, n_images=4, ax=axes)
    assert display.axes_.tolist() == axes.ravel().tolist()
    assert display.figure_ is figure
    assert figure.get_suptitle() == ""
    views = AugmentedViewsDisplay.from_images(pictures, "top_down", n_images=2, n_views=1, ax=axes)
    assert views.axes_.tolist() == axes.tolist()
    with pytest.raises(ValueError, match=r"must hold 3 axes \(1 x 3\), or be None. Got 4 instead"):
        ImageGridDisplay.from_predictions(TRUE[:, 0], PROBA[:, 0], pictures, n_images=3, ax=axes)
