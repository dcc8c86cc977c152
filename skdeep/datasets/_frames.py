"""Tables with or without the names above their columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from numpy.typing import NDArray


def framed(values: NDArray[Any], names: Sequence[str], *, as_frame: bool) -> NDArray[Any] | pd.DataFrame:
    """The values, or a DataFrame of them."""
    return pd.DataFrame(values, columns=list(names)) if as_frame else values
