"""What is expected where a query goes wrong? As a yacc parser with default reductions tells it.

Such a parser reduces by a state's usual rule before it looks at the token; so the alternatives are
those of the state in which no reduction is left, listed when there are at most four.
"""

from typing import Any

import lark

from logql.errors import LogQLSyntaxError
from logql.lexer import Word
from logql.tokens import expected_names, shown

MAX_LISTED = 4


def syntax_error(
    parser: lark.Lark, error: lark.exceptions.UnexpectedToken, words: list[Word]
) -> LogQLSyntaxError:
    """The error for the token at which the parser stopped."""
    token = error.token
    word = words[-1] if token.type == "$END" else words[token.start_pos]
    names = expected_names(_shiftable(error))
    text = f"syntax error: unexpected {shown(word.type, word.text)}"
    if names and len(names) <= MAX_LISTED:
        text += f", expecting {' or '.join(names)}"
    return LogQLSyntaxError(word.line, word.column, text)


_FLAT_LISTS = (
    "expr",
    "label_filter",
    "filter_side",
    "filter_comma",
    "filter_and",
    "filter_or",
)
"""Rules that our grammar writes as lists, so that their operators are reduced away here."""


def _shiftable(error: lark.exceptions.UnexpectedToken) -> set[str]:
    """Terminals that the final state can shift, after its default reductions."""
    state: Any = error.interactive_parser.parser_state
    states = state.parse_conf.parse_table.states
    stack = list(state.state_stack)
    top = state.value_stack[-1] if state.value_stack else None
    origin = str(top.data) if isinstance(top, lark.Tree) else ""
    while True:
        actions = states[stack[-1]]
        rules = [arg for action, arg in actions.values() if _is_reduce(action)]
        if not rules:
            break
        rule = max(set(rules), key=rules.count)
        size = len(rule.expansion)
        if size:
            del stack[-size:]
        target = states[stack[-1]].get(rule.origin.name)
        if target is None:
            break
        stack.append(target[1])
        origin = str(rule.origin.name)
    if origin in _FLAT_LISTS:
        return set()  # any operator may follow: more alternatives than are listed
    actions = states[stack[-1]]
    return {
        name
        for name, (action, _) in actions.items()
        if not _is_reduce(action) and name.isupper() and name != "$END"
    }


def _is_reduce(action: Any) -> bool:
    return bool(action.name == "Reduce")
