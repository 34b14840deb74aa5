"""Which texts must a line hold for a regex to find anything? Literals outside of any choice.

Only what is certain: everything that a quantifier may leave out, a class, a group or an alternation
is passed over. Used to look at fewer lines, never to answer.
"""

_SIMPLE = frozenset(".^$")
_ESCAPED_LITERALS = frozenset("\\.+*?()|[]{}^$/-\"'`~!@#%&=:;<>, _")
_COUNTS = frozenset("0123456789,")
MIN_LITERAL = 2
"""Shorter texts are in nearly every line."""


def required_literals(pattern: str) -> tuple[bytes, ...]:
    """Texts that every match contains, in order; () when nothing is certain."""
    if "(?" in pattern.replace("(?:", "").replace("(?P<", ""):
        return ()  # flags change what a letter means
    if "\\Q" in pattern:
        return ()  # what follows is no syntax
    found: list[str] = []
    literal = ""
    at = 0
    while at < len(pattern):
        token, at = _token(pattern, at)
        if at < 0:
            return ()
        optional, repeated, at = _quantifier(pattern, at)
        if at < 0:
            return ()
        if token is not None and not optional:
            literal += token
        if token is None or optional or repeated:
            found.append(literal)
            literal = ""
    found.append(literal)
    return tuple(
        text.encode("utf-8", "surrogateescape") for text in found if len(text) >= MIN_LITERAL
    )


def _token(pattern: str, at: int) -> tuple[str | None, int]:
    """(the literal that stands at a place or None, the place behind it); -1: not read here."""
    char = pattern[at]
    if char in "([":
        return None, _behind(pattern, at)
    if char == "\\":
        escaped = pattern[at + 1 : at + 2]
        if escaped and escaped in _ESCAPED_LITERALS:
            return escaped, at + 2
        # \x, \p and the like: not read here
        return None, at + 2 if escaped and escaped in "dDwWsSbB" else -1
    if char in "|*+?{":
        return None, -1  # a choice, or a quantifier of nothing
    return (None if char in _SIMPLE else char), at + 1


def _quantifier(pattern: str, at: int) -> tuple[bool, bool, int]:
    """(may the token before be missing, may it repeat, place behind the quantifiers).

    The place is -1 where a brace is not a quantifier: what follows may be syntax again.
    """
    optional = repeated = False
    while at < len(pattern) and pattern[at] in "*+?{":
        if pattern[at] == "{":
            close = pattern.find("}", at)
            if close < 0 or not set(pattern[at + 1 : close]) <= _COUNTS:
                return True, True, -1
            # counts are not read: the piece may be missing, and may come again
            optional, repeated = True, True
            at = close + 1
            continue
        optional = optional or pattern[at] in "*?"
        repeated = True
        at += 1
    return optional, repeated, at


def _behind(pattern: str, at: int) -> int:
    """The place behind a class or group that begins at `at`; -1 when it does not end."""
    if pattern[at] == "[":
        close = pattern.find("]", at + (3 if pattern[at + 1 : at + 2] == "^" else 2))
        inside = pattern[at:close]
        if close < 0 or "\\" in inside or "[:" in inside:
            return _slow_class(pattern, at)
        return close + 1
    depth = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 2
            continue
        if char == "[":
            at = _behind(pattern, at)
            if at < 0:
                return -1
            continue
        depth += {"(": 1, ")": -1}.get(char, 0)
        at += 1
        if depth == 0:
            return at
    return -1


def _slow_class(pattern: str, at: int) -> int:
    """Behind a class with escapes; named classes are not read."""
    if "[:" in pattern[at + 1 :]:
        return -1
    at += 2 if pattern[at + 1 : at + 2] == "^" else 1
    first = True
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 1
        elif pattern[at] == "]" and not first:
            return at + 1
        first = False
        at += 1
    return -1
