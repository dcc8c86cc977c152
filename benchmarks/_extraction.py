"""Features from JPEG files against the bare network on tensors that are ready."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks._networks import (
    add_file_options,
    add_network_options,
    bare_network_of,
    chosen_precisions,
    described,
    image_files,
    network_of,
    watched,
)
from benchmarks._records import Record
from benchmarks._timing import check_agreement, interleaved_pairs, timed
from skdeep import CNNFeatureExtractor
from skdeep.backbones import autocast, resolve_device, resolve_precision

_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "float16": torch.float16}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add_file_options(parser, n_images=64)
    add_network_options(parser, precisions=("float32", "bf16"))
    parser.add_argument("--batch-size", type=int, default=16, metavar="N")
    parser.add_argument("--device", default="cpu", help="a device of torch, for both sides (default: cpu)")
    parser.add_argument("--pairs", type=int, default=11, metavar="N", help="interleaved pairs (default: 11)")


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """Two records for each precision: against the network as ours runs it, and as torch gives it."""
    with image_files(arguments.folder, arguments.n_images) as data:
        paths = data.data[: arguments.n_images]
        for precision in chosen_precisions(arguments):
            yield from _compare(paths, precision, arguments)


def _compare(paths: Sequence[Any], asked: str, arguments: argparse.Namespace) -> Iterator[Record]:
    device = resolve_device(arguments.device)
    precision = resolve_precision(asked, device)
    extractor = CNNFeatureExtractor(
        arguments.backbone,
        weights=None,
        image_size=arguments.image_size,
        batch_size=arguments.batch_size,
        device=device,
        precision=precision,
        cache=False,
        random_state=0,
    ).fit(paths)
    network = bare_network_of(extractor, device)
    ready: list[torch.Tensor] = []
    with watched(network_of(extractor, device), ready.append):
        features = extractor.transform(paths)
    alike = [batch.to(_DTYPES[precision], memory_format=torch.channels_last) for batch in ready]
    plain = [batch.to(torch.float32, memory_format=torch.contiguous_format) for batch in ready]
    as_torch_gives_it = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    sides: dict[str, Callable[[], torch.Tensor]] = {
        "bare network": partial(_passed, network, alike, precision, device),
        "bare network, plain float32": partial(_passed, as_torch_gives_it, plain, "float32", device),
    }
    for name, bare in sides.items():
        error = check_agreement(features, bare().cpu().numpy(), close=precision == "float32")
        yield {
            "what": f"{name} / files to features, {precision}",
            "data": described(paths, arguments.backbone, arguments.image_size),
            "precision": precision,
            "device": _device_name(device),
            "batch_size": arguments.batch_size,
            "relative_error": error,
            **interleaved_pairs(
                timed(partial(_finished, bare, device)),
                timed(lambda: extractor.transform(paths)),
                arguments.pairs,
                n_images=len(paths),
            ),
        }


def _passed(network: nn.Module, batches: Sequence[torch.Tensor], precision: str, device: str) -> torch.Tensor:
    with torch.inference_mode(), autocast(precision, device):
        return torch.cat([network(batch).flatten(1).float() for batch in batches])


def _finished(bare: Callable[[], torch.Tensor], device: str) -> None:
    bare()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device
