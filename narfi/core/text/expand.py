"""What does a replacement mean? Go's `Regexp.Expand`: `$name`, `${name}`, `$1`, `$$`.

A name is as long as letters, digits and `_` go, so `$1x` is the group called `1x`.
"""

from typing import Any


def expand(template: str, match: Any, text: str | None = None) -> str:
    """The replacement for a match; unknown groups are empty.

    Groups are cut from `text` when it is given: the text as it was before it was made matchable.
    """
    out: list[str] = []
    at = 0
    while at < len(template):
        dollar = template.find("$", at)
        if dollar < 0:
            out.append(template[at:])
            break
        out.append(template[at:dollar])
        name, after = _reference(template, dollar + 1)
        if template.startswith("$$", dollar):
            out.append("$")
            after = dollar + 2
        elif name is None:
            out.append("$")
            after = dollar + 1
        else:
            out.append(_group(match, name, text))
        at = after
    return "".join(out)


def _reference(template: str, at: int) -> tuple[str | None, int]:
    """The group name behind a dollar, and where the text goes on."""
    braced = template.startswith("{", at)
    begin = at + 1 if braced else at
    end = begin
    while end < len(template) and _in_name(template[end]):
        end += 1
    if end == begin or (braced and not template.startswith("}", end)):
        return None, at
    return template[begin:end], end + 1 if braced else end


def _in_name(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()


def _group(match: Any, name: str, text: str | None) -> str:
    number = _number(match, name)
    if number is None:
        return ""
    if text is None:
        return match.group(number) or ""
    first, last = match.span(number)
    return text[first:last] if first >= 0 else ""


def _number(match: Any, name: str) -> int | None:
    """A group's number by what it is called; numbers have no leading zeros."""
    if name.isascii() and name.isdigit() and (name == "0" or name[0] != "0") and len(name) < 9:
        return int(name) if int(name) <= match.re.groups else None
    found: int | None = match.re.groupindex.get(name)
    return found
