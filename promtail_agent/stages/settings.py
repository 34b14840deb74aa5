"""Which settings do several stages have? A regular expression, and a source that is not empty."""

from typing import Annotated

from pydantic import AfterValidator

from narfi.core.errors import AppError
from narfi.core.regex import compile_regex


def check_expression(value: str) -> str:
    """The expression; raises `ValueError` with Promtail's text."""
    if not value:
        raise ValueError("expression is required")
    try:
        compile_regex(value)
    except AppError as error:
        raise ValueError(f"could not compile regular expression: {error.message}") from error
    return value


def _not_empty(value: str | None) -> str | None:
    if value == "":
        raise ValueError("empty source")
    return value


Expression = Annotated[str, AfterValidator(check_expression)]
"""An RE2 expression."""

Source = Annotated[str | None, AfterValidator(_not_empty)]
"""An extracted value's name; None for the line."""
