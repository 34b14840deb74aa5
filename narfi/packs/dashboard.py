"""Which dashboard does a pack bring? One panel a saved query, for Grafana's Loki data source.

Two variables: the data source, and the selector that every panel begins with. It is made by
`dashboard_of` and kept beside the queries; whoever changes a pack's queries makes it anew
(`narfi packs render NAME --format grafana`).
"""

import json
from collections.abc import Sequence
from typing import Any

from narfi.bundled.questions import SavedQuery, read_queries
from promtail_agent.errors import ConfigError
from promtail_agent.packs.pack import Pack

_SCHEMA = 39
_WIDTH, _HEIGHT = 12, 8
_TYPES = {"logs": "logs", "series": "timeseries", "table": "table"}
_SOURCE = {"type": "loki", "uid": "${datasource}"}


def dashboard_of(pack: Pack) -> dict[str, Any]:
    """The dashboard of a pack's queries."""
    return {
        "title": pack.manifest.title,
        "uid": f"pack-{pack.name}",
        "tags": ["narfi-pack", pack.name],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "loki",
                },
                {
                    "name": "selector",
                    "label": "Selector",
                    "type": "textbox",
                    "query": pack.manifest.selector,
                    "current": {
                        "text": pack.manifest.selector,
                        "value": pack.manifest.selector,
                    },
                },
            ]
        },
        "panels": [_panel(query, place) for place, query in enumerate(read_queries(pack))],
    }


def dashboard_text(pack: Pack) -> str:
    """As it is kept in `dashboard.json`."""
    return json.dumps(dashboard_of(pack), indent=2, ensure_ascii=False) + "\n"


def _panel(query: SavedQuery, place: int) -> dict[str, Any]:
    row, column = divmod(place, 2)
    is_table = query.kind == "table"
    target = {
        "refId": "A",
        "datasource": _SOURCE,
        # the selector as it is written: a variable in a query is otherwise escaped
        "expr": query.query.replace("$selector", "${selector:raw}"),
        "queryType": "instant" if is_table else "range",
    }
    found: dict[str, Any] = {
        "id": place + 1,
        "type": _TYPES[query.kind],
        "title": query.title,
        "description": query.question,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "targets": [target],
    }
    if query.unit:
        found["fieldConfig"] = {"defaults": {"unit": query.unit}, "overrides": []}
    if is_table:
        found["transformations"] = [{"id": "labelsToFields", "options": {"mode": "columns"}}]
    return found


def dashboard_queries(pack: Pack) -> Sequence[tuple[str, str]]:
    """Title and query of each panel of `dashboard.json`, with the pack's selector in it."""
    file = pack.folder / "dashboard.json"
    if not file.exists():
        return ()
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return [
            (panel["title"], _with(target["expr"], pack.manifest.selector))
            for panel in document["panels"]
            for target in panel.get("targets", ())
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file}: not a dashboard: {error!r}") from error


def _with(query: str, selector: str) -> str:
    return query.replace("${selector:raw}", selector).replace("$selector", selector)
