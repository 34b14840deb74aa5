"""What does `label_replace` do? Sets one label from another by a regex (reference/logql.md §12)."""

from logql.ast import LabelReplace
from narfi.core.regex import compile_regex
from querier.matrix import Matrix
from querier.result import LabelPairs


def label_replace(expr: LabelReplace, matrix: Matrix) -> Matrix:
    """The same cells; series whose source label matches get the replacement.

    Two series may end with the same labels; as in Loki that is not checked.
    """
    pattern = compile_regex(f"^(?:{expr.regex})$")
    return matrix.with_labels([_replaced(expr, pattern, pairs) for pairs in matrix.labels])


def _replaced(expr: LabelReplace, pattern: object, pairs: LabelPairs) -> LabelPairs:
    labels = dict(pairs)
    match = pattern.search(labels.get(expr.source, ""))  # type: ignore[attr-defined]
    if match is None:
        return pairs
    value = expand(expr.replacement, match)
    if value:
        labels[expr.destination] = value
    else:
        labels.pop(expr.destination, None)
    return tuple(sorted(labels.items()))


def expand(template: str, match: object) -> str:
    """Go's `Regexp.Expand`: `$name`, `${name}`, `$1`, `$$`; unknown groups are empty."""
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
