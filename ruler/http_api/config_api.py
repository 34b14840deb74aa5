"""How are rule groups changed over HTTP? `/loki/api/v1/rules…` and `/api/prom/rules…`.

Names are unescaped twice, by the router and here, as recorded: `a%252Fb` is the namespace `a/b`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from narfi.core.audit import audit_request
from narfi.core.auth import NoTenantError, Tenancy
from narfi.core.errors import AppError, ErrorKind
from narfi.core.grant import ForbiddenError, grant_of
from narfi.core.labels import quote
from narfi.core.tenant import TenantId
from querier.http_api.form import is_form, parse_form_leniently
from ruler.group import Group
from ruler.groups import RuleGroups
from ruler.http_api.answers import envelope, failure, text, yaml_answer
from ruler.http_api.turns import in_turn
from ruler.ruler import Ruler
from ruler.write_groups import group_yaml, namespaces_yaml
from storage.catalog.rules import OriginError

PREFIXES = ("/loki/api/v1/rules", "/api/prom/rules")
_KINDS = ("namespace", "groupname")
_HEX = frozenset("0123456789abcdefABCDEF")
_UNSUPPORTED = {
    ("POST", 1): "SetRuleGroup",
    ("DELETE", 1): "DeleteNamespace",
    ("DELETE", 2): "DeleteRuleGroup",
}


class _NameError(AppError):
    """A namespace or group that cannot be named so."""


class _AnyText(Convertor[str]):
    """Any rest of a path, line breaks too, which `path` leaves out."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """As it stands."""
        return value

    def to_string(self, value: str) -> str:
        """As it stands."""
        return value


register_url_convertor("any", _AnyText())


def config_router(ruler: Ruler, tenancy: Tenancy) -> APIRouter:
    """The endpoints under both prefixes."""
    router = APIRouter()

    async def answer(request: Request, rest: str = "") -> Response:
        if not _is_well_escaped(request.scope.get("raw_path", b"").decode("latin-1")):
            return text("400 Bad Request", 400)
        names = rest.split("/")[1:]
        if any(not name for name in names) or len(names) > 2:
            return text("404 page not found", 404)
        if request.method not in _methods(len(names)):
            return Response(status_code=405)
        try:
            grant = grant_of(request.scope)
            grant.check_sees_all("a rule")
            tenants = tenancy.tenants(request.headers, grant)
        except (NoTenantError, ForbiddenError):
            raise
        except AppError:
            tenants = ()
        if len(tenants) != 1:
            return failure("server_error", "no org id", 500)
        body = await request.body()
        if is_form(request.headers.get("content-type", "")):
            body = b""
        work = partial(_answer, ruler.groups, tenants[0], request, names, body)
        return await in_turn(ruler, tenants[0], work)

    for prefix in PREFIXES:
        router.add_api_route(prefix, answer, methods=["GET", "POST", "PUT", "DELETE"])
        router.add_api_route(
            prefix + "{rest:any}", answer, methods=["GET", "POST", "PUT", "DELETE"]
        )
    return router


def _methods(names: int) -> tuple[str, ...]:
    return (("GET",), ("GET", "POST", "DELETE"), ("GET", "DELETE"))[names]


def _answer(
    groups: RuleGroups, tenant: TenantId, request: Request, names: Sequence[str], body: bytes
) -> Response:
    try:
        found = [_name(name, what) for name, what in zip(names, _KINDS, strict=False)]
        return _done(groups, tenant, request, found, body)
    except _NameError as error:
        return failure("server_error", error.message, 500)
    except OriginError as error:
        action = _UNSUPPORTED[request.method, len(names)]
        message = f"{action} unsupported in rule local store: {error.message}"
        if request.method == "POST":
            return text(message, 500)
        return failure("server_error", message, 500)
    except AppError as error:
        match error.kind:
            case ErrorKind.INVALID:
                return text(error.message, 400)
            case ErrorKind.NOT_FOUND:
                return text(error.message, 404)
        raise


def _done(
    groups: RuleGroups, tenant: TenantId, request: Request, names: Sequence[str], body: bytes
) -> Response:
    if request.method == "GET":
        if len(names) == 2:
            return yaml_answer(group_yaml(groups.group(tenant, *names)))
        found = groups.namespaces(tenant, *names)
        wanted = _wanted_labels(request)
        return yaml_answer(namespaces_yaml(_filtered(found, wanted) if wanted else found))
    about = dict(zip(_KINDS, names, strict=False))
    if request.method == "POST":
        groups.put(tenant, names[0], body, grant_of(request.scope).check_tenants)
        audit_request(request.scope, "rule group written", **about, bytes=len(body))
    elif len(names) == 1:
        groups.remove_namespace(tenant, names[0])
        audit_request(request.scope, "rule groups removed", **about)
    else:
        groups.remove(tenant, names[0], names[1])
        audit_request(request.scope, "rule group removed", **about)
    return envelope(None, 202)


def _wanted_labels(request: Request) -> dict[str, str]:
    """`?labels=k:v,k2:v2`"""
    pairs = parse_form_leniently(request.scope["query_string"])
    found = dict(pairs).get("labels", "")
    return {
        name.strip(): value.strip()
        for name, colon, value in (part.partition(":") for part in found.split(","))
        if colon
    }


def _filtered(
    namespaces: Mapping[str, Sequence[Group]], wanted: Mapping[str, str]
) -> dict[str, list[Group]]:
    """Rules that carry one of the labels; groups and namespaces without any are left out."""
    found: dict[str, list[Group]] = {}
    for namespace, groups in namespaces.items():
        for group in groups:
            rules = tuple(
                rule
                for rule in group.rules
                if any(rule.labels.get(name) == value for name, value in wanted.items())
            )
            if rules:
                found.setdefault(namespace, []).append(replace(group, rules=rules))
    return found


def _bad_escape(escaped: str) -> str | None:
    """The first `%` that two hexadecimal digits do not follow, with what follows."""
    at = escaped.find("%")
    while at >= 0:
        digits = escaped[at + 1 : at + 3]
        if len(digits) < 2 or not _HEX.issuperset(digits):
            return escaped[at : at + 3]
        at = escaped.find("%", at + 1)
    return None


def _is_well_escaped(raw_path: str) -> bool:
    return _bad_escape(raw_path) is None


def _name(escaped: str, what: str) -> str:
    """A name of the path, which the router has unescaped once."""
    bad = _bad_escape(escaped)
    if bad is not None:
        raise _NameError(f"invalid URL escape {quote(bad)}")
    name = unquote_to_bytes(escaped).decode("utf-8", "replace")
    if ".." in name.split("/"):
        raise _NameError(f"invalid {what}: path traversal not allowed")
    return name
