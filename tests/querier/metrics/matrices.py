"""Small matrices for tests: series by label text, None where a step has no value."""

import numpy as np

from querier.metrics.matrix import Matrix
from querier.result import LabelPairs


def pairs(text: str) -> LabelPairs:
    """`a=1,b=2` as sorted pairs; empty text is no labels."""
    items = [part.split("=") for part in text.split(",") if part]
    return tuple(sorted((name, value) for name, value in items))


def matrix(rows: dict[str, list[float | None]], steps: int | None = None) -> Matrix:
    """A matrix from label texts to values per step."""
    width = steps if steps is not None else len(next(iter(rows.values())))
    values = np.array([[np.nan if v is None else v for v in row] for row in rows.values()])
    present = np.array([[v is not None for v in row] for row in rows.values()], np.bool_)
    return Matrix(
        tuple(pairs(text) for text in rows),
        values.reshape(len(rows), width),
        present.reshape(len(rows), width),
    )


def rows_of(found: Matrix) -> dict[str, list[float | None]]:
    """The reverse of `matrix`, with label texts sorted by name."""
    result = {}
    for row, labels in enumerate(found.labels):
        text = ",".join(f"{name}={value}" for name, value in labels)
        result[text] = [
            float(v) if there else None
            for v, there in zip(found.values[row], found.present[row], strict=True)
        ]
    return result
