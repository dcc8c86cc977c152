"""bf16 against float32: how much faster from files to features, and what it does to the scores that follow."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from sklearn.utils import Bunch
from threadpoolctl import threadpool_limits

from benchmarks._comparison import INNER_FOLDS, shuffled
from benchmarks._networks import add_file_options, described, image_files
from benchmarks._records import Record
from benchmarks._timing import interleaved_pairs, relative_error, timed
from benchmarks.planet import RELEVANCE, on_features, regularisations, relevance_row
from skdeep import CNNFeatureExtractor
from skdeep.study import Study

Source = tuple[str, str | None]  # a network, and the file of its weights; None for random ones

SCORES = ("f2_at_threshold", "map_macro")
REFERENCE, FASTER = "float32", "bf16"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add_file_options(parser, n_images=64)
    parser.add_argument(
        "--source",
        action="append",
        metavar="NAME[=FILE]",
        help="a network and its weights, random without a file; repeatable (default: resnet34)",
    )
    parser.add_argument(
        "--image-size",
        action="append",
        type=int,
        metavar="PX",
        help="repeatable; scores are those of the largest (default: 64, 128 and 224)",
    )
    parser.add_argument("--cv", type=int, default=5, metavar="K", help="number of folds (default: 5)")
    parser.add_argument("--smoke", action="store_true", help="search one candidate only")
    parser.add_argument("--pairs", type=int, default=11, metavar="N", help="interleaved pairs (default: 11)")


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """A record of the rates for each network and size, and one of the scores for each network.

    ``--n-images`` is the number of files whose passage is timed; scores are those of the whole data set.
    """
    sources = [_source(text) for text in arguments.source or ["resnet34"]]
    sizes = sorted(arguments.image_size or [64, 128, 224])
    with image_files(arguments.folder, arguments.n_images) as data:
        paths = data.data[: arguments.n_images]
        for source in sources:
            for image_size in sizes:
                yield _rates(paths, source, image_size, arguments.pairs)
            yield _scores(data, source, sizes[-1], n_folds=arguments.cv, smoke=arguments.smoke)


def _rates(paths: Sequence[Any], source: Source, image_size: int, n_pairs: int) -> Record:
    exact, fast = (_extractor(source, image_size, precision).fit(paths) for precision in (REFERENCE, FASTER))
    return {
        "what": f"files to features, {REFERENCE} / {FASTER}",
        "data": described(paths, source[0], image_size),
        # not checked: how far bf16 is off is what this part measures
        "relative_error": relative_error(fast.transform(paths), exact.transform(paths)),
        **interleaved_pairs(
            timed(lambda: exact.transform(paths)), timed(lambda: fast.transform(paths)), n_pairs, n_images=len(paths)
        ),
    }


def _scores(data: Bunch, source: Source, image_size: int, *, n_folds: int, smoke: bool) -> Record:
    backbone, weights = source
    features = {
        precision: _extractor(source, image_size, precision).fit_transform(data.data)
        for precision in (REFERENCE, FASTER)
    }
    scores = _cross_validated(features, data.target, n_folds, smoke=smoke)
    means = {precision: dict(of.mean()) for precision, of in scores.items()}
    return {
        "what": f"scores on features in {REFERENCE} and {FASTER}",
        "data": described(data.data, backbone, image_size),
        "n_folds": n_folds,
        "backbone": backbone,
        "weights": "random" if weights is None else Path(weights).name,
        "scores": means,
        "fold_scores": {precision: of.to_dict("list") for precision, of in scores.items()},
        "differences": {score: means[FASTER][score] - means[REFERENCE][score] for score in SCORES},
    }


def _cross_validated(features: dict[str, Any], target: Any, n_folds: int, *, smoke: bool) -> dict[str, pd.DataFrame]:
    """For each kind of features, scores of each fold, under the search and the model of the Planet benchmark."""
    model = relevance_row(on_features("passthrough", RELEVANCE), "-", "-", regularisations(smoke=smoke))
    study = Study(
        {model.name: model.estimator},
        {name: (table, target) for name, table in features.items()},
        cv=shuffled(n_folds),
        search={model.name: model.grid},
        search_cv=INNER_FOLDS,
        search_scoring="f2_at_threshold",
    )
    with TemporaryDirectory() as folder, threadpool_limits(1, user_api="blas"):
        units = study.run(folder, keep_answers=False).units
    return {name: units.loc[units["dataset"] == name, list(SCORES)] for name in features}


def _extractor(source: Source, image_size: int, precision: str) -> CNNFeatureExtractor:
    backbone, weights = source
    return CNNFeatureExtractor(
        backbone, weights=weights, image_size=image_size, precision=precision, device="cpu", cache=False, random_state=0
    )


def _source(text: str) -> Source:
    backbone, _, weights = text.partition("=")
    return backbone, weights or None
