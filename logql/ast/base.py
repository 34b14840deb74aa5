"""What do all nodes share? A span in the query text that does not count for equality."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Span:
    """Character offsets `[start, end)` in the query text."""

    start: int = 0
    end: int = 0


NO_SPAN = Span()


def span_field() -> Span:
    """A dataclass field for the span: optional, last, not compared."""
    result: Span = field(default=NO_SPAN, compare=False, repr=False, kw_only=True)
    return result
