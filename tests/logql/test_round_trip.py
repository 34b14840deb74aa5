"""Does a printed query mean what the tree says? parse(format(e)) == e, pretty(e) too."""

from hypothesis import given

from logql import ast
from logql.format import format_expr
from logql.parser import parse_unchecked
from logql.pretty import pretty
from tests.reference.queries import QUERIES


@given(QUERIES)
def test_canonical_text_parses_to_the_same_tree(expr: ast.Expr) -> None:
    assert parse_unchecked(format_expr(expr)) == expr


@given(QUERIES)
def test_pretty_text_parses_to_the_same_tree(expr: ast.Expr) -> None:
    assert parse_unchecked(pretty(expr)) == expr


@given(QUERIES)
def test_printing_is_stable(expr: ast.Expr) -> None:
    text = format_expr(expr)
    assert format_expr(parse_unchecked(text)) == text
