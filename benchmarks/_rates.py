"""Images per second against batch size, and the picture of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks._networks import add_file_options, add_network_options, chosen_precisions, described, image_files
from benchmarks._records import Record
from benchmarks._timing import check_agreement, median_interval, timed
from skdeep import CNNFeatureExtractor
from skdeep.backbones import resolve_precision

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

_COLOURS = ("#0072b2", "#d55e00", "#009e73")  # told apart by colour-blind readers too


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add_file_options(parser, n_images=128)
    add_network_options(parser, precisions=("float32", "bf16"))
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="passes of each batch size (default: 3)")


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """One record: the rate from files to features at each batch size, for each precision."""
    precisions = dict.fromkeys(resolve_precision(precision, "cpu") for precision in chosen_precisions(arguments))
    with image_files(arguments.folder, arguments.n_images) as data:
        paths = data.data[: arguments.n_images]
        batch_sizes = [batch_size for batch_size in BATCH_SIZES if batch_size <= len(paths)]
        yield {
            "what": "files to features against batch size",
            "data": described(paths, arguments.backbone, arguments.image_size),
            "n_images": len(paths),
            "n_rounds": arguments.rounds,
            "batch_sizes": batch_sizes,
            "rates": {precision: _rates(paths, precision, batch_sizes, arguments) for precision in precisions},
        }


def rate_against_batch_size(record: Record) -> Figure:
    """Draw the rates of a record: a line for each precision, its interval as a band.

    Parameters
    ----------
    record : dict
        What ``run`` gives, as it was written: with the machine that it ran on.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(8, 4.8), dpi=150, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    sizes = record["batch_sizes"]
    for colour, (precision, rates) in zip(_COLOURS, record["rates"].items(), strict=False):
        axes.plot(sizes, rates["median"], "o-", color=colour, label=precision, linewidth=2)
        low, high = zip(*rates["interval"], strict=True)
        axes.fill_between(sizes, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(size) for size in sizes])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("batch size (images)", fontsize=12)
    axes.set_ylabel("rate (images per second)", fontsize=12)
    axes.set_title(f"From files to features: {record['data']}, {record['machine']}", fontsize=11)
    axes.tick_params(labelsize=11)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(title=f"median and interval of {record['n_rounds']} rounds", fontsize=11, frameon=False)
    return figure


def _rates(
    paths: Any, precision: str, batch_sizes: Sequence[int], arguments: argparse.Namespace
) -> dict[str, list[Any]]:
    """Medians over the rounds, in each of which every batch size has its turn."""
    extractors = [
        CNNFeatureExtractor(
            arguments.backbone,
            weights=None,
            image_size=arguments.image_size,
            batch_size=batch_size,
            device="cpu",
            precision=precision,
            cache=False,
            random_state=0,
        ).fit(paths)
        for batch_size in batch_sizes
    ]
    reference = extractors[-1].transform(paths)
    for extractor in extractors[:-1]:
        check_agreement(extractor.transform(paths), reference, close=precision == "float32")
    works = [timed(partial(extractor.transform, paths)) for extractor in extractors]
    rounds = [[len(paths) / work() for work in works] for _ in range(arguments.rounds)]
    medians, intervals = zip(*map(median_interval, zip(*rounds, strict=True)), strict=True)
    return {"median": list(medians), "interval": list(intervals)}
