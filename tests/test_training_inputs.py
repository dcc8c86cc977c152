"""Rows of tables and of images, a batch at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from skdeep.images import Geometry, as_images
from skdeep.training import ImageRows, TableRows


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_table_rows_give_batches_in_the_order_asked(form: Any) -> None:
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    rows = TableRows(form(table))
    assert len(rows) == 6
    batches = [[5, 0], [3]]
    for batch, arguments in zip(batches, rows.take(batches), strict=True):
        np.testing.assert_array_equal(arguments["table"].numpy(), table[batch])


def test_image_rows_keep_numbers_beside_their_images() -> None:
    rng = np.random.default_rng(0)
    X = np.hstack([rng.integers(256, size=(5, 12)), np.arange(5)[:, None]])
    rows = ImageRows(as_images(X, image_shape=(2, 2, 3)), Geometry(size=(2, 2)), "cpu")
    assert len(rows) == 5
    (arguments,) = rows.take([[4, 1]])
    np.testing.assert_array_equal(arguments["side_features"].numpy(), [[4], [1]])
    np.testing.assert_array_equal(arguments["images"].permute(0, 2, 3, 1).reshape(2, 12).numpy(), X[[4, 1], :12])
