"""Which alerts are to be told now, and how does a receiver read them?

A firing alert is told when it begins and again when `resend_delay` is over; one that has ended at
once, and repeated until it is forgotten. Pending ones never.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from narfi.core.relabel import RelabelRule, relabel
from ruler.alerts import Alert, Key, State

VALID_FOR = 4
"""Intervals, or delays of a repetition, after which a firing alert that is not told again is over
for its receiver."""
_GO_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One alert as it is told."""

    labels: Key
    annotations: Mapping[str, str]
    starts_ns: int
    ends_ns: int
    url: str
    is_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How alerts are told."""

    resend_delay_ns: int
    external_url: str = ""
    datasource_uid: str = ""
    external_labels: Mapping[str, str] = field(default_factory=dict)
    relabel: Sequence[RelabelRule] = ()

    def labels_of(self, alert: Alert) -> Key | None:
        """What an alert is called to others; None: they are not told of it."""
        labels = {**self.external_labels, **dict(alert.labels)}
        found = relabel(labels, self.relabel) if self.relabel else labels
        if found is None:
            return None
        return tuple(sorted((name, value) for name, value in found.items() if value))

    def url_of(self, query: str) -> str:
        """A link that opens the query: in Narfi's page where `external_url` ends with `/ui`, else
        in Grafana's Explore."""
        place = self.external_url.rstrip("/")
        if place.endswith("/ui"):
            return f"{place}/#/metrics?q={quote_plus(query.encode('utf-8', 'replace'))}&from=now-6h"
        asked: dict[str, object] = {"expr": query, "queryType": "range"}
        if self.datasource_uid:
            asked["datasource"] = {"type": "loki", "uid": self.datasource_uid}
        text = json.dumps({"queries": [asked]}, separators=(",", ":"), ensure_ascii=False)
        left = quote_plus(text.translate(_GO_ESCAPES).encode("utf-8", "replace"))
        return f"{place}/explore?left={left}"


def always(query: str) -> Callable[[Key], str]:
    """What all alerts of one rule say that it asks."""
    return lambda _key: query


def due(
    alerts: Mapping[Key, Alert],
    sent: dict[Key, int],
    telling: Telling,
    query_of: Callable[[Key], str],
    now_ns: int,
    *,
    interval_ns: int,
) -> list[Notice]:
    """The notices of an evaluation; `sent`, when each alert was told, is brought up to date.

    `query_of` says what an alert's rule asks.
    """
    for key in sent.keys() - alerts.keys():
        del sent[key]
    urls: dict[str, str] = {}
    valid_ns = VALID_FOR * max(interval_ns, telling.resend_delay_ns)
    found = []
    for key, alert in alerts.items():
        if not _is_due(alert, sent.get(key, 0), telling.resend_delay_ns, now_ns):
            continue
        sent[key] = now_ns
        labels = telling.labels_of(alert)
        if labels is None:
            continue
        is_over = alert.state is State.INACTIVE
        query = query_of(key)
        if query not in urls:
            urls[query] = telling.url_of(query)
        found.append(
            Notice(
                labels=labels,
                annotations=alert.annotations,
                starts_ns=alert.fired_ns,
                ends_ns=alert.resolved_ns if is_over else now_ns + valid_ns,
                url=urls[query],
                is_over=is_over,
            )
        )
    return found


def _is_due(alert: Alert, sent_ns: int, delay_ns: int, now_ns: int) -> bool:
    if alert.state is State.PENDING:
        return False
    if max(alert.fired_ns, alert.resolved_ns) > sent_ns:
        return True
    return sent_ns + delay_ns < now_ns or sent_ns > now_ns  # the clock may have been put back
