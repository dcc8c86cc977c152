"""``python -m skdeep.features``: what the feature store or a feature file holds, and a file made of the store."""

from __future__ import annotations

import argparse

from skdeep.features.files import FeatureFileInfo, export_features, file_info
from skdeep.features.store import info


def main(arguments: list[str] | None = None) -> None:
    """Say what the store or a file holds, or write the one to the other."""
    parser = argparse.ArgumentParser(prog="python -m skdeep.features", description="The feature store and its files.")
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser("info", help="say what a feature file holds, or without one the store")
    shown.add_argument("file", nargs="?")
    exported = commands.add_parser("export", help="write all rows of the store to a file that other hosts can read")
    exported.add_argument("file")
    for command in (shown, exported):
        command.add_argument("--cache", default=True, metavar="FOLDER", help="the store, if not that of the estimators")
    options = parser.parse_args(arguments)
    if options.command == "export":
        _show(export_features(options.file, cache=options.cache))
    elif options.file is not None:
        _show(file_info(options.file))
    else:
        store = info(options.cache)
        print(f"{store.folder}: {store.n_rows} rows, {store.n_pictures} pictures, {store.n_bytes} bytes")  # noqa: T201


def _show(file: FeatureFileInfo) -> None:
    print(f"{file.path}: {file.n_rows} rows, {file.n_bytes} bytes")  # noqa: T201
    for name, value in (file.context or {}).items():
        print(f"  {name}: {value}")  # noqa: T201


if __name__ == "__main__":
    main()
