"""Which selectors together mean every stream, each once? A stream has some label that others lack.

LogQL wants at least one matcher that says something, so "everything" is asked for label by label:
streams with the first label, those without it that have the second, and so on.
"""

from collections.abc import Mapping, Sequence

from narfi.core.labels import quote
from narfi.history.errors import SourceError
from narfi.history.loki.asking import Asker
from narfi.history.loki.listing import label_names, series

_FIRST = ("service_name", "job", "namespace", "app")
"""Labels that most streams have: asked for first, they leave nothing for the others."""
_MOST_PARTS = 200


def selector_of(labels: Mapping[str, str]) -> str:
    """A selector of streams that have all these labels; others may have more labels."""
    return "{" + ", ".join(f"{n}={quote(v)}" for n, v in sorted(labels.items())) + "}"


def exact_selector(labels: Mapping[str, str], names: Sequence[str]) -> str:
    """A selector of one stream alone; `names`: of all labels that streams beside it have."""
    without = {name: "" for name in names if name not in labels}
    return selector_of({**labels, **without})


def narrowed(selector: str, matchers: Sequence[str]) -> str:
    """A selector with more matchers."""
    inside = selector.strip()[1:-1].strip().rstrip(",")
    return "{" + ", ".join([*([inside] if inside else []), *matchers]) + "}"


def all_streams(asker: Asker, start_ns: int, end_ns: int) -> list[str]:
    """Selectors that no stream has two of and none has none of; empty where there is no stream."""
    names = label_names(asker, start_ns, end_ns)
    names = [n for n in _FIRST if n in names] + sorted(n for n in names if n not in _FIRST)
    found: list[str] = []
    before: list[str] = []
    for name in names:
        selector = narrowed("{}", [f'{name}=~".+"', *before])
        if not _is_name(name):
            raise SourceError(f"label {name!r} cannot be selected in LogQL: give --match")
        if series(asker, selector, start_ns, end_ns):
            found.append(selector)
        before.append(f'{name}=""')
        rest = f"{{{', '.join(before)}}}"
        if len(before) > _MOST_PARTS:
            raise SourceError(
                f"streams have more than {_MOST_PARTS} labels: give --match, not {rest}"
            )
    return found


def _is_name(text: str) -> bool:
    return text.isascii() and text.replace("_", "a").isalnum() and not text[0].isdigit()
