"""Of what kind are labels and fields, and how are values shown? (http-api.md §4.8, §4.9)"""

from collections.abc import Iterable
from dataclasses import dataclass

from narfi.core.errors import AppError
from narfi.core.units import format_bytes, parse_bytes, parse_float, parse_go_duration
from querier.result import LabelPairs

_BOOLEANS = frozenset(
    ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"]
)


@dataclass(frozen=True, slots=True)
class DetectedLabel:
    """A stream label and how many values it has."""

    label: str
    cardinality: int


def detected_labels(series: Iterable[LabelPairs]) -> list[DetectedLabel]:
    """Every label that has a value, also where all values look like ids."""
    values: dict[str, set[str]] = {}
    for pairs in series:
        for name, value in pairs:
            if value:
                values.setdefault(name, set()).add(value)
    return [DetectedLabel(name, len(found)) for name, found in sorted(values.items())]


def _is_number(text: str) -> bool:
    try:
        parse_float(text)
    except AppError:
        return False
    return True


def kind_of(text: str) -> str:
    """`int`, `float`, `boolean`, `duration`, `bytes` or `string`, tried in this order."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if digits.isascii() and digits.isdigit() and -(2**63) <= int(text) < 2**63:
        return "int"
    if _is_number(text):
        return "float"
    if text in _BOOLEANS:
        return "boolean"
    for kind, parse in (("duration", parse_go_duration), ("bytes", parse_bytes)):
        try:
            parse(text)
        except AppError:
            continue
        return kind
    return "string"


def shown_values(values: Iterable[str], limit: int) -> list[str]:
    """The first of the values of a field, sorted, sizes in one form."""
    texts = {format_bytes(parse_bytes(v)) if kind_of(v) == "bytes" else v for v in values}
    return sorted(texts)[:limit]
