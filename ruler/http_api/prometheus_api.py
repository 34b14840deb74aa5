"""What do rules and alerts say now? `/prometheus/api/v1/rules` and `/alerts`, as Grafana reads.

Every filter that Grafana sends is honoured, in both spellings; others are ignored.
"""

import base64
from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request, Response

from logql.parser import parse_selector
from narfi.core.auth import NoTenantError, Tenancy
from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.grant import ForbiddenError, grant_of
from narfi.core.labels import quote
from narfi.core.tenant import TenantId
from querier.http_api.form import parse_form_leniently
from querier.http_api.params import Parameters
from ruler.alerts import Alert
from ruler.http_api.answers import envelope, exponent_text, failure, number, time_text
from ruler.http_api.turns import in_turn
from ruler.live_group import LiveGroup
from ruler.live_rule import LiveRule
from ruler.ruler import Ruler

RULES_PATH = "/prometheus/api/v1/rules"
ALERTS_PATH = "/prometheus/api/v1/alerts"

_TRUE = ("1", "t", "T", "true", "TRUE", "True")


def prometheus_router(ruler: Ruler, tenancy: Tenancy) -> APIRouter:
    """The endpoints."""
    router = APIRouter()

    @router.get(RULES_PATH)
    async def rules(request: Request) -> Response:
        try:
            tenant = _tenant(request, tenancy)
            parameters = Parameters(parse_form_leniently(request.scope["query_string"]))
            return await in_turn(ruler, tenant, partial(_rules, ruler, tenant, parameters))
        except InvalidRequestError as error:
            return failure("bad_data", error.message, 400)

    @router.get(ALERTS_PATH)
    async def alerts(request: Request) -> Response:
        try:
            tenant = _tenant(request, tenancy)
        except InvalidRequestError as error:
            return failure("bad_data", error.message, 400)
        return await in_turn(ruler, tenant, partial(_alerts, ruler, tenant))

    return router


def _rules(ruler: Ruler, tenant: TenantId, parameters: Parameters) -> Response:
    data = _found(ruler.live(tenant), parameters)
    return envelope(data, warnings=[problem.text() for problem in ruler.problems(tenant)])


def _alerts(ruler: Ruler, tenant: TenantId) -> Response:
    groups = ruler.live(tenant)
    rules = [rule for group in groups for rule in group.rules]
    return envelope({"alerts": [_alert(alert) for rule in rules for alert in rule.view.alerts]})


def _tenant(request: Request, tenancy: Tenancy) -> TenantId:
    try:
        grant = grant_of(request.scope)
        grant.check_sees_all("a rule")
        tenants = tenancy.tenants(request.headers, grant)
    except (NoTenantError, ForbiddenError):
        raise
    except AppError:
        tenants = ()
    if len(tenants) != 1:
        raise InvalidRequestError("too many org ids found")
    return tenants[0]


def _found(groups: Sequence[LiveGroup], parameters: Parameters) -> dict[str, object]:
    kind = parameters.get("type")
    if kind.lower() not in ("", "alert", "record"):
        raise InvalidRequestError(f"not supported value {quote(kind)}")
    files = set(parameters.all("file", "file[]"))
    names = set(parameters.all("rule_group", "rule_group[]"))
    rule_names = set(parameters.all("rule_name", "rule_name[]"))
    states = {text.lower() for text in parameters.all("state", "state[]")} - {""}
    selectors = [parse_selector(text).matchers for text in parameters.all("match[]", "match")]

    def is_wanted(rule: LiveRule) -> bool:
        if kind and (kind.lower() == "alert") != bool(rule.rule.alert):
            return False
        if rule_names and rule.rule.name not in rule_names:
            return False
        if states and not (rule.rule.alert and rule.view.state in states):
            return False
        return not selectors or any(
            all(matcher.matches(rule.labels.get(matcher.name, "")) for matcher in matchers)
            for matchers in selectors
        )

    found: list[tuple[LiveGroup, list[LiveRule]]] = []
    for group in groups:
        if files and group.key.namespace not in files:
            continue
        if names and group.key.name not in names:
            continue
        rules = [rule for rule in group.rules if is_wanted(rule)]
        if rules:
            found.append((group, rules))
    page, token = _page(found, parameters)
    with_alerts = parameters.get("exclude_alerts") not in _TRUE
    data: dict[str, object] = {
        "groups": [_group(group, rules, with_alerts=with_alerts) for group, rules in page]
    }
    return data | {"groupNextToken": token} if token else data


def _page(
    found: list[tuple[LiveGroup, list[LiveRule]]], parameters: Parameters
) -> tuple[list[tuple[LiveGroup, list[LiveRule]]], str]:
    """Groups of one page, and the token of the next one; a group that is gone disturbs nothing."""
    limit, token = parameters.get("group_limit"), parameters.get("group_next_token")
    if not limit:
        if token:
            raise InvalidRequestError("group_limit needs to be set when using group_next_token")
        return found, ""
    if not (limit.isascii() and limit.isdigit()) or int(limit[:9]) < 1:
        raise InvalidRequestError(f"invalid group_limit {quote(limit)}: must be above 0")
    if token:
        behind = _behind(token)
        found = [one for one in found if (one[0].key.namespace, one[0].key.name) > behind]
    page = found[: int(limit[:9])]
    if len(page) == len(found):
        return page, ""
    last = page[-1][0].key
    text = f"{last.namespace}\0{last.name}".encode()
    return page, base64.urlsafe_b64encode(text).decode()


def _behind(token: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
        namespace, name = text.split("\0")
    except ValueError:
        raise InvalidRequestError(f"invalid group_next_token {quote(token)}") from None
    return namespace, name


def _group(group: LiveGroup, rules: list[LiveRule], *, with_alerts: bool) -> dict[str, object]:
    return {
        "name": group.key.name,
        "file": group.key.namespace,
        "rules": [_rule(rule, with_alerts=with_alerts) for rule in rules],
        "interval": number(group.interval_ns / 1e9),
        "limit": group.group.limit,
        "lastEvaluation": time_text(group.last_evaluation_ns),
        "evaluationTime": group.evaluation_s,
    }


def _rule(rule: LiveRule, *, with_alerts: bool) -> dict[str, object]:
    view, written = rule.view, rule.rule
    tail = {
        "health": view.health,
        "lastError": view.last_error,
        "type": "alerting" if written.alert else "recording",
        "lastEvaluation": time_text(view.last_evaluation_ns),
        "evaluationTime": view.evaluation_s,
    }
    if written.record:
        return {"name": written.name, "query": rule.query, "labels": rule.labels, **tail}
    kept = written.keep_firing_for_ns
    return {
        "state": view.state,
        "name": written.name,
        "query": rule.query,
        "duration": number(written.for_ns / 1e9),
        **({"keepFiringFor": number(kept / 1e9)} if kept else {}),
        "labels": rule.labels,
        "annotations": dict(written.annotations),
        "alerts": [_alert(alert) for alert in view.alerts] if with_alerts else [],
        **tail,
    }


def _alert(alert: Alert) -> dict[str, object]:
    kept = alert.kept_since_ns
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": alert.state,
        "activeAt": time_text(alert.active_ns),
        **({"keepFiringSince": time_text(kept)} if kept else {}),
        "value": exponent_text(alert.value),
    }
