"""How are warnings written into an answer of `/narfi/api/v1`?"""

from collections.abc import Sequence

from querier.result import Shortfall


def warnings_of(texts: Sequence[str]) -> list[dict[str, object]]:
    """Objects of `text`, `start`, `end` (text of ns, or null) and `rows` (or null)."""
    return [_warning(text) for text in texts]


def _warning(text: str) -> dict[str, object]:
    if not isinstance(text, Shortfall):
        return {"text": text, "start": None, "end": None, "rows": None}
    return {
        "text": str(text),
        "start": None if text.start_ns is None else str(text.start_ns),
        "end": None if text.end_ns is None else str(text.end_ns),
        "rows": text.rows,
    }
