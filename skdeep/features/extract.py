"""Activations of images: from a file or the store where they are, else through the network, each image once."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import PIL
import torch
import torchvision
from numpy.typing import NDArray
from torch import nn

from skdeep._blobcache import Blobs, slices
from skdeep._text import listed
from skdeep.backbones import Backbone, build_backbone, feature_size, pass_pictures
from skdeep.exceptions import ImageError, ImageWarning
from skdeep.features.files import FeatureFile, FeatureFileInfo, check_folder, write_features
from skdeep.features.store import FeatureStore, Store
from skdeep.images import Images, OnError, PictureCache, load_batches

View = Callable[[torch.Tensor], torch.Tensor]

# raised whenever the way from pixels to activations changes: rows stored before are no longer found
_FORMAT = 3


def extract_features(
    images: Images,
    backbone: Backbone,
    *,
    store: Store | None,
    files: Sequence[FeatureFile] = (),
    batch_size: int,
    device: str,
    precision: str = "float32",
    on_error: OnError = "raise",
) -> NDArray[np.float32]:
    """Pass images through a network without head.

    Equal images pass it once; with a store, also across calls and processes. What a file holds does not pass it.

    Parameters
    ----------
    images : Images
    backbone : Backbone
    store : Store or None
    files : sequence of FeatureFile, default=()
        Where rows are looked for before the store.
    batch_size : int
        Images that pass the network together.
    device : str
    precision : str, default="float32"
        As it was resolved for the device.
    on_error : {"raise", "nan"}, default="raise"
        What an image that cannot be read or decoded leads to: an error, or a row of NaN and one warning for all.

    Returns
    -------
    features : ndarray of float32 of shape (n_images, n_features)

    Raises
    ------
    ImageError
        If an image cannot be read or decoded. What was computed before is stored.

    Warns
    -----
    ImageWarning
        If there are rows of NaN.
    """
    digests = images.digests(store.digests if store else None)
    keys = _keys(digests, backbone, device, precision)
    failures = _unread(images, digests, on_error)
    row_of: dict[bytes, int] = {}
    for row, key in enumerate(keys):
        row_of.setdefault(key, row)
    has_keys = backbone.fingerprint is not None
    features = store.features if store and has_keys else None
    rows = _look_up(row_of, [*(files if has_keys else ()), features])
    missing = [key for key, row in row_of.items() if key not in rows and row not in failures]
    is_shared = features is not None
    while missing:
        failures.update(_broken(images, [row_of[key] for key in missing], on_error))
        missing = [key for key in missing if row_of[key] not in failures]
        stop = threading.Event()
        batches: Iterable[list[bytes]] = slices(missing, batch_size)
        if features and is_shared:
            batches = _claims(features, missing, batch_size, stop, row_of, failures)
        unloaded = failures if on_error == "nan" else None
        results = _compute(images, backbone, batches, row_of, device, precision, stop, unloaded)
        computed: Blobs = {}
        try:
            for done in results:
                if features:
                    features.write(done)
                computed.update(done)
        finally:
            results.close()
            if features and len(computed) < len(missing):
                features.release(key for key in missing if key not in computed)
        rows.update(computed)
        if features:
            rows.update(features.read(key for key in missing if key not in computed))
        missing = [key for key in missing if key not in rows and row_of[key] not in failures]
        # what others computed and is gone again is computed here, whoever else may
        is_shared = False
    if failures:
        _add_nan_rows(rows, keys, failures, backbone, device)
    return np.frombuffer(bytearray().join([rows[key] for key in keys]), dtype=np.float32).reshape(len(keys), -1)


def export_images(
    path: str | os.PathLike[str],
    images: Images,
    backbone: Backbone,
    *,
    device: str,
    precision: str,
    **options: Any,
) -> FeatureFileInfo:
    """Write the features of images to a feature file.

    Parameters
    ----------
    path : str or path
    images : Images
    backbone : Backbone
    device : str
    precision : {"float32", "bf16", "float16"}
    **options
        As for :func:`extract_features`. What leads to a row of NaN there is left out.

    Returns
    -------
    info : FeatureFileInfo

    Raises
    ------
    ValueError
        If no key tells the features from others, or there are none.
    OSError
        If the file cannot be written.
    ImageError
        If an image cannot be read or decoded.
    """
    if backbone.fingerprint is None:
        raise ValueError("Features of a module of your own are told from others by fingerprint= only: give one.")
    check_folder(path)
    features = extract_features(images, backbone, device=device, precision=precision, **options)
    keys = _keys(images.digests(), backbone, device, precision)
    rows = {key: row.tobytes() for key, row in zip(keys, features, strict=True) if not np.isnan(row).all()}
    return write_features(path, rows, _context(backbone, device, precision))


def pass_images(
    images: Images,
    network: nn.Module,
    backbone: Backbone,
    *,
    views: Sequence[View | None] = (None,),
    cache: PictureCache | None = None,
    batch_size: int,
    device: str,
    precision: str,
) -> list[NDArray[np.float32]]:
    """Pass images through a network that no description can make again, such as a trained one; nothing is stored.

    Parameters
    ----------
    images : Images
    network : nn.Module
        In evaluation mode on the device.
    backbone : Backbone
    views : sequence of callable or None, default=(None,)
        What is done to a batch of pictures before; None is nothing.
    cache : PictureCache, default=None
        As for ``load_batches``.
    batch_size : int
    device : str
    precision : {"float32", "bf16", "float16"}

    Returns
    -------
    features : list of ndarray of float32 of shape (n_images, n_features)
        For each view.
    """
    rows: list[list[torch.Tensor]] = [[] for _ in views]
    batches = [range(start, min(start + batch_size, len(images))) for start in range(0, len(images), batch_size)]
    for _, pixels in load_batches(images, batches, backbone.geometry, device=device, cache=cache):
        pixels = pixels.to(device, non_blocking=True)
        with torch.no_grad():
            for view, done in zip(views, rows, strict=True):
                done.append(pass_pictures(network, backbone, view(pixels) if view else pixels, precision).cpu())
    return [torch.cat(done).numpy() for done in rows]


def _look_up(keys: Iterable[bytes], sources: Iterable[FeatureFile | FeatureStore | None]) -> Blobs:
    """The rows that some source holds; each is asked for what those before it do not hold."""
    rows: Blobs = {}
    for source in sources:
        if source is not None:
            rows.update(source.read(key for key in keys if key not in rows))
    return rows


def _claims(
    features: FeatureStore,
    keys: list[bytes],
    batch_size: int,
    stop: threading.Event,
    row_of: dict[bytes, int],
    failures: dict[int, str],
) -> Iterator[list[bytes]]:
    """Claim missing rows a batch at a time, each once the one before is loaded."""
    for batch in features.claims(keys, batch_size, stop):
        yield batch
        # nobody ever stores these: others who wait for them while this waits for others' rows would wait for ever
        failed = [key for key in batch if row_of[key] in failures]
        if failed:
            features.release(failed)


def _compute(
    images: Images,
    backbone: Backbone,
    batches: Iterable[list[bytes]],
    row_of: dict[bytes, int],
    device: str,
    precision: str,
    stop: threading.Event,
    failures: dict[int, str] | None,
) -> Generator[Blobs]:
    network = build_backbone(backbone, device, frozen=precision)
    key_of = {row: key for key, row in row_of.items()}
    rows = ([row_of[key] for key in batch] for batch in batches)
    loaded = load_batches(images, rows, backbone.geometry, device=device, failures=failures)
    try:
        for batch, pixels in loaded:
            with torch.inference_mode():
                output = pass_pictures(network, backbone, pixels.to(device, non_blocking=True), precision)
            activations = output.cpu().numpy()
            yield {key_of[row]: activation.tobytes() for row, activation in zip(batch, activations, strict=True)}
    finally:
        # after an error, the loading thread must neither wait for others' rows nor claim the batch ahead
        stop.set()
        loaded.close()


def _keys(digests: list[bytes], backbone: Backbone, device: str, precision: str) -> list[bytes]:
    """A key for each image: equal keys, equal activations."""
    context = _context(backbone, device, precision)
    prefix = hashlib.sha256(json.dumps(context, sort_keys=True).encode()).digest()
    return [hashlib.sha256(prefix + digest).digest()[:16] for digest in digests]


def _context(backbone: Backbone, device: str, precision: str) -> dict[str, Any]:
    """All that shapes activations beside the images."""
    return {
        "format": _FORMAT,
        "network": backbone.fingerprint,
        "precision": [precision, *_float32_precisions()],
        "device": torch.device(device).type,
        "versions": [torch.__version__, torchvision.__version__, PIL.__version__],
    }


def _float32_precisions() -> list[Any]:
    """What torch computes float32 in, as the process's switches have it."""
    backends: Any = torch.backends
    if not hasattr(backends, "fp32_precision"):  # torch before 2.9
        return [torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32]
    # the older switches show in these too, but cannot be asked for once a newer one was set
    cudnn, mkldnn = backends.cudnn, backends.mkldnn
    operations = [backends.cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn]
    return [operation.fp32_precision for operation in operations]


def _unread(images: Images, digests: list[bytes], on_error: OnError) -> dict[int, str]:
    """The rows that could not be read for their digests, and why."""
    rows = [row for row, digest in enumerate(digests) if not digest]
    reasons = _broken(images, rows, on_error)
    # what is whole by now was not when it was read, and has no key
    unread = {row: reasons.get(row, "could not be read") for row in rows}
    if unread and on_error == "raise":
        raise ImageError(f"{len(unread)} of {len(images)} images could not be read: rows {listed(unread)}.")
    return unread


def _broken(images: Images, rows: list[int], on_error: OnError) -> dict[int, str]:
    """The rows that visibly hold no whole picture, and why; an error unless they may become NaN."""
    if on_error == "nan":
        return images.broken(rows)
    images.check(rows)
    return {}


def _add_nan_rows(rows: Blobs, keys: list[bytes], failures: dict[int, str], backbone: Backbone, device: str) -> None:
    """Give the images that failed rows of NaN, and say which they are."""
    why = {keys[row]: reason for row, reason in failures.items()}
    n_bytes = len(next(iter(rows.values()))) if rows else 4 * feature_size(backbone, device)
    rows.update(dict.fromkeys(why, np.full(n_bytes // 4, np.nan, dtype=np.float32).tobytes()))
    failed = [f"row {row} ({failures.get(row, why[key])})" for row, key in enumerate(keys) if key in why]
    warnings.warn(
        f"{len(failed)} of {len(keys)} images cannot be used, their features are NaN: {listed(failed)}.",
        ImageWarning,
        stacklevel=2,
    )
