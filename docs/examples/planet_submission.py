"""From Planet's label file to a submission.

Chips of the Amazon have any number of 17 tags, and the competition counts F2: a tag that is missed costs more than one
that is wrong, so that a tag is worth naming long before it is likely. How likely is learnt here on chips that are held
out of training. Without arguments scenes are drawn, the last third of them without their tags, and a small network
learns from scratch. With FOLDER (``train_v2.csv`` and ``train-jpg/``) and pretrained weights the network goes through
pictures of 64, 128 and 256 pixels, six phases in all, and as it was at the end of the last two sizes it predicts twice,
averaged; ``--phases linear_probe`` takes minutes instead of hours.

    python docs/examples/planet_submission.py [FOLDER] [--test FOLDER] [--backbone NAME] [--weights FILE]
                                              [--phases NAME] [--out FILE] [--smoke]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn.model_selection import train_test_split

from skdeep import CNNClassifier
from skdeep.datasets import load_image_csv, make_aerial_scenes, write_submission
from skdeep.metrics import fbeta_at_threshold
from skdeep.multilabel import optimal_thresholds


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, learn a threshold, and write the tags of the test chips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="with train_v2.csv and train-jpg/")
    parser.add_argument("--test", help="a folder of chips without tags; else a third of the others is for testing")
    parser.add_argument("--backbone", default="resnet34", help="the network for chips of your own")
    parser.add_argument("--weights", default="DEFAULT", help="where its training starts")
    parser.add_argument("--phases", default="planet_pair", help="the recipe for chips of your own")
    parser.add_argument("--out", default="submission.csv", help="where the tags are written")
    parser.add_argument("--smoke", action="store_true", help="a run of seconds, to see that all works")
    options = parser.parse_args(argv)

    with tempfile.TemporaryDirectory() as place:
        folder = Path(options.folder or place)
        if options.folder is None:
            make_aerial_scenes(60 if options.smoke else 600, random_state=0, folder=folder)
        table, pictures = folder / "train_v2.csv", folder / "train-jpg"
        chips = load_image_csv(table, pictures, suffix=".jpg", separator=" ", as_frame=True)
        print(chips.DESCR)
        classifier = small_classifier(smoke=options.smoke) if options.folder is None else own_classifier(options)
        return submit(classifier, chips.data, chips.target, options)


def submit(classifier: CNNClassifier, X: Any, Y: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Divide the chips, fit, learn the threshold, score it where tags are known, and write."""
    Y_test = None
    if options.test is None:
        X, X_test, Y, Y_test = train_test_split(X, Y, test_size=1 / 3, random_state=0)
    else:
        X_test = sorted(str(path) for path in Path(options.test).glob("*.jpg"))
    X, X_held, Y, Y_held = train_test_split(X, Y, test_size=0.2, random_state=0)
    classifier.fit(X, Y, X_val=X_held, y_val=Y_held)
    columns = ["train", "image_size", "epoch", "train_loss", "valid_loss"]
    print(classifier.history_.groupby("phase").last()[columns].round(4))

    # on chips that the network did not learn from
    rule = optimal_thresholds(Y_held, classifier.predict_proba(X_held), metric="f2_samples")
    threshold = float(rule.thresholds[0])
    probabilities = classifier.predict_proba(X_test)
    scores = {}
    if Y_test is not None:
        scores = {cut: fbeta_at_threshold(Y_test, probabilities, threshold=cut) for cut in (0.5, 0.2, threshold)}
        for cut, score in scores.items():
            print(f"F2 of {len(X_test)} test chips at threshold {cut:.2f}: {score:.3f}")
    names = [Path(path).stem for path in X_test]
    write_submission(options.out, names, probabilities, label_names=classifier.label_names_, threshold=threshold)
    print(f"{options.out} has the tags of {len(names)} chips. Its first lines:")
    print(*Path(options.out).read_text(encoding="utf-8").splitlines()[:4], sep="\n")
    return {"threshold": threshold, "scores": scores, "names": names, "label_names": classifier.label_names_}


def own_classifier(options: argparse.Namespace) -> CNNClassifier:
    """A pretrained network, for real chips."""
    classifier = CNNClassifier(
        options.backbone,
        weights=options.weights,
        phases=options.phases,
        max_epochs=1 if options.smoke else None,
        random_state=0,
        verbose=1,
    )
    if options.phases == "linear_probe":  # quick on stored activations, which pictures that change would not have
        return classifier
    return classifier.set_params(augmentation="top_down", tta=7)


def small_classifier(*, smoke: bool) -> CNNClassifier:
    """A small network without weights, for the drawn scenes."""
    return CNNClassifier(
        "small_cnn",
        weights=None,
        phases="from_scratch",
        image_size=64,
        augmentation="top_down",
        tta=4,
        max_epochs=1 if smoke else 25,
        random_state=0,
    )


if __name__ == "__main__":
    main()
