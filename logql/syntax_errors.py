"""How is a token that cannot stand where it does told? With what could, when that is little."""

from logql.errors import LogQLSyntaxError
from logql.machine import UnexpectedWordError
from logql.tokens import expected_names, shown

MAX_LISTED = 4


def syntax_error(error: UnexpectedWordError) -> LogQLSyntaxError:
    """The error for the token at which the parser stopped."""
    word, names = error.word, expected_names(error.expected)
    text = f"syntax error: unexpected {shown(word.type, word.text)}"
    if names and len(names) <= MAX_LISTED:
        text += f", expecting {' or '.join(names)}"
    return LogQLSyntaxError(word.line, word.column, text)
