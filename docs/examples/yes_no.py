"""A yes or no about a picture, learnt from scratch on 290 pictures.

Is there haze over the forest? Half of 414 drawn scenes have it; 290 of these are to learn from, 124 to test on. So few
are enough for a small network because each epoch sees them turned, mirrored and lit anew: that is what
``augmentation="top_down"`` does to pictures taken from above. Its rate rises, and then falls: at a constant one, some
seeds get nowhere. Mean and spread of the colours alone are right on about 85 in 100, for the light changes as well.

    python docs/examples/yes_no.py [--tag TAG] [--epochs N] [--smoke]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import CNNClassifier, Phase
from skdeep.datasets import make_aerial_scenes

N_TRAIN, N_TEST = 290, 124


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Train a network to answer, beside a logistic regression on colours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", default="haze", help="what is asked for, of the tags that scenes have")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the training scenes")
    parser.add_argument("--smoke", action="store_true", help="a run of seconds, to see that all works")
    options = parser.parse_args(argv)

    n_train, n_test = (14, 6) if options.smoke else (N_TRAIN, N_TEST)
    X, y = draw_scenes(options.tag, n_train + n_test, n_scenes=300 if options.smoke else 4200)
    X_train, X_test, y_train, y_test = X[:n_train], X[n_train:], y[:n_train], y[n_train:]
    network = CNNClassifier(
        "small_cnn",
        weights=None,
        phases=[Phase(policy="one_cycle")],
        image_size=64,
        augmentation="top_down",
        batch_size=16,
        lr=1e-3,
        max_epochs=1 if options.smoke else options.epochs,
        random_state=0,
    )
    network.fit(X_train, y_train)
    by_colour = make_pipeline(StandardScaler(), LogisticRegression())
    by_colour.fit(colours(X_train), y_train)

    accuracy = {
        "network": network.score(X_test, y_test),
        "network, training scenes": network.score(X_train, y_train),
        "colours": by_colour.score(colours(X_test), y_test),
        "always the commoner answer": max(np.mean(y_test == "no"), np.mean(y_test == "yes")),
    }
    print(f"{options.tag}? {len(y_train)} scenes to learn from, {len(y_test)} to test on. Right answers:")
    for who, share in accuracy.items():
        print(f"{who:>28}  {share:.1%}")
    return {"accuracy": accuracy, "probabilities": network.predict_proba(X_test), "classes": network.classes_}


def draw_scenes(tag: str, n_samples: int, *, n_scenes: int) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """Of many scenes as many with the tag as without it, and the answers."""
    scenes = make_aerial_scenes(n_scenes, random_state=0)
    has_tag = scenes.target[:, scenes.target_names.index(tag)] == 1
    half = n_samples // 2
    rows = np.concatenate([np.flatnonzero(has_tag)[:half], np.flatnonzero(~has_tag)[:half]])
    if len(rows) < n_samples:
        raise SystemExit(f"{n_scenes} scenes have {has_tag.sum()} of {tag}, too few for {half}; choose a commoner tag.")
    rows = np.random.default_rng(0).permutation(rows)
    return scenes.data[rows], np.where(has_tag[rows], "yes", "no")


def colours(scenes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean and standard deviation of each channel."""
    return np.hstack([scenes.mean(axis=(1, 2)), scenes.std(axis=(1, 2))])


if __name__ == "__main__":
    main()
