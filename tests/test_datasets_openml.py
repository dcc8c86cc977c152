"""fetch_yeast, with a stand-in for OpenML's server behind scikit-learn's own code."""

from __future__ import annotations

import hashlib
import io
import json
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import _openml

from skdeep.datasets import fetch_yeast
from skdeep.exceptions import DatasetError

N_SAMPLES = 12


class Response(io.BytesIO):
    """The body of an answer, with headers as urlopen gives them."""

    def info(self) -> dict[str, str]:
        return {}


class StandIn:
    """Answers the four questions that fetch_openml asks of OpenML about data set 40597."""

    def __init__(self, n_features: int = 103, values: tuple[str, str] = ("FALSE", "TRUE")) -> None:
        rng = np.random.default_rng(0)
        self.data = rng.normal(size=(N_SAMPLES, n_features)).round(6)
        self.target = rng.integers(0, 2, (N_SAMPLES, 14))
        self.asked: list[str] = []
        features = [f"Att{j}" for j in range(1, n_features + 1)]
        labels = [f"Class{j}" for j in range(1, 15)]
        rows = [
            ",".join([*map(str, x), *(values[label] for label in y)])
            for x, y in zip(self.data.tolist(), self.target.tolist(), strict=True)
        ]
        declared = ",".join(values)
        table = "\n".join(
            [
                "@relation 'yeast'",
                *(f"@attribute '{name}' numeric" for name in features),
                *(f"@attribute '{name}' {{{declared}}}" for name in labels),
                "@data",
                *rows,
                "",
            ]
        ).encode()
        url = "https://www.openml.org/data/v1/download/4644190/yeast.arff"
        description = {
            "id": "40597",
            "name": "yeast",
            "version": "4",
            "description": "Yeast genes.",
            "format": "ARFF",
            "url": url,
            "file_id": "4644190",
            "default_target_attribute": ",".join(labels),
            "status": "active",
            "md5_checksum": hashlib.md5(table).hexdigest(),
        }
        columns = [
            {
                "index": str(j),
                "name": name,
                "data_type": "nominal" if name in labels else "numeric",
                "is_target": "true" if name in labels else "false",
                "is_ignore": "false",
                "is_row_identifier": "false",
                "number_of_missing_values": "0",
            }
            for j, name in enumerate(features + labels)
        ]
        quality = [{"name": "NumberOfInstances", "value": str(float(N_SAMPLES))}]
        self.answers = {
            _openml._DATA_INFO.format(40597): json.dumps({"data_set_description": description}).encode(),
            _openml._DATA_FEATURES.format(40597): json.dumps({"data_features": {"feature": columns}}).encode(),
            _openml._DATA_QUALITIES.format(40597): json.dumps({"data_qualities": {"quality": quality}}).encode(),
            url: table,
        }

    def __call__(self, request, *args, **kwargs):
        self.asked.append(request.full_url)
        return Response(self.answers[request.full_url])


@pytest.fixture
def serve(monkeypatch):
    def serve(stand_in):
        monkeypatch.setattr(_openml, "urlopen", stand_in)
        return stand_in

    return serve


@pytest.fixture
def offline(monkeypatch):
    def refuse(request, *args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(_openml, "urlopen", refuse)
    monkeypatch.setattr(_openml, "time", SimpleNamespace(sleep=lambda seconds: None))


def test_yeast_is_an_indicator_and_floats(serve, tmp_path):
    server = serve(StandIn())
    yeast = fetch_yeast(data_home=tmp_path)
    assert_allclose(yeast.data, server.data)
    assert_array_equal(yeast.target, server.target)
    assert (yeast.data.dtype, yeast.target.dtype) == (np.float64, np.int64)
    assert (yeast.feature_names[0], yeast.feature_names[-1], len(yeast.feature_names)) == ("Att1", "Att103", 103)
    assert yeast.target_names == [f"Class{j}" for j in range(1, 15)]
    assert "Yeast genes." in yeast.DESCR


def test_frames_have_the_names(serve, tmp_path):
    serve(StandIn())
    yeast, framed = fetch_yeast(data_home=tmp_path), fetch_yeast(data_home=tmp_path, as_frame=True)
    pd.testing.assert_frame_equal(framed.data, pd.DataFrame(yeast.data, columns=yeast.feature_names))
    pd.testing.assert_frame_equal(framed.target, pd.DataFrame(yeast.target, columns=yeast.target_names))


def test_yeast_comes_from_the_cache_the_second_time(serve, tmp_path):
    server = serve(StandIn())
    first = fetch_yeast(data_home=tmp_path)
    asked = len(server.asked)
    second = fetch_yeast(data_home=str(tmp_path))
    assert len(server.asked) == asked
    assert_array_equal(first.target, second.target)


@pytest.mark.usefixtures("offline")
def test_yeast_offline_says_what_to_do(tmp_path):
    with (
        pytest.warns(UserWarning, match="network error"),
        pytest.raises(
            OSError, match=r"not in the cache .* could not be downloaded .*no route to host.*load_mulan"
        ) as caught,
    ):
        fetch_yeast(data_home=tmp_path)
    assert isinstance(caught.value.__cause__, URLError)
    assert str(tmp_path) in str(caught.value)


def test_yeast_of_another_shape_is_an_error(serve, tmp_path):
    serve(StandIn(n_features=5))
    with pytest.raises(DatasetError, match="should have 103 features, got 5"):
        fetch_yeast(data_home=tmp_path)


def test_yeast_with_other_label_values_is_an_error(serve, tmp_path):
    serve(StandIn(values=("no", "yes")))
    with pytest.raises(DatasetError, match="should be TRUE or FALSE, got NO, YES"):
        fetch_yeast(data_home=tmp_path)


def test_parameters_are_checked():
    with pytest.raises(ValueError, match="The 'data_home' parameter of fetch_yeast must be"):
        fetch_yeast(data_home=3)
