"""How does a key of a line become a label name? Sanitised (reference/logql.md §4.3).

Keys are texts decoded with `surrogateescape`, so that each byte that is not UTF-8 counts as one
character.
"""

from functools import lru_cache

EXTRACTED_SUFFIX = "_extracted"

SHORT = 64
"""Characters of a key that is remembered: lines have the same ones again and again."""
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's White_Space, which is what Go trims (Python's `strip` takes U+001C..U+001F too)."""


def sanitise(key: str, *, leading: bool = True) -> str:
    """`[A-Za-z0-9_]` only, one underscore per other character; `_` before a leading digit."""
    return (_remembered if len(key) <= SHORT else _sanitised)(key, leading)


def _sanitised(key: str, leading: bool) -> str:
    key = key.strip(WHITE_SPACE)
    if not key:
        return ""
    cleaned = "".join(c if c == "_" or (c.isascii() and c.isalnum()) else "_" for c in key)
    return f"_{cleaned}" if leading and "0" <= key[0] <= "9" else cleaned


_remembered = lru_cache(4096)(_sanitised)


def join_path(parts: list[str]) -> str:
    """The name of a nested member: parts joined by `_`, blank ones left out."""
    name = ""
    for part in parts:
        cleaned = sanitise(part, leading=not name)
        if cleaned:
            name = f"{name}_{cleaned}" if name else cleaned
    return name
