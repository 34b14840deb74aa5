"""What did a parser find, and under which names does it become labels? (logql.md §4.1)

Parsers give pairs as they stand in the line; placing them next to the labels that are there already
is one rule for all of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from narfi.core.text.label_names import EXTRACTED_SUFFIX

Pairs = tuple[tuple[str, str], ...]
"""(label name, value) in the order of the line; names are sanitised, may repeat."""


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """The pairs of a line; `error` is the value of `__error__` when parsing ended early."""

    pairs: Pairs = ()
    error: str = ""
    details: str = ""


def place_pairs(
    pairs: Iterable[tuple[str, str]],
    is_taken: Callable[[str], bool],
    parsed: Mapping[str, str],
) -> dict[str, str]:
    """The labels to add: a taken name gets `_extracted`, and what is there first stays.

    `is_taken` tells names of original stream labels and of structured metadata; `parsed` are the
    labels of earlier parsers, which later ones do not overwrite.
    """
    added: dict[str, str] = {}
    for name, value in pairs:
        placed = name + EXTRACTED_SUFFIX if is_taken(name) else name
        if placed not in parsed:
            added.setdefault(placed, value)
    return added
