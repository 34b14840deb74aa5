"""Which texts must a line hold for a regex to find anything? Clauses: of each, one text at least.

`timeout|refused` needs one of two texts, `id=(a|b)[0-9]+ done` one of `id=a`, `id=b` and ` done`.
Only what is certain: what a quantifier may leave out, a large class and an anchor ask for nothing.
Used to look at fewer lines; alone it answers only where it is `exact`.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

MIN_LITERAL = 2
"""Shorter texts are in nearly every line."""
MOST_TEXTS = 16
"""Of a clause: each is searched for."""
_ESCAPED_LITERALS = frozenset("\\.+*?()|[]{}^$/-\"'`~!@#%&=:;<>, _")
_COUNTS = frozenset("0123456789,")
_FLAGS = frozenset("imsU")
_FOLD_APART = frozenset("kKsS")
"""Letters that match others than ASCII when case does not count."""

Texts = frozenset[str]
Clause = tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """What every match holds, what few lines hold first; without any clause nothing is known.

    `folded`: the texts are in small letters, and stand in the lines in letters of any case.
    `exact`: a line that holds a text of the only clause matches.
    """

    clauses: tuple[Clause, ...] = ()
    folded: bool = False
    exact: bool = False


NOTHING = Required()


@lru_cache(maxsize=512)
def required(pattern: str) -> Required:
    """What every match of a pattern holds that RE2 understands."""
    reader = _Reader(pattern)
    try:
        found = reader.alternatives(folded=False)
    except _UnreadError:
        return NOTHING
    if reader.at < len(pattern):
        return NOTHING
    if found.texts is not None and "" in found.texts:
        return NOTHING
    hardest = sorted(found.all_clauses(), key=lambda clause: -min(map(len, clause)))
    clauses = tuple(tuple(_bytes(text) for text in sorted(clause)) for clause in hardest)
    alike = not reader.folds or _is_folded_whole(pattern)
    exact = found.texts is not None and len(clauses) == 1 and alike
    return Required(clauses=clauses, folded=reader.folds, exact=exact)


def _is_folded_whole(pattern: str) -> bool:
    """Whether case counts nowhere."""
    return pattern.startswith("(?i)") and "(?" not in pattern[4:].replace("(?:", "")


class _UnreadError(Exception):
    """The pattern has something that is not read here."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Of a piece: all texts that it matches, or None and clauses; `again`: one or more of them."""

    texts: Texts | None
    clauses: tuple[Texts, ...] = ()
    again: bool = False

    def all_clauses(self) -> tuple[Texts, ...]:
        """The clauses, or the texts if they ask for anything."""
        if not self.texts or min(map(len, self.texts)) < MIN_LITERAL:
            return self.clauses
        return (*self.clauses, self.texts)


_ANYTHING = _Found(None)
_EMPTY: Texts = frozenset([""])


class _Reader:
    """Reads a pattern from its beginning; `folds` when case does not count somewhere."""

    def __init__(self, pattern: str) -> None:
        self._pattern, self.at = pattern, 0
        # then all texts are in small letters: that asks for less, never for more
        heads = pattern.split("(?")[1:]
        self.folds = any("i" in head[: len(head) - len(head.lstrip("imsU-"))] for head in heads)

    def alternatives(self, *, folded: bool) -> _Found:
        """Sequences parted by bars, up to a closing parenthesis or the end."""
        found = []
        while True:
            sequence, folded = self._sequence(folded=folded)
            found.append(sequence)
            if self._next() != "|":
                return _any_of(found)
            self.at += 1

    def _next(self) -> str:
        return self._pattern[self.at : self.at + 1]

    def _sequence(self, *, folded: bool) -> tuple[_Found, bool]:
        """Pieces one behind the other, and whether case counts behind them."""
        pieces = []
        while self._next() not in ("", "|", ")"):
            if self._pattern.startswith("(?", self.at) and self._is_flags():
                folded = self._flags(folded=folded)
                self.at += 1
                continue
            pieces.append(self._quantified(self._atom(folded=folded)))
        return _one_behind_the_other(pieces), folded

    def _is_flags(self) -> bool:
        end = self._pattern.find(")", self.at)
        return end > 0 and set(self._pattern[self.at + 2 : end]) <= _FLAGS | {"-"}

    def _flags(self, *, folded: bool) -> bool:
        """Flags behind `(?`, up to what ends them."""
        self.at += 2
        off = False
        while self._next() in (_FLAGS | {"-"}) and self._next():
            char = self._next()
            self.at += 1
            off = off or char == "-"
            if char == "i":
                folded = not off
        return folded

    def _atom(self, *, folded: bool) -> _Found:
        char = self._next()
        self.at += 1
        if char == "(":
            return self._group(folded=folded)
        if char == "[":
            return self._class(folded=folded)
        if char == "\\":
            return self._escape(folded=folded)
        if char in "*+?{":
            raise _UnreadError
        if char in "^$":
            return _ANYTHING
        return _ANYTHING if char == "." else self._literal(char, folded=folded)

    def _literal(self, char: str, *, folded: bool) -> _Found:
        if folded and (char in _FOLD_APART or not char.isascii()):
            return _ANYTHING
        if self.folds:
            if not char.isascii():
                return _Found(frozenset([char]))
            char = char.lower()
        return _Found(frozenset([char]))

    def _group(self, *, folded: bool) -> _Found:
        if self._next() == "?":
            self.at -= 1
            for mark in ("(?P<", "(?<"):
                if self._pattern.startswith(mark, self.at):
                    self.at = self._pattern.index(">", self.at) + 1
                    break
            else:
                folded = self._flags(folded=folded)
                if self._next() != ":":
                    raise _UnreadError
                self.at += 1
        found = self.alternatives(folded=folded)
        if self._next() != ")":
            raise _UnreadError
        self.at += 1
        return found

    def _escape(self, *, folded: bool) -> _Found:
        char = self._next()
        self.at += 1
        if char and char in _ESCAPED_LITERALS:
            return self._literal(char, folded=folded)
        if char and char in "dDwWsSbBAz":
            return _ANYTHING
        raise _UnreadError  # \x, \p, \Q and the like

    def _class(self, *, folded: bool) -> _Found:
        """A class of a few characters is as many texts, any other is anything."""
        first, negated = self.at, self._next() == "^"
        self.at += negated
        plain = not negated
        while True:
            char = self._next()
            if not char:
                raise _UnreadError
            self.at += 1
            if char == "]" and self.at > first + 1 + negated:
                break
            if char == "[" and self._next() == ":":
                raise _UnreadError
            if char == "\\":
                self.at += 1
                plain = False
            plain = plain and char not in "-["
        inside = self._pattern[first : self.at - 1]
        if not plain or len(inside) > MOST_TEXTS:
            return _ANYTHING
        return _any_of([self._literal(char, folded=folded) for char in inside])

    def _quantified(self, piece: _Found) -> _Found:
        """The piece as often as the quantifiers behind it say."""
        while self._next() and self._next() in "*+?{":
            if self._next() == "{":
                close = self._pattern.find("}", self.at)
                if close < 0 or not set(self._pattern[self.at + 1 : close]) <= _COUNTS:
                    raise _UnreadError
                # counts are not read: the piece may be missing, and may come again
                self.at = close
                piece = _ANYTHING
            elif self._next() == "+":
                piece = replace(piece, again=True)
            else:
                piece = _ANYTHING
            self.at += 1
        return piece


def _one_behind_the_other(pieces: Iterable[_Found]) -> _Found:
    """Texts of neighbours are put together while they are few."""
    clauses: list[Texts] = []
    run, whole = _EMPTY, True
    for piece in pieces:
        joined = None if piece.texts is None else _product(run, piece.texts)
        if joined is not None:
            run = joined
        else:
            clauses += _Found(run).all_clauses() + piece.clauses
            run, whole = piece.texts or _EMPTY, False
        if piece.again:
            clauses += _Found(run).all_clauses()
            run, whole = _EMPTY, False
    if whole:
        return _Found(run)
    return _Found(None, (*clauses, *_Found(run).all_clauses()))


def _product(run: Texts, texts: Texts) -> Texts | None:
    if len(run) * len(texts) > MOST_TEXTS:
        return None
    return frozenset(map("".join, itertools.product(run, texts)))


def _any_of(choices: Sequence[_Found]) -> _Found:
    """One of them: all their texts, or of each the clause that asks for most."""
    if len(choices) == 1:
        return choices[0]
    if all(choice.texts is not None for choice in choices):
        texts = frozenset().union(*(choice.texts or () for choice in choices))
        return _Found(texts) if len(texts) <= MOST_TEXTS else _ANYTHING
    best: set[str] = set()
    for choice in choices:
        clauses = choice.all_clauses()
        if not clauses:
            return _ANYTHING
        best |= max(clauses, key=lambda clause: (min(map(len, clause)), -len(clause)))
    return _Found(None, (frozenset(best),)) if len(best) <= MOST_TEXTS else _ANYTHING


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
