"""Which streams? A selector is a list of matchers that must all hold."""

from dataclasses import dataclass

from logql.ast.base import Span, span_field
from narfi.core.matchers import Matcher


@dataclass(frozen=True, slots=True)
class Selector:
    """`{a="b", c=~"d"}`; matchers in the order written."""

    matchers: tuple[Matcher, ...]
    span: Span = span_field()
