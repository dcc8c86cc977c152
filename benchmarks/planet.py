"""Deep and classical multi-label models on aerial images, each searched inside the training parts of the same folds.

Without a folder the images are generated, and nothing is downloaded: the features are those of a random network, and
of a small one that was trained on other scenes. With a folder in Kaggle's layout (``train_v2.csv`` and ``train-jpg/``)
they are those of ``--backbone``, with ``--weights`` and with random ones; both options may be repeated, in pairs. A
network that learns all layers is not searched, for it would take longer than all others together; with ``--full`` the
pretrained networks are fine-tuned, too.

    python -m benchmarks.planet [FOLDER] [--backbone NAME --weights FILE]... [--image-size PX]
                                [--smoke | --quick | --full] [--model NAME]... [--n-jobs N] [--cv K]
                                [--study FOLDER] [--out FILE]
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks._comparison import Data, Model, Preset, add_options, compare, shuffled, study_folder
from benchmarks._fastai import LR
from benchmarks._records import Record
from skdeep import CNNClassifier, CNNFeatureExtractor
from skdeep.datasets import load_planet, make_aerial_scenes
from skdeep.exceptions import WeightsUnavailableError
from skdeep.images import Geometry, as_images
from skdeep.multilabel import BinaryRelevance, ClassifierChain, LabelPowerset, MLkNN
from skdeep.training import resolve_phases

Source = tuple[str, str | None]  # a backbone and its weights

N_SCENES, N_PRETRAINING, SCENE_SIZE = 600, 1500, 64
RELEVANCE = BinaryRelevance(LogisticRegression(max_iter=1000))


class ColourStatistics(TransformerMixin, BaseEstimator):
    """Mean and standard deviation of each colour channel: what needs no network."""

    def fit(self, X: Any, y: Any = None) -> ColourStatistics:
        return self

    def transform(self, X: Any) -> np.ndarray[Any, Any]:
        images = as_images(X)
        pixels = (images.pixels(row, Geometry((256, 256))).float() for row in range(len(images)))
        return np.stack([torch.cat([p.mean(dim=(1, 2)), p.std(dim=(1, 2))]).numpy() for p in pixels])


def models(sources: Sequence[Source], *, image_size: int | None, preset: Preset) -> list[Model]:
    """The models of the table: trivial ones, each source's features under each method, and networks that learn."""
    smoke = preset == "smoke"
    regularisation = regularisations(smoke=smoke)
    colours = make_pipeline(ColourStatistics(), StandardScaler(), RELEVANCE)
    rows = [
        Model("tag frequencies", "-", "-", BinaryRelevance(DummyClassifier(strategy="prior"))),
        relevance_row(colours, "RGB mean, deviation", "-", [0.1, 1.0]),
    ]
    trained = [(backbone, weights) for backbone, weights in sources if weights is not None]
    for backbone, weights in sources:
        extractor = _extractor(backbone, weights, image_size)
        shown = _shown(weights)
        rows.append(relevance_row(on_features(extractor, RELEVANCE), backbone, shown, regularisation))
        if weights is not None:
            rows += _other_rows(extractor, backbone, shown, regularisation, smoke=smoke)
        if weights is not None and preset == "full":
            rows.append(
                Model("CNN, fine-tuned", backbone, shown, finetuned(backbone, weights, sizes=[128], max_epochs=4))
            )
    if len(trained) > 1:
        extractors = [_extractor(*source, image_size) for source in trained]
        together = " + ".join(name for name, _ in trained)
        shown = " + ".join(_shown(file) for _, file in trained)
        rows.append(relevance_row(on_features(make_union(*extractors), RELEVANCE), together, shown, regularisation))
    from_scratch = CNNClassifier(
        "small_cnn",
        weights=None,
        phases="from_scratch",
        image_size=SCENE_SIZE,
        max_epochs=1 if smoke else 20,
        random_state=0,
    )
    rows.append(Model("CNN, all layers", "small_cnn", "random", from_scratch))
    return rows


def regularisations(*, smoke: bool) -> list[float]:
    """Candidates of the logistic regression on a network's features."""
    return [0.01] if smoke else [0.001, 0.003, 0.01, 0.03]


def relevance_row(pipeline: Pipeline, features: str, weights: str, regularisation: list[float]) -> Model:
    """A line of the table: ``RELEVANCE`` at the end of a pipeline, searched."""
    grid = {"binaryrelevance__estimator__C": regularisation}
    return Model("BR, logistic regression", features, weights, pipeline, grid)


def _other_rows(
    extractor: CNNFeatureExtractor, backbone: str, shown: str, regularisation: list[float], *, smoke: bool
) -> list[Model]:
    """The other methods on the same features, and a head trained on them by gradient descent."""
    logistic = LogisticRegression(max_iter=1000)
    methods: list[tuple[str, Any, dict[str, list[Any]]]] = [
        ("CC, logistic regression", ClassifierChain(logistic), {"classifierchain__estimator__C": regularisation}),
        ("LP, logistic regression", LabelPowerset(logistic), {"labelpowerset__estimator__C": regularisation[::2]}),
        ("ML-kNN", MLkNN(), {"mlknn__n_neighbors": [10] if smoke else [5, 10, 20]}),
    ]
    head = CNNClassifier(
        backbone,
        weights=extractor.weights,
        image_size=extractor.image_size,
        max_epochs=2 if smoke else 20,
        random_state=0,
    )
    return [
        *(Model(name, backbone, shown, on_features(extractor, method), grid) for name, method, grid in methods),
        Model("CNN, head only", backbone, shown, head, {"lr": [1e-3] if smoke else [1e-3, 3e-3]}),
    ]


def finetuned(
    backbone: str,
    weights: str,
    *,
    sizes: Sequence[int],
    max_epochs: int | None,
    pair: bool = False,
    by_default: bool = False,
) -> CNNClassifier:
    """The Planet recipe's last phases, the head and then all layers at each of at most three sizes.

    ``max_epochs=None`` is the recipe's. Of a pair, the network of the last size but one predicts beside that of the
    last. The rate and the weight decay are fastai's, with averaged weights, unless all is as the classifier has it by
    default.
    """
    recipe = resolve_phases("planet_pair" if pair else "planet", lr=None, max_epochs=max_epochs, image_size=None)
    phases = [
        replace(phase, image_size=size)
        for size, phase in zip(np.repeat(sizes, 2), recipe[-2 * len(sizes) :], strict=True)
    ]
    network = CNNClassifier(backbone, weights=weights, phases=phases, augmentation="top_down", random_state=0)
    return network if by_default else network.set_params(averaging="ema", lr=LR, weight_decay=0.01)


def pretrain(path: Path, *, smoke: bool) -> Path:
    """Train the small network on scenes of their own, and keep what it learnt as a weights file."""
    n_scenes = 100 if smoke else N_PRETRAINING
    if path.exists():
        return path
    print(f"Training small_cnn on {n_scenes} other scenes, for features of a trained network ...")
    scenes = make_aerial_scenes(n_scenes, image_size=SCENE_SIZE, random_state=1)
    classifier = CNNClassifier(
        "small_cnn",
        weights=None,
        phases="from_scratch",
        image_size=SCENE_SIZE,
        max_epochs=1 if smoke else 25,
        random_state=1,
    )
    classifier.fit(scenes.data, scenes.target)
    draft = path.with_suffix(".part")
    torch.save(classifier.net_.module_.backbone.state_dict(), draft)
    return draft.rename(path)


def image_folder(arguments: argparse.Namespace, inputs: Path) -> str:
    """Images in files: a data set's, or generated ones that are drawn once."""
    if arguments.folder is not None:
        return arguments.folder
    # files rather than arrays, so that a run on scenes walks the same road as one on Planet
    folder = inputs / "scenes"
    if not folder.exists():
        n_scenes = 60 if arguments.preset == "smoke" else N_SCENES
        draft = inputs / "scenes.part"
        shutil.rmtree(draft, ignore_errors=True)
        make_aerial_scenes(n_scenes, image_size=SCENE_SIZE, random_state=0, folder=draft)
        draft.rename(folder)
    return str(folder)


def available(sources: Sequence[Source]) -> list[Source]:
    """The sources whose weights can be had; of the others it is said why they cannot."""
    found = []
    for backbone, weights in sources:
        try:
            CNNFeatureExtractor(backbone, weights=weights).fit([np.zeros((64, 64, 3), dtype=np.uint8)])
        except WeightsUnavailableError as error:
            print(f"Left out: {backbone} ({_shown(weights)}): {error}")
            continue
        found.append((backbone, weights))
    return found


def extract(sources: Sequence[Source], paths: Any, image_size: int | None) -> None:
    """Compute every source's features once, so that no model's seconds hold them; say how long each took."""
    for backbone, weights in sources:
        start = time.perf_counter()
        _extractor(backbone, weights, image_size).fit_transform(paths)
        seconds = time.perf_counter() - start
        print(f"Features of {len(paths)} images from {backbone} ({_shown(weights)}): {seconds:.1f} s")


def main(argv: Sequence[str] | None = None) -> list[Record]:
    """Run the benchmark."""
    arguments = _parse(argv)
    smoke = arguments.preset == "smoke"
    # all that a study needs to go on after a break stands beside it
    inputs = (study_folder("planet", arguments) / "inputs").absolute()
    inputs.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("SKDEEP_CACHE_DIR", str(inputs / "features"))
    images = image_folder(arguments, inputs)
    data = load_planet(images)
    sources: list[Source] = [(backbone, None) for backbone in dict.fromkeys(arguments.backbone)]
    sources += zip(arguments.backbone, arguments.weights, strict=True)
    if arguments.folder is None:
        trained = pretrain(inputs / "small_cnn-other-scenes.pth", smoke=smoke)
        sources = [("squeezenet1_1", None), ("small_cnn", None), ("small_cnn", str(trained)), *sources]
    sources = available(sources)
    image_size = 32 if smoke else arguments.image_size
    extract(sources, data.data, image_size)
    kind = f"generated scenes of {SCENE_SIZE} px" if arguments.folder is None else "Planet chips"
    name = f"{len(data.data)} {kind}"
    folds = shuffled(arguments.cv or (2 if smoke else 5))
    return compare(
        "planet",
        models(sources, image_size=image_size, preset=arguments.preset),
        {name: Data(partial(load_planet, images), folds)},
        scoring="f2_at_threshold",
        arguments=arguments,
        images={name: data.data},
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planet", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="train_v2.csv and train-jpg/ (default: generated)")
    parser.add_argument(
        "--backbone", action="append", metavar="NAME", help="a network; repeatable (default with a FOLDER: resnet34)"
    )
    parser.add_argument(
        "--weights",
        action="append",
        metavar="NAME_OR_FILE",
        help="its weights: torchvision's name or a file (default: DEFAULT, which is downloaded); one for each backbone",
    )
    parser.add_argument(
        "--image-size", type=int, metavar="PX", help=f"side of the images (default: 224, or {SCENE_SIZE} for scenes)"
    )
    add_options(parser)
    arguments = parser.parse_args(argv)
    arguments.backbone = arguments.backbone or ([] if arguments.folder is None else ["resnet34"])
    arguments.weights = arguments.weights or ["DEFAULT"] * len(arguments.backbone)
    arguments.image_size = arguments.image_size or (SCENE_SIZE if arguments.folder is None else 224)
    if len(arguments.weights) != len(arguments.backbone):
        parser.error(f"{len(arguments.backbone)} backbones need as many weights, got {len(arguments.weights)}")
    return arguments


def _extractor(backbone: str, weights: str | None, image_size: int | None) -> CNNFeatureExtractor:
    return CNNFeatureExtractor(backbone, weights=weights, image_size=image_size, random_state=0)


def _shown(weights: str | None) -> str:
    return "random" if weights is None else Path(weights).name


def on_features(extractor: Any, classifier: object) -> Pipeline:
    """A classifier behind an extractor, or behind ``"passthrough"`` where features are ready."""
    # activations are skewed; their square roots are nearer to what a linear model likes
    root = FunctionTransformer(_signed_root, feature_names_out="one-to-one")
    return make_pipeline(extractor, root, StandardScaler(), classifier)


def _signed_root(features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.sign(features) * np.sqrt(np.abs(features))


if __name__ == "__main__":
    main()
