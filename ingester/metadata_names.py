"""How are names of structured metadata written? Normalised once per distinct name.

Characters outside `[A-Za-z0-9]` become `_`, runs of underscores one; `__x__` keeps its underscores;
a leading digit gets `key_` (reference/ingest-rules.md §2.3).
"""

from dataclasses import replace

import numpy as np

from narfi.core.columns import Spans
from narfi.core.errors import InvalidRequestError
from narfi.core.label_column import SpansColumn
from narfi.core.wire.push import Pairs

DETECTED_LEVEL = "detected_level"
"""The name under which the server puts what it takes for the level of an entry."""


def normalise_names(pairs: Pairs) -> Pairs:
    """The pairs under normalised names; values with U+FFFD get spaces there."""
    filled = pairs.value.length > 0
    if not filled.all():  # an empty value is no value
        kept = np.flatnonzero(filled)
        pairs = Pairs(pairs.row[kept], pairs.name.take(kept), pairs.value.take(kept))
    column = SpansColumn(pairs.name)
    texts = column.texts
    names = [normalise_name(text) for text in texts]
    if names != texts:
        values = Spans.of(name.encode() for name in names)
        pairs = replace(pairs, name=values.take(column.codes))
    return pairs


def normalise_name(name: str) -> str:
    """One name; one that is empty or only underscores fails the request."""
    if not name:
        raise InvalidRequestError("label name is empty")
    if len(name) > 4 and name.startswith("__") and name.endswith("__"):
        return f"__{_cleaned(name[2:-2])}__"
    cleaned = _cleaned(name)
    if not cleaned.strip("_"):
        message = f'normalization for label name "{name}" resulted in invalid name "{cleaned}"'
        raise InvalidRequestError(message)
    return f"key_{cleaned}" if cleaned[0].isdigit() else cleaned


def _cleaned(name: str) -> str:
    out: list[str] = []
    for char in name:
        keep = char.isascii() and char.isalnum()
        if keep:
            out.append(char)
        elif not out or out[-1] != "_":
            out.append("_")
    return "".join(out)
