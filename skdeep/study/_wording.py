"""How measures are written for readers, in tables, pictures and on the page."""

from __future__ import annotations

import re

_ABBREVIATION = re.compile(r"\b(f\d|roc|auc|map)\b")


def measure_text(name: str) -> str:
    """How a measure is written: ``F1 samples``, ``mAP macro``."""
    words = _ABBREVIATION.sub(lambda found: "mAP" if found[0] == "map" else found[0].upper(), name.replace("_", " "))
    return words if words[:3] == "mAP" else words[:1].upper() + words[1:]


def heading(measure: str, greater_is_better: bool) -> str:
    """The measure, with an arrow that says which way is better."""
    return f"{measure_text(measure)} {'↑' if greater_is_better else '↓'}"
