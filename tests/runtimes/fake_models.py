"""Models small enough to be pickled into a test's folder."""

from __future__ import annotations

from typing import Any

import numpy as np


class RowSums:
    """Sums each row; is no more patient with bad shapes than a real model."""

    def predict(self, rows: Any) -> Any:
        if rows.shape[0] > 1000:
            raise ValueError("too many rows for me")
        return rows.sum(axis=1)


class Parrot:
    """Gives back what it got: a table's columns, or an array."""

    def predict(self, given: Any) -> Any:
        return given


class Several:
    def predict(self, rows: Any) -> Any:
        return {"sum": rows.sum(axis=1), "max": rows.max(axis=1), "word": np.array(["a", "é"])}


class Broken:
    def predict(self, rows: Any) -> Any:
        raise ZeroDivisionError("division by zero")
