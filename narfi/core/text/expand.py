"""What does a replacement mean? Go's `Regexp.Expand`: `$name`, `${name}`, `$1`, `$$`."""


def expand(template: str, match: object) -> str:
    """The replacement for a match; unknown groups are empty."""
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
            out.append(_group(match, name))
        at = after
    return "".join(out)


def _reference(template: str, at: int) -> tuple[str | None, int]:
    """The group name behind a dollar, and where the text goes on."""
    braced = template.startswith("{", at)
    begin = at + 1 if braced else at
    end = begin
    while end < len(template) and (template[end].isalnum() or template[end] == "_"):
        end += 1
    if end == begin or (braced and not template.startswith("}", end)):
        return None, at
    return template[begin:end], end + 1 if braced else end


def _group(match: object, name: str) -> str:
    try:
        found = match.group(int(name) if name.isdecimal() else name)  # type: ignore[attr-defined]
    except (IndexError, KeyError):
        return ""
    return found or ""
