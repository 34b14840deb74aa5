"""How does a Go program read its command line? Flags with one dash or two, values by kind.

A flag that is no boolean takes `=value` or the next word; a boolean is true alone and takes
`=value` only, never the next word. The first word that is no flag, or `--`, ends the flags.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from promtail_agent.durations import parse_duration_s, parse_size_bytes

_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_INTEGER = re.compile(r"[+-]?(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]*|[1-9][0-9_]*)")
HELP = frozenset(("h", "help"))


class FlagError(Exception):
    """What is wrong with a command line, in Go's words."""


class HelpAsked(Exception):
    """`-h` or `-help` was given."""


def _boolean(text: str) -> object:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError


def _integer(text: str) -> object:
    if _INTEGER.fullmatch(text) is None:
        raise ValueError
    digits = text.lstrip("+-")
    octal = len(digits) > 1 and digits[0] == "0" and digits[1] not in "xXbBoO"
    return int(text, 8 if octal else 0)


def _duration(text: str) -> object:
    parse_duration_s(text)
    return text


def _size(text: str) -> object:
    parse_size_bytes(text)
    return text


def _labels(text: str) -> object:
    found: dict[str, str] = {}
    for pair in text.split(",") if text else ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError
        found[name.strip()] = value.strip()
    return found


KINDS: Mapping[str, Callable[[str], object]] = {
    "bool": _boolean,
    "int": _integer,
    "float": float,
    "string": str,
    "duration": _duration,
    "size": _size,
    "labels": _labels,
}


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: its name without dashes, what its value is, and what it is for."""

    name: str
    kind: str
    help: str = ""


@dataclass(slots=True)
class Parsed:
    """Flags that were given, by name; and the words that are none."""

    values: dict[str, object] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)


def parse_flags(arguments: Sequence[str], flags: Mapping[str, Flag]) -> Parsed:
    """Read a command line; raises `FlagError`, or `HelpAsked`."""
    found, words = Parsed(), list(arguments)
    while words:
        word = words[0]
        if len(word) < 2 or word[0] != "-":
            break
        words.pop(0)
        if word == "--":
            break
        body = word.removeprefix("-").removeprefix("-")
        if not body or body[0] in "-=":
            raise FlagError(f"bad flag syntax: {word}")
        name, equals, text = body.partition("=")
        flag = flags.get(name)
        if flag is None:
            if name in HELP:
                raise HelpAsked
            raise FlagError(f"flag provided but not defined: -{name}")
        if not equals and flag.kind == "bool":
            text = "true"
        elif not equals:
            if not words:
                raise FlagError(f"flag needs an argument: -{name}")
            text = words.pop(0)
        found.values[name] = _value(flag, text)
    found.rest = words
    return found


def _value(flag: Flag, text: str) -> object:
    try:
        return KINDS[flag.kind](text)
    except ValueError as error:
        what = "boolean value" if flag.kind == "bool" else "value"
        name = f"-{flag.name}" if flag.kind == "bool" else f"flag -{flag.name}"
        raise FlagError(f'invalid {what} "{text}" for {name}: parse error') from error


def usage(program: str, flags: Mapping[str, Flag]) -> str:
    """All flags with what they are for."""
    rows = [f"Usage of {program}:"]
    for flag in sorted(flags.values(), key=lambda flag: flag.name):
        rows.append(f"  --{flag.name}" + ("" if flag.kind == "bool" else f" {flag.kind}"))
        rows.append(f"    \t{flag.help}")
    return "\n".join(rows)
