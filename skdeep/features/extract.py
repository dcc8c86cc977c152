"""Activations of images: from the store where they are, else through the network, each image once."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Generator, Iterable

import numpy as np
import PIL
import torch
import torchvision
from numpy.typing import NDArray

from skdeep.backbones import Backbone, build_backbone
from skdeep.features.store import FeatureStore, Rows, slices
from skdeep.images import Images, load_batches

# raised whenever the way from pixels to activations changes: rows stored before are no longer found
_FORMAT = 1


def extract_features(
    images: Images, backbone: Backbone, *, store: FeatureStore | None, batch_size: int, device: str
) -> NDArray[np.float32]:
    """Pass images through a network without head.

    Equal images pass it once; with a store, also across calls and processes.

    Parameters
    ----------
    images : Images
    backbone : Backbone
    store : FeatureStore or None
    batch_size : int
        Images that pass the network together.
    device : str

    Returns
    -------
    features : ndarray of float32 of shape (n_images, n_features)

    Raises
    ------
    ImageError
        If an image cannot be decoded. What was computed before is stored.
    """
    keys = _keys(images, backbone, device)
    row_of: dict[bytes, int] = {}
    for row, key in enumerate(keys):
        row_of.setdefault(key, row)
    if backbone.fingerprint is None:
        store = None
    rows = store.read(row_of) if store else {}
    while missing := [key for key in row_of if key not in rows]:
        images.check([row_of[key] for key in missing])
        stop = threading.Event()
        batches = store.claims(missing, batch_size, stop) if store else slices(missing, batch_size)
        results = _compute(images, backbone, batches, row_of, device, stop)
        computed: Rows = {}
        try:
            for done in results:
                if store:
                    store.write(done)
                computed.update(done)
        finally:
            results.close()
            if store and len(computed) < len(missing):
                store.release(key for key in missing if key not in computed)
        rows.update(computed)
        if store:
            rows.update(store.read(key for key in missing if key not in computed))
    return np.stack([rows[key] for key in keys])


def _compute(
    images: Images,
    backbone: Backbone,
    batches: Iterable[list[bytes]],
    row_of: dict[bytes, int],
    device: str,
    stop: threading.Event,
) -> Generator[Rows]:
    network = build_backbone(backbone, device)
    key_of = {row: key for key, row in row_of.items()}
    rows = ([row_of[key] for key in batch] for batch in batches)
    loaded = load_batches(images, rows, backbone.geometry)
    try:
        for batch, pixels in loaded:
            # what is stored as float32 must be float32, even within a caller's autocast
            with torch.inference_mode(), torch.autocast(torch.device(device).type, enabled=False):
                output = network(backbone.normalise(pixels.to(device))).flatten(1)
            activations = output.float().cpu().numpy()
            yield {key_of[row]: activation for row, activation in zip(batch, activations, strict=True)}
    finally:
        # after an error, the loading thread must neither wait for others' rows nor claim the batch ahead
        stop.set()
        loaded.close()


def _keys(images: Images, backbone: Backbone, device: str) -> list[bytes]:
    """A key for each image: equal keys, equal activations."""
    context = {
        "format": _FORMAT,
        "network": backbone.fingerprint,
        "precision": ["float32", torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32],
        "device": torch.device(device).type,
        "versions": [torch.__version__, torchvision.__version__, PIL.__version__],
    }
    prefix = hashlib.sha256(json.dumps(context, sort_keys=True).encode()).digest()
    return [hashlib.sha256(prefix + images.digest(row)).digest()[:16] for row in range(len(images))]
