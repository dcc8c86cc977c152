"""Render the tables of README.md from the records in ``benchmarks/results``.

    python -m benchmarks.render [--check]

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; ``NAME`` is one of ``TABLES``. With ``--check``
nothing is written, and the exit status says whether the file is up to date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from benchmarks._records import LABEL_SCORES, RANKING_SCORES, RESULTS, read_records, summarise, to_markdown

README = Path(__file__).parent.parent / "README.md"
_TABLE = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def comparison(file: str, *scores: str) -> str:
    """The table of a comparison, the chosen scores only, and the command that made it."""
    records = read_records(RESULTS / file)
    headings = {**LABEL_SCORES, **RANKING_SCORES}
    table = summarise(records, {score: headings[score] for score in scores})
    return f"{to_markdown(table)}\n\n{records[0]['data']}. {_origin(records[0])}\n"


def speed(*files: str) -> str:
    """The table of the speed benchmark."""
    records = [record for file in files for record in read_records(RESULTS / file)]
    rows = [
        {
            "what": record["what"],
            "data": record["data"],
            "ratio [95 % interval]": "{:.2f} [{:.2f}, {:.2f}]".format(record["ratio"], *record["ratio_interval"]),
            "seconds": "{first_seconds:.3f} / {second_seconds:.3f}".format(**record),
        }
        for record in records
    ]
    origins = dict.fromkeys(_origin(record) for record in records)
    return f"{to_markdown(pd.DataFrame(rows))}\n\n" + "\n".join(origins) + "\n"


TABLES: dict[str, Callable[[], str]] = {
    "planet": lambda: comparison(
        "planet.jsonl", "f2_at_threshold", "f1_macro", "hamming_loss", "average_precision", "map_macro", "seconds"
    ),
    "scenes": lambda: comparison(
        "scenes.jsonl", "f2_at_threshold", "f1_macro", "hamming_loss", "average_precision", "map_macro", "seconds"
    ),
    "yeast": lambda: comparison(
        "yeast.jsonl", "hamming_loss", "ranking_loss", "one_error", "coverage", "average_precision", "subset_accuracy"
    ),
    "speed": lambda: speed("speed-mlknn.jsonl", "speed-extraction.jsonl"),
}


def render(text: str) -> str:
    """Replace every table in a text by what the records say today."""
    return _TABLE.sub(lambda found: f"{found[1]}{TABLES[found['name']]()}{found[3]}", text)


def main(argv: Sequence[str] | None = None) -> int:
    """Render the tables, or check them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.render", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if README.md is out of date")
    arguments = parser.parse_args(argv)
    text = README.read_text(encoding="utf-8")
    rendered = render(text)
    if arguments.check:
        if text != rendered:
            print(f"{README.name} is out of date: run python -m benchmarks.render")
        return int(text != rendered)
    README.write_text(rendered, encoding="utf-8")
    return 0


def _origin(record: dict[str, str]) -> str:
    return f"`{record['command']}` ({record['machine']}, commit {record['commit']}, {record['time'][:10]})"


if __name__ == "__main__":
    sys.exit(main())
