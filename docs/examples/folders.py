"""Pictures in a folder for each class, as dogs and cats come.

``train/`` and ``valid/`` each hold a folder a class: ``train/cats/1.jpg``. Without arguments, scenes are drawn and put
into folders by their weather. A part of the training pictures is held out to see when training should end.

    python docs/examples/folders.py [TRAIN VALID] [--backbone NAME] [--weights FILE] [--smoke]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import classification_report, confusion_matrix

from skdeep import CNNClassifier
from skdeep.datasets import load_image_folder, make_aerial_scenes

WEATHER = ["clear", "cloudy", "haze", "partly_cloudy"]


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Train on one folder of classes, and test on another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", metavar="TRAIN VALID", help="folders with a folder for each class")
    parser.add_argument("--backbone", default="resnet34", help="the network for pictures of your own")
    parser.add_argument("--weights", default="DEFAULT", help="where its training starts")
    parser.add_argument("--smoke", action="store_true", help="a run of seconds, to see that all works")
    options = parser.parse_args(argv)
    if len(options.folders) not in (0, 2):
        parser.error("give both folders, or neither")

    with tempfile.TemporaryDirectory() as folder:
        folders = options.folders or write_weather(Path(folder), n_scenes=100 if options.smoke else 600)
        train = load_image_folder(folders[0])
        # the same classes, or their numbers would mean something else
        valid = load_image_folder(folders[1], categories=train.target_names)
        print(train.DESCR, valid.DESCR, sep="\n")
        classifier = own_classifier(options) if options.folders else small_classifier(smoke=options.smoke)
        classifier.fit(train.data, train.target)
        predicted = classifier.predict(valid.data)

    print(f"\n{classifier.n_iter_} epochs. Of {len(predicted)} pictures:")
    names = train.target_names
    print(classification_report(valid.target, predicted, target_names=names, zero_division=0))
    confusion = pd.DataFrame(confusion_matrix(valid.target, predicted), index=names, columns=names)
    print(f"Rows: what it is; columns: what it is taken for.\n{confusion}")
    return {
        "accuracy": float((predicted == valid.target).mean()),
        "confusion": confusion,
        "history": classifier.history_,
    }


def own_classifier(options: argparse.Namespace) -> CNNClassifier:
    """The new head of a pretrained network, on stored activations."""
    return CNNClassifier(
        options.backbone,
        weights=options.weights,
        phases="linear_probe",
        early_stopping=True,
        max_epochs=1 if options.smoke else 50,
        random_state=0,
        verbose=1,
    )


def small_classifier(*, smoke: bool) -> CNNClassifier:
    """A small network without weights, for the drawn scenes."""
    return CNNClassifier(
        "small_cnn",
        weights=None,
        phases="from_scratch",
        image_size=64,
        augmentation="top_down",
        early_stopping=True,
        validation_fraction=0.2,
        n_iter_no_change=8,
        max_epochs=1 if smoke else 25,
        random_state=0,
    )


def write_weather(folder: Path, *, n_scenes: int) -> list[Path]:
    """Draw scenes, three quarters of each weather for training, into folders of their weather."""
    scenes = make_aerial_scenes(n_scenes, random_state=0)
    columns = [scenes.target_names.index(name) for name in WEATHER]
    weather = scenes.target[:, columns].argmax(axis=1)
    for k, name in enumerate(WEATHER):
        for i, row in enumerate(np.flatnonzero(weather == k)):
            place = folder / ("valid" if i % 4 == 0 else "train") / name
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(scenes.data[row]).save(place / f"{row}.png")
    return [folder / "train", folder / "valid"]


if __name__ == "__main__":
    main()
