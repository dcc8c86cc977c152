"""Files that are written whole or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Where to write instead of ``path``; what was written takes its place at the end, unless there was an error.

    Whoever reads ``path`` meanwhile sees what was there, and writers at the same time do not meet.

    Parameters
    ----------
    path : Path
        Its folder must be there.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def drafts_left(folder: Path) -> Iterator[Path]:
    """What writers that were killed have left in a folder."""
    return folder.glob(".*.part")
