"""Which rule groups does a tenant have? Made, replaced, read and removed; kept in the catalog.

What cannot be used is refused before anything is changed, so that the last good version stays.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.limits import LimitsOf
from narfi.core.tenant import TenantId
from ruler.group import Group, StoredGroupError, group_of_json
from ruler.read_groups import read_group
from ruler.validate import check_group, name_error
from ruler.yaml_nodes import YamlError
from storage.catalog.rule_keys import GroupKey
from storage.catalog.rules import GroupRow, RuleStore

log = structlog.get_logger(__name__)


class NoGroupsError(AppError):
    """There is no such group, or none at all."""

    kind = ErrorKind.NOT_FOUND


NOTHING = "no rule groups found"
NO_GROUP = "group does not exist"
NO_NAMESPACE = "group namespace does not exist"
UNREADABLE = "unable to decoded rule group"


def _nobody() -> None:
    """Nobody wants to know."""


def _allow(_tenants: Iterable[TenantId]) -> None:
    """Nobody signs in."""


class RuleGroups:
    """The groups of all tenants; thread-safe, blocking."""

    def __init__(self, store: RuleStore, limits_of: LimitsOf, clock: Clock) -> None:
        self._store, self._limits_of, self._clock = store, limits_of, clock
        self.when_changed: Callable[[], None] = _nobody

    def put(
        self,
        tenant: TenantId,
        namespace: str,
        text: bytes,
        check_tenants: Callable[[Iterable[TenantId]], None] = _allow,
    ) -> None:
        """Make or replace a group; raises `InvalidRequestError`s with the recorded texts.

        `check_tenants` raises where whoever asks may not see what the group looks at.
        """
        try:
            group = read_group(text)
        except YamlError as error:
            raise InvalidRequestError(UNREADABLE) from error
        check_group(group)
        check_tenants(TenantId(source) for source in group.source_tenants)
        wrong = name_error(namespace, "namespace")
        if wrong is not None:
            raise InvalidRequestError(wrong)
        limits = self._limits_of(tenant)
        most, actual = limits.ruler_max_rules_per_rule_group, len(group.rules)
        if 0 < most < actual:
            raise InvalidRequestError(
                f"per-user rules per rule group limit (limit: {most} actual: {actual}) exceeded"
            )
        row = GroupRow(
            key=GroupKey(tenant, namespace, group.name),
            body=group.to_json(),
            changed_ns=self._clock.now_ns(),
        )
        self._store.put(row, limits.ruler_max_rule_groups_per_tenant)
        self.when_changed()

    def group(self, tenant: TenantId, namespace: str, name: str) -> Group:
        """One group; raises `NoGroupsError`."""
        row = self._store.group(GroupKey(tenant, namespace, name))
        if row is None:
            raise NoGroupsError(NO_GROUP)
        return group_of_json(row.body)

    def namespaces(
        self, tenant: TenantId, namespace: str | None = None
    ) -> Mapping[str, Sequence[Group]]:
        """The groups of a tenant, or of one namespace, by namespace; `NoGroupsError` of none."""
        found = by_namespace(self._store.groups(tenant, namespace))
        if not found:
            raise NoGroupsError(NOTHING)
        return found

    def tenants(self) -> Mapping[str, Mapping[str, Sequence[Group]]]:
        """The groups of all tenants, by tenant and namespace."""
        rows: dict[str, list[GroupRow]] = {}
        for row in self._store.groups():
            rows.setdefault(row.key.tenant, []).append(row)
        return {tenant: by_namespace(mine) for tenant, mine in rows.items()}

    def remove(self, tenant: TenantId, namespace: str, name: str) -> None:
        """Remove a group, if it is there."""
        self._store.remove(GroupKey(tenant, namespace, name))
        self.when_changed()

    def remove_namespace(self, tenant: TenantId, namespace: str) -> None:
        """Remove all groups of a namespace; raises `NoGroupsError` where there are none."""
        if not self._store.remove_namespace(tenant, namespace):
            raise NoGroupsError(NO_NAMESPACE)
        self.when_changed()


def by_namespace(rows: Sequence[GroupRow]) -> dict[str, list[Group]]:
    """Groups that can be read, by namespace, in the order of their encoded names, as recorded."""
    found: dict[str, list[Group]] = {}
    for row in sorted(rows, key=lambda row: (row.key.namespace, _encoded(row.key.name))):
        try:
            found.setdefault(row.key.namespace, []).append(group_of_json(row.body))
        except StoredGroupError as error:
            log.error("a rule group cannot be read", group=row.key.name, error=error.message)
    return found


def _encoded(name: str) -> bytes:
    return base64.urlsafe_b64encode(name.encode())
