"""How does a key of a line become a label name? Sanitised (reference/logql.md §4.3)."""

EXTRACTED_SUFFIX = "_extracted"


def sanitise(key: str, *, leading: bool = True) -> str:
    """`[A-Za-z0-9_]` only, one underscore per other character; `_` before a leading digit."""
    key = key.strip(" \t\n\v\f\r\x85\xa0")
    if not key:
        return ""
    cleaned = "".join(c if c == "_" or (c.isascii() and c.isalnum()) else "_" for c in key)
    return f"_{cleaned}" if leading and cleaned[0].isdigit() else cleaned


def join_path(parts: list[str]) -> str:
    """The name of a nested member: parts joined by `_`, blank ones left out."""
    name = ""
    for part in parts:
        cleaned = sanitise(part, leading=not name)
        if cleaned:
            name = f"{name}_{cleaned}" if name else cleaned
    return name
