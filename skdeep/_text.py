"""How errors speak of many things."""

from __future__ import annotations

from collections.abc import Iterable


def listed(items: Iterable[object], limit: int = 5) -> str:
    """Name the first few items, and say how many there are.

    Examples
    --------
    >>> listed("abc")
    'a, b, c'
    >>> listed(range(100), limit=2)
    '0, 1, ... (100 in all)'
    """
    items = list(items)
    shown = ", ".join(str(item) for item in items[:limit])
    return shown if len(items) <= limit else f"{shown}, ... ({len(items)} in all)"
