"""A grid search on images, against the same search on a ready matrix, without a cache, and with joblib's."""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks._networks import (
    ImageCounter,
    add_file_options,
    add_network_options,
    chosen_precisions,
    described,
    image_files,
    network_of,
    watched,
)
from benchmarks._records import Record
from benchmarks._timing import interleaved_pairs
from skdeep import CNNFeatureExtractor
from skdeep.backbones import resolve_precision
from skdeep.metrics import get_scorer
from skdeep.multilabel import BinaryRelevance

N_FOLDS = 5
CANDIDATES = np.geomspace(1e-4, 0.1, 12).tolist()

_COMMON = 0.1  # of the images must have a label, and as many lack it: a rarer one may be absent from a fold
_SAME_SCORES = 0.02  # bf16 in batches of other sizes may move an image over the threshold

Search = Callable[[], tuple[float, GridSearchCV]]  # its seconds, and what it found


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add_file_options(parser, n_images=200)
    add_network_options(parser, precisions=("auto",))
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="against the ready matrix (default: 5)")
    parser.add_argument("--rival-pairs", type=int, default=2, metavar="N", help="against the two rivals (default: 2)")
    parser.add_argument(
        "--n-uncached-images",
        type=int,
        default=24,
        metavar="N",
        help="files of both sides where one has no cache (default: 24)",
    )


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """Three records for each precision: against the ready matrix, no cache, and ``joblib.Memory``.

    Every search starts from an empty store or cache and runs in one process.
    """
    with image_files(arguments.folder, arguments.n_images) as data:
        for asked in chosen_precisions(arguments):
            precision = resolve_precision(asked, "cpu")
            extractor = CNNFeatureExtractor(
                arguments.backbone,
                weights=None,
                image_size=arguments.image_size,
                device="cpu",
                precision=precision,
                random_state=0,
            )
            whole = _Searches.on(extractor, data, arguments.n_images)
            few = _Searches.on(extractor, data, arguments.n_uncached_images)
            comparisons: list[tuple[str, _Searches, Search, Search, int]] = [
                ("cold store / one extraction + ready matrix", whole, whole.stored, whole.ready, arguments.pairs),
                ("cache=False / cold store", few, few.uncached, few.stored, arguments.rival_pairs),
                ("joblib.Memory / cold store", whole, whole.remembered, whole.stored, arguments.rival_pairs),
            ]
            for name, searches, first, second, n_pairs in comparisons:
                yield {
                    "what": f"{N_FOLDS}-fold grid of {len(CANDIDATES)}, {name}, {precision}",
                    "data": described(searches.paths, arguments.backbone, arguments.image_size),
                    "n_labels": searches.target.shape[1],
                    "precision": precision,
                    **searches.compare(first, second, n_pairs),
                }


@dataclass(frozen=True)
class _Searches:
    """One search on the same files, on four roads to their features."""

    extractor: CNNFeatureExtractor
    paths: Sequence[Any]
    target: np.ndarray[Any, Any]

    @classmethod
    def on(cls, extractor: CNNFeatureExtractor, data: Any, n_images: int) -> _Searches:
        """The first images of a data set, and the labels that are common among them."""
        target = np.asarray(data.target[:n_images])
        share = target.mean(axis=0)
        return cls(extractor, data.data[:n_images], target[:, (share >= _COMMON) & (share <= 1 - _COMMON)])

    def stored(self) -> tuple[float, GridSearchCV]:
        """With an empty feature store."""
        with tempfile.TemporaryDirectory() as folder:
            return self._timed(lambda: self._search(self._steps(folder), self.paths))

    def uncached(self) -> tuple[float, GridSearchCV]:
        """Every fold of every candidate computes its features."""
        return self._timed(lambda: self._search(self._steps(False), self.paths))

    def remembered(self) -> tuple[float, GridSearchCV]:
        """scikit-learn's own way: a pipeline that caches what its steps learn and give in ``fit``."""
        with tempfile.TemporaryDirectory() as folder:
            memory = joblib.Memory(folder, verbose=0)
            return self._timed(lambda: self._search(self._steps(False), self.paths, memory=memory))

    def ready(self) -> tuple[float, GridSearchCV]:
        """The features are computed once, before, and that is counted in."""

        def work() -> GridSearchCV:
            features = clone(self.extractor).set_params(cache=False).fit_transform(self.paths)
            return self._search([], features)

        return self._timed(work)

    def compare(self, first: Search, second: Search, n_pairs: int) -> Record:
        """Check that two searches find the same, count the images that pass the network, and time them in turn."""
        network = network_of(clone(self.extractor).fit(self.paths))
        found, passed = [], []
        for search in (first, second):
            with watched(network, counter := ImageCounter()):
                found.append(search()[1])
            passed.append(counter.n_images)
        scores = [search.cv_results_["mean_test_score"] for search in found]
        difference = float(np.abs(scores[0] - scores[1]).max())
        if difference > _SAME_SCORES:
            raise RuntimeError(f"The two searches do not score alike: they differ by {difference:.3f}.")
        # that was the warm-up
        pairs = interleaved_pairs(lambda: first()[0], lambda: second()[0], n_pairs, warm_up=False)
        return {
            "n_images": len(self.paths),
            "images_through_network": passed,
            "largest_score_difference": difference,
            **pairs,
        }

    def _steps(self, cache: bool | str) -> list[Any]:
        return [clone(self.extractor).set_params(cache=cache)]

    def _search(self, steps: list[Any], X: Any, memory: joblib.Memory | None = None) -> GridSearchCV:
        classifier = BinaryRelevance(LogisticRegression(max_iter=1000))
        pipeline = make_pipeline(*steps, StandardScaler(), classifier, memory=memory)
        search = GridSearchCV(
            pipeline,
            {"binaryrelevance__estimator__C": CANDIDATES},
            scoring=get_scorer("f2_at_threshold"),
            cv=KFold(N_FOLDS, shuffle=True, random_state=0),
            error_score="raise",
        )
        # as in the comparisons: small problems lose by more threads than one, and torch's own are not touched
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            warnings.simplefilter("ignore", ConvergenceWarning)
            return search.fit(X, self.target)

    @staticmethod
    def _timed(work: Callable[[], GridSearchCV]) -> tuple[float, GridSearchCV]:
        start = time.perf_counter()
        found = work()
        return time.perf_counter() - start, found
