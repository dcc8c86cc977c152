"""fastai through the phases of a fine-tuning recipe; a script of its own, for an environment that has fastai.

    python _fastai_rival.py SPEC.json OUT.npz

``SPEC.json`` holds ``paths``, ``target`` (an indicator), ``folds`` (pairs of lists of positions), ``weights`` (a state
dict of torchvision's MobileNetV2), ``phases`` (``size``, ``train``, ``epochs``), ``batch_size``, ``lr`` and ``mixup``
(0 is none). ``OUT.npz`` gets the out-of-fold probabilities ``plain`` and ``tta``, and for each fold the ``seconds`` of
training, and ``plain_seconds`` and ``tta_seconds`` of prediction.

Everything that the specification leaves open is fastai's own: its head on concatenated average and maximum pooling,
Adam with its weight decay, ``fit_one_cycle``, its loaders with a worker a core, and ``tta``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torchvision
from fastai.vision.all import (
    BCEWithLogitsLossFlat,
    Callback,
    CancelValidException,
    ColReader,
    DataBlock,
    ImageBlock,
    IndexSplitter,
    L,
    Learner,
    MixUp,
    MultiCategoryBlock,
    Normalize,
    Resize,
    ResizeMethod,
    apply_init,
    aug_transforms,
    create_head,
    imagenet_stats,
    params,
    set_seed,
)
from torch import nn


class NoValidation(Callback):
    """What is held out is predicted once, at the end."""

    def before_validate(self) -> None:
        raise CancelValidException


def make_model(weights: str, n_labels: int) -> nn.Module:
    """MobileNetV2 without its head, under fastai's own."""
    network = torchvision.models.mobilenet_v2()
    network.load_state_dict(torch.load(weights, weights_only=True))
    head = create_head(network.last_channel, n_labels)
    apply_init(head, nn.init.kaiming_normal_)
    return nn.Sequential(network.features, head)


def split(model: Any) -> Any:
    """Three groups, for rates of lr/9, lr/3 and lr."""
    body, head = model[0], model[1]
    return L(body[:14], body[14:], head).map(params)


def make_loaders(frame: pd.DataFrame, labels: list[str], size: int, batch_size: int) -> Any:
    """Loaders of a size, with the augmentation that skdeep calls "top_down"."""
    augmentation = aug_transforms(flip_vert=True, max_rotate=10.0, max_zoom=1.05, max_lighting=0.05, max_warp=0.0)
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock(encoded=True, vocab=labels)),
        get_x=ColReader("path"),
        get_y=ColReader(labels),
        splitter=IndexSplitter([0]),
        item_tfms=Resize(size, method=ResizeMethod.Squish),
        batch_tfms=[*augmentation, Normalize.from_stats(*imagenet_stats)],
    )
    # the first row stands twice, so that the one that the splitter takes is not lost
    return block.dataloaders(pd.concat([frame.iloc[:1], frame], ignore_index=True), bs=batch_size)


def main(spec_file: str, out: str) -> None:
    """Train and predict every fold."""
    spec = json.loads(Path(spec_file).read_text())
    target = np.array(spec["target"])
    labels = [f"label{j}" for j in range(target.shape[1])]
    whole = pd.DataFrame(target, columns=labels).assign(path=spec["paths"])
    found: dict[str, Any] = {name: np.zeros(target.shape) for name in ("plain", "tta")}
    seconds: dict[str, Any] = {"seconds": [], "plain_seconds": [], "tta_seconds": []}
    for fold, (train, test) in enumerate(spec["folds"]):
        set_seed(fold)
        mixing = [MixUp(spec["mixup"])] if spec["mixup"] else []
        start = time.perf_counter()
        model = make_model(spec["weights"], len(labels))
        sizes = dict.fromkeys(phase["size"] for phase in spec["phases"])
        loaders = {size: make_loaders(whole.iloc[train], labels, size, spec["batch_size"]) for size in sizes}
        learn: Any = Learner(
            loaders[next(iter(sizes))],
            model,
            loss_func=BCEWithLogitsLossFlat(),
            splitter=split,
            cbs=[NoValidation(), *mixing],
        )
        for phase in spec["phases"]:
            learn.dls = loaders[phase["size"]]
            if phase["train"] == "head":
                learn.freeze()
                rate = spec["lr"]
            else:
                learn.unfreeze()
                rate = slice(spec["lr"] / 9, spec["lr"])
            with learn.no_bar(), learn.no_logging():
                learn.fit_one_cycle(phase["epochs"], rate)
        seconds["seconds"].append(time.perf_counter() - start)
        learn.remove_cb(NoValidation)
        held_out = learn.dls.test_dl(whole.iloc[test])
        for name, predict in (("plain", learn.get_preds), ("tta", learn.tta)):
            start = time.perf_counter()
            with learn.no_bar():
                found[name][test] = predict(dl=held_out)[0].numpy()
            seconds[f"{name}_seconds"].append(time.perf_counter() - start)
        print(f"fastai, fold {fold + 1} of {len(spec['folds'])}: {seconds['seconds'][-1]:.0f} s", flush=True)
    np.savez(out, **found, **seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
