"""How is a grammar put to work so that mistakes are found where a yacc parser finds them?

The tables are Lark's (LALR); the loop is yacc's. A state whose only choice is one reduction takes
it without a look at the next token, any other state takes its most frequent reduction for every
token that it cannot shift. So tokens are read as late as possible: what stands behind a mistake is
never looked at, and a mistake is reported with the tokens that could have been shifted instead.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import lark

from logql.lexer import Word

END = "$END"


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What can be done: shift a token and go to a state, or reduce by a rule."""

    shifts: dict[str, int]
    reduces: dict[str, Any]
    default: Any
    gotos: dict[str, int]
    is_decided: bool
    """Whether the next token makes no difference."""


class UnexpectedWordError(Exception):
    """A token that cannot stand where it does; `expected` are the types that could."""

    def __init__(self, word: Word, expected: set[str]) -> None:
        super().__init__(word)
        self.word, self.expected = word, expected


class Machine:
    """A parser made of a grammar; immutable, shared by all queries."""

    def __init__(self, grammar: str) -> None:
        parser = lark.Lark(grammar, parser="lalr", lexer=_NoLexer)
        conf: Any = parser.parse_interactive("").parser_state.parse_conf
        self._callbacks: Any = conf.callbacks
        self._start: int = conf.start_state
        self._end: int = conf.end_state
        self._states = {n: _state(actions) for n, actions in conf.parse_table.states.items()}

    def run(
        self,
        words: Iterator[Word],
        seen: Callable[[Word], None],
        reduced: Callable[[Any], None],
    ) -> Any:
        """The tree of the words; its tokens' `start_pos` are the words' numbers.

        `seen` is told each word when it is shifted, `reduced` each node as soon as it is complete;
        what they raise ends the work.
        """
        states = [self._start]
        values: list[Any] = []
        count = 0
        word: Word | None = None
        while True:
            state = self._states[states[-1]]
            rule = state.default
            if not state.is_decided:
                if word is None:
                    word = next(words)
                if states[-1] == self._end and word.type == END:
                    return values[-1]
                if word.type in state.shifts:
                    seen(word)
                    states.append(state.shifts[word.type])
                    values.append(lark.Token(word.type, word.text, start_pos=count))
                    word, count = None, count + 1
                    continue
                rule = state.reduces.get(word.type, state.default)
                if rule is None:
                    raise UnexpectedWordError(word, set(state.shifts))
            size = len(rule.expansion)
            children = values[len(values) - size :]
            del states[len(states) - size :], values[len(values) - size :]
            value = self._callbacks[rule](children)
            reduced(value)
            states.append(self._states[states[-1]].gotos[rule.origin.name])
            values.append(value)


def _state(actions: dict[str, tuple[Any, Any]]) -> _State:
    shifts, reduces, gotos = {}, {}, {}
    for name, (action, argument) in actions.items():
        if action.name == "Reduce":
            reduces[name] = argument
        elif name.isupper():
            shifts[name] = argument
        else:
            gotos[name] = argument
    usual = Counter(reduces.values()).most_common(1)
    default = usual[0][0] if usual else None
    is_decided = not shifts and len(set(reduces.values())) == 1
    return _State(
        shifts=shifts, reduces=reduces, default=default, gotos=gotos, is_decided=is_decided
    )


class _NoLexer(lark.lexer.Lexer):
    """Lark wants a lexer; the words come from ours."""

    def __init__(self, _config: Any) -> None:
        pass

    def lex(self, _data: Any) -> Iterator[lark.Token]:  # type: ignore[override]
        """No tokens."""
        return iter(())
