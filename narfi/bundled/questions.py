"""Which questions does a pack bring? `queries.yaml`: title, question, LogQL, and how it is shown.

`$selector` stands for the pack's selector; `$__range` and `$__auto` for a range, as in Grafana.
"""

from typing import Literal

from pydantic import TypeAdapter, ValidationError

from promtail_agent.config_base import Section
from promtail_agent.errors import ConfigError
from promtail_agent.packs.pack import Pack
from promtail_agent.yaml_lines import load_lined_yaml
from promtail_agent.yaml_mistakes import mistake_texts

SELECTOR = "$selector"
RANGES = ("$__range", "$__auto", "$__interval", "$range")


class SavedQuery(Section):
    """One question."""

    title: str
    question: str
    query: str
    kind: Literal["logs", "series", "table"]
    unit: str = ""
    """Grafana's name of the unit of its values."""

    def text(self, selector: str) -> str:
        """The query with a selector in it."""
        return self.query.replace(SELECTOR, selector)


_MANY = TypeAdapter(tuple[SavedQuery, ...])


def read_queries(pack: Pack) -> tuple[SavedQuery, ...]:
    """Those of the pack, after those of the one that it extends; raises `ConfigError`."""
    before = () if pack.base is None else read_queries(pack.base)
    file = pack.folder / "queries.yaml"
    if not file.exists():
        return before
    document = load_lined_yaml(file, expand_env=False)
    try:
        return (*before, *_MANY.validate_python(document.value or []))
    except ValidationError as error:
        raise ConfigError("\n".join(mistake_texts(document, (), error))) from error


def with_range(query: str, span: str) -> str:
    """The query over a range."""
    for name in RANGES:
        query = query.replace(name, span)
    return query
