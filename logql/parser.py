"""What does a query text say? Text to syntax tree, or the recorded server's error.

Invariant: `parse(format_expr(e)) == e` for every tree that `parse` gives.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import lark

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
from logql.build import Builder
from logql.errors import LogQLError, LogQLValidationError
from logql.lexer import Word, words
from logql.syntax_errors import syntax_error
from logql.validate import check_expr, check_pipelines, check_selector

CACHED_QUERIES = 256
MAX_DEPTH = 200
"""Nested parentheses, functions and operators; far beyond any real query, far below the stack."""
TOO_DEEP = f"query is nested too deeply (more than {MAX_DEPTH})"


class _Words(lark.lexer.Lexer):
    """Hands our tokens to the parser; a token's `start_pos` is the index of its word."""

    def __init__(self, _config: Any) -> None:
        pass

    def lex(self, data: Any) -> Iterator[lark.Token]:  # type: ignore[override]
        """The words as Lark tokens."""
        for index, word in enumerate(data):
            yield lark.Token(word.type, word.text, start_pos=index)


_GRAMMAR = (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8")
_PARSER = lark.Lark(_GRAMMAR, parser="lalr", lexer=_Words)


def parse(text: str) -> Expr:
    """The tree of a query that may be run; raises `LogQLError` with the recorded text."""
    expr = parse_unchecked(text)
    check_expr(expr)
    check_pipelines(expr)
    return expr


def parse_to_format(text: str) -> Expr:
    """As `parse`, but stages are not compiled: what `format_query` accepts."""
    expr = parse_unchecked(text)
    check_expr(expr)
    return expr


@lru_cache(maxsize=CACHED_QUERIES)
def parse_unchecked(text: str) -> Expr:
    """The tree of a text that is grammatical; selectors and stages are not checked."""
    found = list(words(text))
    tokens = [word for word in found if word.type != "$END"]
    _check_depth(tokens)
    try:
        tree = _PARSER.parse(tokens)
    except lark.exceptions.UnexpectedToken as error:
        raise syntax_error(_PARSER, error, found) from None
    try:
        expr = Builder(tokens).expr(tree)
    except RecursionError:
        raise LogQLValidationError(TOO_DEEP) from None
    _check_height(expr)
    return expr


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


def _check_depth(tokens: list[Word]) -> None:
    depth = 0
    for word in tokens:
        if word.type == "OPEN_PARENTHESIS":
            depth += 1
            if depth > MAX_DEPTH:
                raise LogQLValidationError(TOO_DEEP)
        elif word.type == "CLOSE_PARENTHESIS":
            depth -= 1


def parse_selector(text: str, *, allow_empty_matchers: bool = False) -> Selector:
    """A selector alone, as metadata endpoints take it (reference/http-api.md §0.4)."""
    expr = parse_unchecked(text)
    if not isinstance(expr, LogQuery) or expr.stages:
        raise LogQLError("only label matchers are supported")
    if not allow_empty_matchers:
        check_selector(expr.selector)
    return expr.selector
