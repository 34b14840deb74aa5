"""How is a template of a stage written for a Collector? One that chooses between words or values.

`{{ if eq .a "x" }}one{{ else if or (eq .Value "y") .b }}{{ .c }}{{ else }}rest{{ end }}` becomes
conditions and values over attributes, in order; `.Value` is the attribute that the stage sets.
Whatever else a template does has no form here.
"""

import json
from collections.abc import Iterator, Sequence

Choice = tuple[str, str]
"""A condition, and a value as an operator `add` takes it."""
_FUNCTIONS = {"ToLower": "lower", "ToUpper": "upper"}


class _NoForm(Exception):
    """A template that cannot be written so."""


def choices_of(template: str, source: str) -> list[Choice] | None:
    """The branches of a template; None where it has no form."""
    try:
        return list(_branches(_pieces(template), source))
    except _NoForm:
        return None


def _pieces(template: str) -> list[tuple[str, str]]:
    """Texts and actions, in turn: `("", text)` and `("{{", action)`."""
    head, *parts = template.split("{{")
    found = [("", head)]
    for part in parts:
        action, closing, text = part.partition("}}")
        if not closing:
            raise _NoForm
        found += [("{{", action.strip()), ("", text)]
    return [(kind, text) for kind, text in found if text]


def _branches(pieces: Sequence[tuple[str, str]], source: str) -> Iterator[Choice]:
    condition, content = "", list[tuple[str, str]]()
    if [("{{", action) for kind, action in pieces if kind][-1:] != [("{{", "end")]:
        yield "true", _value(pieces, source)
        return
    for place, (kind, text) in enumerate(pieces):
        bare = text.removeprefix("else").strip() if kind else ""
        if kind and text == "end":
            if place != len(pieces) - 1:
                raise _NoForm
            yield condition, _value(content, source)
        elif kind and text.startswith(("else", "if ")):
            if text.startswith("if ") != (place == 0):
                raise _NoForm
            if place:
                yield condition, _value(content, source)
            condition = _condition(bare.removeprefix("if ").strip(), source) if bare else "true"
            content = []
        elif not place:
            raise _NoForm
        else:
            content.append((kind, text))


def _value(content: Sequence[tuple[str, str]], source: str) -> str:
    """A word, or one value of an entry."""
    match content:
        case []:
            return ""
        case [("", text)]:
            return text
        case [("{{", action)]:
            words = action.split()
            if len(words) == 1 and action.startswith("."):
                return f"EXPR({_attribute(action, source)})"
            if len(words) == 2 and words[0] in _FUNCTIONS and words[1].startswith("."):
                return f"EXPR({_FUNCTIONS[words[0]]}({_attribute(words[1], source)}))"
    raise _NoForm


def _attribute(name: str, source: str) -> str:
    field = source if name == ".Value" else name[1:]
    return f"attributes[{json.dumps(field)}]"


def _condition(text: str, source: str) -> str:
    tokens = _tokens(text)
    found, at = _call(tokens, 0, source)
    if at != len(tokens):
        raise _NoForm
    return found


def _tokens(text: str) -> list[str]:
    """Words, texts with their quotes, brackets."""
    found: list[str] = []
    for number, part in enumerate(text.split('"')):
        if number % 2:
            found.append(f'"{part}"')
        else:
            found += part.replace("(", " ( ").replace(")", " ) ").split()
    return found


def _call(tokens: Sequence[str], at: int, source: str) -> tuple[str, int]:
    """The condition that begins at a place, and where it ends: at a bracket or the end."""
    if at >= len(tokens):
        raise _NoForm
    name, at = tokens[at], at + 1
    if name.startswith("."):
        return _there(name, source), at
    arguments: list[str] = []
    while at < len(tokens) and tokens[at] != ")":
        if tokens[at] == "(":
            inner, at = _call(tokens, at + 1, source)
            if at >= len(tokens):
                raise _NoForm
            arguments.append(inner)
        elif tokens[at].startswith(".") and name in ("and", "or", "not"):
            arguments.append(_there(tokens[at], source))
        elif tokens[at].startswith("."):
            arguments.append(_attribute(tokens[at], source))
        elif tokens[at].startswith('"'):
            arguments.append(tokens[at])
        else:
            raise _NoForm
        at += 1
    return _joined(name, arguments), at


def _joined(name: str, arguments: Sequence[str]) -> str:
    match name, arguments:
        case "eq", [first, *others] if others:
            return "(" + " or ".join(f"{first} == {other}" for other in others) + ")"
        case "ne", [first, other]:
            return f"({first} != {other})"
        case "hasPrefix", [prefix, at]:
            return f"({at} != nil and {at} startsWith {prefix})"
        case "not", [only]:
            return f"(not {only})"
        case (("and" | "or"), [_, *_]):
            return "(" + f" {name} ".join(arguments) + ")"
    raise _NoForm


def _there(name: str, source: str) -> str:
    at = _attribute(name, source)
    return f'({at} != nil and {at} != "")'
