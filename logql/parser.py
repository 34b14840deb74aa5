"""What does a query text say? Text to syntax tree, or the recorded server's error.

Invariant: `parse(format_expr(e)) == e` for every tree that `parse` gives.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from logql.ast import (
    AndFilter,
    BinaryOperation,
    Expr,
    LabelFilterStage,
    LabelReplace,
    LogQuery,
    OrFilter,
    RangeAggregation,
    Selector,
    VectorAggregation,
)
from logql.build import Builder, Mistake
from logql.errors import LogQLError, LogQLSyntaxError, LogQLValidationError
from logql.lexer import Word, words
from logql.machine import Machine, UnexpectedWordError
from logql.numbers import Number
from logql.syntax_errors import syntax_error
from logql.validate import check_pipelines, check_selector, selector_mistakes

CACHED_QUERIES = 256
MAX_DEPTH = 200
"""Nested parentheses, functions and operators; far beyond any real query, far below the stack."""
TOO_DEEP = f"query is nested too deeply (more than {MAX_DEPTH})"

_MACHINE = Machine((Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8"))


def parse(text: str) -> Expr:
    """The tree of a query that may be run; raises `LogQLError` with the recorded text."""
    expr = parse_to_format(text)
    check_pipelines(expr)
    return expr


def parse_to_format(text: str) -> Expr:
    """As `parse`, but stages are not compiled: what `format_query` accepts."""
    expr, wrong = _parsed(text)
    _tell([*wrong, *selector_mistakes(expr)])
    return expr


def parse_unchecked(text: str) -> Expr:
    """The tree of a text that is grammatical; selectors and stages are not checked."""
    expr, wrong = _parsed(text)
    _tell(wrong)
    return expr


def _tell(wrong: Sequence[Mistake]) -> None:
    """Raise the first mistake: of parts that contain each other, the outermost."""
    if wrong:
        raise LogQLValidationError(min(wrong).text)


@lru_cache(maxsize=CACHED_QUERIES)
def _parsed(text: str) -> tuple[Expr, tuple[Mistake, ...]]:
    """The tree of a grammatical text, and what is wrong with its parts."""
    reading = _Reading()
    builder = Builder(reading.words)
    try:
        tree = _MACHINE.run(words(text), reading.see, builder.refuse_node)
    except UnexpectedWordError as error:
        raise reading.badly_written or syntax_error(error) from None
    except LogQLSyntaxError as error:
        raise reading.badly_written or error from None
    if reading.badly_written is not None:
        raise reading.badly_written
    try:
        expr = builder.expr(tree)
    except RecursionError:
        raise LogQLValidationError(TOO_DEEP) from None
    _check_height(expr)
    return expr, tuple(builder.wrong)


class _Reading:
    """What has been read of a query: its words, and the first number that is badly written."""

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.badly_written: LogQLSyntaxError | None = None
        self._depth = 0

    def see(self, word: Word) -> None:
        """Take the next word; refuses parentheses that are nested too deeply."""
        self.words.append(word)
        if isinstance(word.value, Number) and word.value.wrong_form and not self.badly_written:
            message = word.value.wrong_form
            self.badly_written = LogQLSyntaxError(word.line, word.column, message)
        if word.type == "OPEN_PARENTHESIS":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise LogQLValidationError(TOO_DEEP)
        elif word.type == "CLOSE_PARENTHESIS":
            self._depth -= 1


def _check_height(expr: Expr) -> None:
    """Refuse trees that are higher than every later walk over them may be deep."""
    waiting: list[tuple[object, int]] = [(expr, 1)]
    while waiting:
        node, height = waiting.pop()
        if height > MAX_DEPTH:
            raise LogQLValidationError(TOO_DEEP)
        match node:
            case BinaryOperation() | AndFilter() | OrFilter():
                waiting += [(node.left, height + 1), (node.right, height + 1)]
            case VectorAggregation() | LabelReplace():
                waiting.append((node.expr, height + 1))
            case RangeAggregation():
                waiting.append((node.log_range.query, height + 1))
            case LogQuery():
                filters = (s.filter for s in node.stages if isinstance(s, LabelFilterStage))
                waiting += [(found, height + 1) for found in filters]


def parse_selector(text: str, *, allow_empty_matchers: bool = False) -> Selector:
    """A selector alone, as metadata endpoints take it (reference/http-api.md §0.4)."""
    expr = parse_unchecked(text)
    if not isinstance(expr, LogQuery) or expr.stages:
        raise LogQLError("only label matchers are supported")
    if not allow_empty_matchers:
        check_selector(expr.selector)
    return expr.selector
