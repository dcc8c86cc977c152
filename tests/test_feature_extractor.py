"""CNNFeatureExtractor: a transformer like any other, on images."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skdeep import CNNFeatureExtractor, features
from skdeep.exceptions import ImageError
from skdeep.multilabel import BinaryRelevance

Array = NDArray[Any]


def quick(**options: Any) -> CNNFeatureExtractor:
    return CNNFeatureExtractor(
        **{"backbone": "small_cnn", "weights": None, "image_size": 32, "random_state": 0, **options}
    )


def test_features_are_float32_rows_of_finite_numbers_that_differ(pictures: Array) -> None:
    found = quick().fit_transform(pictures)
    assert found.shape == (6, 64)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert len(np.unique(found, axis=0)) == 6


def test_features_do_not_depend_on_the_form_of_x(pictures: Array, paths: list[str]) -> None:
    extractor = quick().fit(pictures)
    expected = extractor.transform(pictures)
    forms = [
        paths,
        pd.Series(paths, index=list("abcdef")),
        pd.DataFrame({"image": paths}),
        np.moveaxis(pictures, -1, 1),
        torch.from_numpy(pictures),
        pictures.astype(np.int64),
        [Image.fromarray(picture) for picture in pictures],
    ]
    for X in forms:
        np.testing.assert_allclose(extractor.transform(X), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(quick(cache=False).fit_transform(X), expected, rtol=1e-5, atol=1e-6)


def test_fractions_give_nearly_the_features_of_whole_numbers(pictures: Array) -> None:
    expected = quick().fit_transform(pictures)
    np.testing.assert_allclose(quick().fit_transform(pictures / 255), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_features_do_not_depend_on_the_batch(batch_size: int, pictures: Array) -> None:
    expected = quick(cache=False).fit_transform(pictures)
    extractor = quick(cache=False, batch_size=batch_size).fit(pictures)
    np.testing.assert_allclose(extractor.transform(pictures), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(extractor.transform(pictures[[3, 1]]), expected[[3, 1]], rtol=1e-5, atol=1e-6)


def test_an_int_decides_random_weights_and_none_does_not(pictures: Array) -> None:
    first = quick().fit_transform(pictures)
    np.testing.assert_array_equal(quick().fit_transform(pictures), first)
    assert (quick(random_state=1).fit_transform(pictures) != first).any()
    assert (quick(random_state=None).fit_transform(pictures) != quick(random_state=None).fit_transform(pictures)).any()


def test_set_output_gives_a_dataframe_of_named_columns(paths: list[str]) -> None:
    frame = pd.DataFrame({"image": paths, "height": range(6)}, index=list("abcdef"))
    extractor = quick().set_output(transform="pandas").fit(frame)
    found = extractor.transform(frame)
    assert found.columns.tolist() == extractor.get_feature_names_out().tolist()
    assert found.columns[0] == "cnnfeatureextractor0"
    assert found.index.tolist() == list("abcdef")
    np.testing.assert_array_equal(found.iloc[:, -1], range(6))
    np.testing.assert_array_equal(found.to_numpy(), quick().fit_transform(frame))


def test_side_features_are_appended_and_are_no_part_of_the_image(pictures: Array, paths: list[str]) -> None:
    expected = quick().fit_transform(paths)
    assert features.info().n_computed == 6
    for side in (np.arange(12.0).reshape(6, 2), np.full((6, 2), -7.5)):
        frame = pd.DataFrame({"image": paths, "a": side[:, 0], "b": side[:, 1]})
        found = quick().fit_transform(frame)
        np.testing.assert_array_equal(found, np.hstack([expected, side]).astype(np.float32))
        assert len(quick().fit(frame).get_feature_names_out()) == 66
    assert features.info().n_computed == 6


def test_side_features_stand_right_of_flat_rows(pictures: Array) -> None:
    rows = np.hstack([pictures.reshape(6, -1), np.arange(6)[:, None]]).astype(float)
    extractor = quick(image_shape=(32, 32, 3)).fit(rows)
    found = extractor.transform(rows)
    np.testing.assert_array_equal(found[:, -1], range(6))
    np.testing.assert_array_equal(found[:, :-1], quick().fit_transform(pictures))
    with pytest.raises(ImageError, match="X holds 0 side features beside each image, but 1 were there during fit"):
        extractor.transform(rows[:, :-1])


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_grey_arrays_are_coloured_ones_of_equal_channels_in_every_policy(resize: str, pictures: Array) -> None:
    grey = pictures[..., 0]
    options = {"backbone": "squeezenet1_1", "image_size": (32, 48), "resize": resize, "precision": "float32"}
    expected = quick(**options).fit_transform(np.repeat(grey[..., None], 3, axis=-1))
    np.testing.assert_allclose(quick(**options).fit_transform(grey), expected, rtol=1e-5, atol=1e-6)


def test_it_stands_in_pipelines_and_column_transformers(paths: list[str]) -> None:
    frame = pd.DataFrame({"image": paths, "height": np.arange(6.0)})
    Y = np.array([[0, 1], [1, 0], [1, 1], [0, 0], [0, 1], [1, 0]])
    columns = make_column_transformer((quick(), ["image"]), (StandardScaler(), ["height"]))
    pipeline = make_pipeline(columns, BinaryRelevance(LogisticRegression()))
    assert pipeline.fit(frame, Y).predict_proba(frame).shape == (6, 2)
    assert features.info().n_computed == 6
    assert columns.fit(frame).get_feature_names_out()[-1] == "standardscaler__height"


def test_fit_computes_nothing(pictures: Array) -> None:
    assert quick().fit(pictures) is not None
    assert features.info().n_computed == 0


def test_parameters_survive_clone_and_set_params(pictures: Array) -> None:
    module = nn.Flatten()
    extractor = quick(backbone=module, fingerprint="flat", image_shape=(32, 32, 3))
    copied = clone(extractor)
    assert not hasattr(copied, "backbone_")
    assert {**copied.get_params(), "backbone": None} == {**extractor.get_params(), "backbone": None}
    assert extractor.set_params(batch_size=3).batch_size == 3
    assert extractor.backbone is module


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda extractor: pickle.loads(pickle.dumps(extractor))])
def test_copies_give_the_same_features_before_and_after_fit(copy_of: Any, pictures: Array) -> None:
    expected = quick(cache=False).fit_transform(pictures)
    np.testing.assert_array_equal(copy_of(quick(cache=False)).fit_transform(pictures), expected)
    np.testing.assert_array_equal(copy_of(quick(cache=False).fit(pictures)).transform(pictures), expected)


def test_pickles_carry_the_weights_of_own_modules(pictures: Array) -> None:
    own = quick(backbone=nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), cache=False).fit(pictures)
    expected = own.transform(pictures)
    stored = pickle.dumps(own)
    with torch.no_grad():
        own.backbone[0].weight.zero_()
    np.testing.assert_array_equal(own.transform(pictures), expected)
    np.testing.assert_array_equal(pickle.loads(stored).transform(pictures), expected)


def test_it_must_be_fitted_before_it_transforms(pictures: Array) -> None:
    with pytest.raises(NotFittedError, match="This CNNFeatureExtractor instance is not fitted yet"):
        quick().transform(pictures)


def test_files_that_vanish_or_break_between_fit_and_transform_are_named(paths: list[str]) -> None:
    extractor = quick().fit(paths)
    Path(paths[2]).write_text("not a picture")
    with pytest.raises(ImageError, match=r"1 of 6 images cannot be read: '.*2.png' \("):
        extractor.transform(paths)
    assert features.info().n_computed == 0
    Path(paths[3]).unlink()
    with pytest.raises(ImageError, match=r"1 of 6 image files cannot be found: .*3.png"):
        extractor.transform(paths)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": 3}, "The 'backbone' parameter of CNNFeatureExtractor must be"),
        ({"backbone": "resnet"}, "There is no backbone 'resnet'. Did you mean"),
        ({"weights": 3}, "The 'weights' parameter of CNNFeatureExtractor must be"),
        ({"image_size": 0}, "The 'image_size' parameter of CNNFeatureExtractor must be"),
        ({"image_shape": 32}, "The 'image_shape' parameter of CNNFeatureExtractor must be"),
        ({"pixel_range": 100}, "The 'pixel_range' parameter of CNNFeatureExtractor must be"),
        ({"batch_size": 0}, "The 'batch_size' parameter of CNNFeatureExtractor must be"),
        ({"cache": None}, "The 'cache' parameter of CNNFeatureExtractor must be"),
        ({"device": "abacus"}, "device='abacus' cannot be used"),
    ],
)
def test_wrong_parameters_are_refused_in_fit(options: dict[str, Any], message: str, pictures: Array) -> None:
    with pytest.raises(ValueError, match=message):
        quick(**options).fit(pictures)


@pytest.mark.parametrize("image_shape", [(), (32,), (32, 32, 3, 1), (32, -32, 3), (32, 32, 7), (0, 32, 3), ("a", 2)])
def test_a_wrong_image_shape_is_refused(image_shape: Any, pictures: Array) -> None:
    with pytest.raises(ValueError, match="image_shape"):
        quick(image_shape=image_shape).fit(pictures.reshape(6, -1))


@pytest.mark.data
def test_pretrained_features_of_real_chips_beat_random_ones(data_folder: Path) -> None:
    labels = pd.read_csv(data_folder / "planet_sample" / "train_v2.csv").iloc[:240]
    chips = [data_folder / "planet_sample" / "train-jpg" / f"{name}.jpg" for name in labels["image_name"]]
    y = labels["tags"].str.split().map(lambda tags: "agriculture" in tags).to_numpy()
    weights = data_folder / "weights" / "squeezenet1_0-deepcompression.pth"
    scores = []
    for source in (weights, None):
        extractor = CNNFeatureExtractor("squeezenet1_0", weights=source, image_size=64, random_state=0)
        pipeline = make_pipeline(extractor, StandardScaler(), LogisticRegression(C=0.01))
        proba = pipeline.fit(chips[:160], y[:160]).predict_proba(chips[160:])
        scores.append(roc_auc_score(y[160:], proba[:, 1]))
    assert scores[0] > 0.75
    assert scores[0] > scores[1]
