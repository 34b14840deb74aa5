"""The rules for levels of lines, word after word. See narfi/core/kernels/levels.py."""

import re

BEFORE = b" \t\n[({\"'=|"
BEHIND = BEFORE + b"])}:,!"
WORDS = {
    "trace": b"trace",
    "debug": b"debug",
    "info": b"info",
    "warn": b"warn warning",
    "error": b"error err",
    "critical": b"critical",
    "fatal": b"fatal",
}


def word_level(line: bytes) -> str:
    """The level that the first word of a level names, where it stands alone; else "unknown"."""
    text = line.lower()
    for place in range(len(text)):
        if place > 0 and text[place - 1] not in BEFORE:
            continue
        for level, words in WORDS.items():
            for word in words.split():
                behind = text[place + len(word) : place + len(word) + 1]
                if text.startswith(word, place) and (not behind or behind in BEHIND):
                    return level
    return "unknown"


NAMES = {
    name: level
    for level, names in {
        "trace": "trace trc",
        "debug": "debug dbg",
        "info": "info inf information",
        "warn": "warn wrn warning",
        "error": "error err",
        "critical": "critical",
        "fatal": "fatal",
    }.items()
    for name in names.split()
}
"""What a value may say, in any case."""
_PAIR = re.compile(
    rb'[\x00-\x20]*(?P<key>[^\x00-\x20="]+)'
    rb'(?P<sign>=(?P<value>"(?:[^"\\]|\\.)*"|[^\x00-\x20="]*))?(?=[\x00-\x20]|\Z)',
    re.DOTALL,
)


def named(value: str) -> str:
    """The level of a whole value; else "unknown"."""
    return NAMES.get(value.lower(), "unknown")


def pairs_level(line: bytes, keys: list[str]) -> str:
    """What the pair with the most preferred key says, of those before the first that is none."""
    found: dict[str, str] = {}
    at = 0
    while pair := _PAIR.match(line, at):
        at = pair.end()
        if pair["sign"]:
            value = pair["value"].decode("latin-1")
            value = value[1:-1] if value.startswith('"') else value
            found.setdefault(pair["key"].decode("latin-1").lower(), value)
    said = [found[key.lower()] for key in keys if key.lower() in found]
    return named(said[0]) if said else "unknown"


Json = str | int | None | list["Json"] | dict[str, "Json"]


def json_level(value: dict[str, Json], keys: list[str], most_depth: int, depth: int = 1) -> str:
    """What the first listed member with a text says, in order, that deep; "" when there is none."""
    for key, member in value.items():
        if key in keys and isinstance(member, str):
            return named(member)
        if isinstance(member, dict) and (depth < most_depth or not most_depth):
            inside = json_level(member, keys, most_depth, depth + 1)
            if inside:
                return inside
    return ""
