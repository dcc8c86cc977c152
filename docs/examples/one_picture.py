"""One picture in, names and probabilities out, by a network that was saved.

Without arguments a small network learns the tags of drawn scenes, is saved, loaded again, and asked about one more
scene. With arguments, a file that ``CNNClassifier.save`` wrote is asked about a picture of yours. Loading such a file
runs no code from it.

    python docs/examples/one_picture.py [MODEL PICTURE] [--smoke]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from skdeep import CNNClassifier
from skdeep.datasets import make_aerial_scenes


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Say what is on a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="MODEL PICTURE", help="a saved classifier, and a picture")
    parser.add_argument("--smoke", action="store_true", help="a run of seconds, to see that all works")
    options = parser.parse_args(argv)
    if len(options.files) not in (0, 2):
        parser.error("give both a model and a picture, or neither")

    with tempfile.TemporaryDirectory() as folder:
        model, picture = options.files or prepare(Path(folder), smoke=options.smoke)
        classifier = CNNClassifier.load(model)
        probabilities = classifier.predict_proba([picture])[0]
    answers = dict(zip(names_of(classifier), map(float, probabilities), strict=True))
    for name in sorted(answers, key=answers.__getitem__, reverse=True)[:5]:
        print(f"{name:>20}  {answers[name]:6.1%}")
    return answers


def names_of(classifier: CNNClassifier) -> list[str]:
    """What each probability is of: a label, or a class."""
    return [str(name) for name in getattr(classifier, "label_names_", classifier.classes_)]


def prepare(folder: Path, *, smoke: bool) -> tuple[Any, Any]:
    """Train and save a small network, and draw a scene that it has not seen."""
    scenes = make_aerial_scenes(50 if smoke else 401, random_state=0, folder=folder / "scenes")
    classifier = CNNClassifier(
        "small_cnn", weights=None, phases="from_scratch", image_size=64, max_epochs=1 if smoke else 20, random_state=0
    )
    tags = pd.DataFrame(scenes.target, columns=scenes.target_names)
    classifier.fit(scenes.data[:-1], tags[:-1])
    classifier.save(folder / "scenes.safetensors")
    on_it = [tag for tag in scenes.target_names if tags[tag].iloc[-1]]
    print(f"The picture was drawn with: {', '.join(on_it)}. The network says:")
    return folder / "scenes.safetensors", scenes.data[-1]


if __name__ == "__main__":
    main()
