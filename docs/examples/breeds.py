"""Many classes with few pictures of each, named in a CSV file without suffixes.

This is the shape of Kaggle's dog breeds: a file ``image_name,breed`` whose names lack ``.jpg``, and 120 breeds. Without
arguments, 120 coats are drawn, eight pictures of each, and a small network learns them from scratch. With arguments a
pretrained network is fine-tuned on the real ones: first its new head, then all of it, the first layers slowest.

    python docs/examples/breeds.py [CSV FOLDER] [--suffix .jpg] [--backbone NAME] [--weights FILE] [--smoke]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import log_loss, top_k_accuracy_score
from sklearn.model_selection import train_test_split

from skdeep import CNNClassifier
from skdeep.datasets import load_image_csv

N_BREEDS, N_PICTURES, SIDE = 120, 8, 32


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Load a table of breeds, train on three quarters of it, and see how far down the list the right breed is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="CSV FOLDER", help="the table, and where its pictures lie")
    parser.add_argument("--suffix", default=".jpg", help="what the names in the table lack")
    parser.add_argument("--backbone", default="resnet34", help="the network for pictures of your own")
    parser.add_argument("--weights", default="DEFAULT", help="where its training starts")
    parser.add_argument("--smoke", action="store_true", help="a run of seconds, to see that all works")
    options = parser.parse_args(argv)
    if len(options.files) not in (0, 2):
        parser.error("give both the table and the folder of its pictures, or neither")

    with tempfile.TemporaryDirectory() as folder:
        table, pictures = options.files or write_breeds(Path(folder), n_breeds=6 if options.smoke else N_BREEDS)
        dogs = load_image_csv(table, pictures, suffix=options.suffix)
        print(dogs.DESCR)
        rows = train_test_split(dogs.data, dogs.target, stratify=dogs.target, random_state=0)
        classifier = own_classifier(options) if options.files else small_classifier(smoke=options.smoke)
        return report(classifier, *rows)


def own_classifier(options: argparse.Namespace) -> CNNClassifier:
    """A pretrained network, for photographs."""
    return CNNClassifier(
        options.backbone,
        weights=options.weights,
        phases="fine_tune",
        augmentation="side_on",
        max_epochs=1 if options.smoke else None,
        random_state=0,
        verbose=1,
    )


def small_classifier(*, smoke: bool) -> CNNClassifier:
    """A small network without weights, for the drawn coats."""
    return CNNClassifier(
        "small_cnn",
        weights=None,
        phases="from_scratch",
        image_size=SIDE,
        lr=3e-3,
        max_epochs=1 if smoke else 25,
        random_state=0,
    )


def report(classifier: CNNClassifier, X_train: Any, X_test: Any, y_train: Any, y_test: Any) -> dict[str, Any]:
    """Fit, and print what Kaggle and the papers count."""
    classifier.fit(X_train, y_train)
    probabilities = classifier.predict_proba(X_test)
    breeds = classifier.classes_
    scores = {
        "accuracy": classifier.score(X_test, y_test),
        "top-5 accuracy": top_k_accuracy_score(y_test, probabilities, k=min(5, len(breeds) - 1), labels=breeds),
        "log loss": log_loss(y_test, probabilities, labels=breeds),
        "log loss of a guess": float(np.log(len(breeds))),
    }
    print(f"{len(y_train)} pictures to learn from, {len(y_test)} to test on:")
    for name, score in scores.items():
        print(f"{name:>20}  {score:.3f}")
    shown = np.argsort(-probabilities[0])[:3]
    print(f"The first is a {y_test[0]}: " + ", ".join(f"{breeds[k]} {probabilities[0, k]:.0%}" for k in shown))
    return {"scores": scores, "probabilities": probabilities, "classes": breeds}


def write_breeds(folder: Path, *, n_breeds: int) -> tuple[Path, Path]:
    """Write pictures of coats: each breed has its patches of colour, each dog its own part of them and its light."""
    pictures = folder / "train"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for breed in range(n_breeds):
        patches = Image.fromarray(rng.integers(256, size=(5, 5, 3), dtype=np.uint8))
        coat = np.asarray(patches.resize((SIDE + 8, SIDE + 8), Image.Resampling.BICUBIC))
        for dog in range(N_PICTURES):
            name = f"{breed * N_PICTURES + dog:04d}"
            Image.fromarray(draw_dog(coat, rng)).save(pictures / f"{name}.jpg", quality=92)
            rows.append((name, f"breed_{breed:03d}"))
    table = folder / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image_name", "breed"), *rows])
    return table, pictures


def draw_dog(coat: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A part of the coat, from the left or the right, in some light, with noise."""
    top, left = rng.integers(9, size=2)
    part = coat[top : top + SIDE, left : left + SIDE].astype(np.float64)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    part = part * rng.uniform(0.7, 1.2) + rng.normal(0, 12, size=part.shape)
    return part.clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
