"""Which groups do the rule files hold? Loki's layout: `<directory>/<tenant>/<file>`.

The file's name is the namespace. With a single tenant, files need no folder. What is good goes to
the catalog, where it outlives a start at which the file is bad: a file that cannot be read keeps
the groups it had, a group that cannot be used keeps its last version, and so does a rule; where
there is none it is left out. Nothing else of the file, and no other file, is touched by it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from narfi.core.clock import Clock
from narfi.core.errors import AppError
from narfi.core.tenant import DEFAULT_TENANT, TenantId, check_tenant
from ruler.group import Group, Rule, StoredGroupError, group_of_json
from ruler.problems import Problem
from ruler.read_groups import read_file
from ruler.validate import NO_NAME, group_errors, name_error, rule_error
from ruler.yaml_nodes import MAX_BYTES, YamlError
from storage.catalog.rule_keys import GroupKey
from storage.catalog.rules import FILE, GroupRow, RuleStore

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FileState:
    """One file as it was read last."""

    digest: bytes
    groups: int
    problems: tuple[Problem, ...]


class RuleFiles:
    """Brings the groups of files into the catalog; used by one thread."""

    def __init__(
        self, directory: Path | None, store: RuleStore, clock: Clock, *, single_tenant: bool
    ) -> None:
        self._directory, self._store, self._clock = directory, store, clock
        self._single_tenant = single_tenant
        self.files: Mapping[tuple[str, str], FileState] = {}  # by tenant and name
        self.problems: tuple[Problem, ...] = ()
        self._has_changed = False

    def sync(self) -> bool:
        """Look at every file; whether groups have changed. Raises `CatalogError`."""
        self._has_changed = False
        problems: list[Problem] = []
        found: dict[tuple[TenantId, str], Path] = {}
        unread: set[TenantId] | None = set()  # tenants whose files are not known; None: all
        if self._directory is not None:
            unread = self._list(self._directory, found, problems)
        if unread is not None:
            self._remove_others(found, unread)
        files: dict[tuple[str, str], FileState] = {}
        for (tenant, name), path in found.items():
            state = self._sync_file(tenant, name, path)
            files[tenant, name] = state
            problems += state.problems
        for problem in set(problems) - set(self.problems):
            log.error("rules of a file are not in force", tenant=problem.tenant, why=problem.text())
        self.files, self.problems = files, tuple(problems)
        return self._has_changed

    def _list(
        self,
        directory: Path,
        found: dict[tuple[TenantId, str], Path],
        problems: list[Problem],
    ) -> set[TenantId] | None:
        unread: set[TenantId] = set()
        try:
            entries = sorted(path for path in directory.iterdir() if path.name[:1] != ".")
        except OSError as error:
            problems.append(Problem(namespace=str(directory), reason=_told(error), kept=True))
            return None
        for path in entries:
            if path.is_file():
                if self._single_tenant:
                    found[DEFAULT_TENANT, path.name] = path
                else:
                    reason = "is in no tenant's folder: its rules belong to nobody"
                    problems.append(Problem(namespace=path.name, reason=reason))
            elif path.is_dir():
                self._list_tenant(path, found, unread, problems)
        return unread

    def _list_tenant(
        self,
        folder: Path,
        found: dict[tuple[TenantId, str], Path],
        unread: set[TenantId],
        problems: list[Problem],
    ) -> None:
        try:
            tenant = check_tenant(folder.name)
        except AppError as error:
            problems.append(Problem(namespace=folder.name, reason=error.message))
            return
        if self._single_tenant and tenant != DEFAULT_TENANT:
            reason = f"tenancy is single: only the folder {DEFAULT_TENANT} is read, or none"
            problems.append(Problem(namespace=folder.name, reason=reason))
            return
        try:
            for path in sorted(folder.iterdir()):
                if path.name[:1] != "." and path.is_file():
                    found[tenant, path.name] = path
        except OSError as error:
            unread.add(tenant)
            problems.append(
                Problem(tenant=tenant, namespace=folder.name, reason=_told(error), kept=True)
            )

    def _remove_others(
        self, found: Mapping[tuple[TenantId, str], Path], unread: set[TenantId]
    ) -> None:
        """Groups of files that are not there any more."""
        rows = [row for row in self._store.groups() if row.origin == FILE]
        for tenant, name in {(row.key.tenant, row.key.namespace) for row in rows}:
            if (tenant, name) not in found and tenant not in unread:
                self._replace(tenant, name, ())

    def _sync_file(self, tenant: TenantId, name: str, path: Path) -> FileState:
        try:
            with path.open("rb") as source:
                text = source.read(MAX_BYTES + 1)  # more is not read by anybody
        except OSError as error:
            return self._unusable(b"", tenant, name, _told(error))
        digest = hashlib.sha256(text).digest()
        known = self.files.get((tenant, name))
        if known is not None and known.digest == digest:
            return known
        wrong = name_error(name, "file")
        if wrong is not None:
            return self._unusable(digest, tenant, name, wrong)
        try:
            groups = read_file(text)
        except YamlError as error:
            return self._unusable(digest, tenant, name, error.message)
        reader = _Reader(tenant, name, self._stored(tenant, name))
        usable = reader.usable(groups)
        rows = [
            GroupRow(
                key=GroupKey(tenant, name, group.name),
                body=group.to_json(),
                origin=FILE,
                changed_ns=self._clock.now_ns(),
            )
            for group in usable
        ]
        try:
            self._replace(tenant, name, rows)
        except AppError as error:
            return self._unusable(b"", tenant, name, error.message)
        return FileState(digest, len(usable), tuple(reader.problems))

    def _replace(self, tenant: TenantId, name: str, rows: Sequence[GroupRow]) -> None:
        self._has_changed |= self._store.replace_file(tenant, name, rows)

    def _unusable(self, digest: bytes, tenant: TenantId, name: str, reason: str) -> FileState:
        """A file of which nothing new is in force; without a digest it is tried again."""
        rows = self._store.groups(tenant, name)
        kept = any(row.origin == FILE for row in rows)
        problem = Problem(tenant=tenant, namespace=name, reason=reason, kept=kept)
        return FileState(digest, 0, (problem,))

    def _stored(self, tenant: TenantId, name: str) -> dict[str, Group]:
        found: dict[str, Group] = {}
        for row in self._store.groups(tenant, name):
            try:
                found[row.key.name] = group_of_json(row.body)
            except StoredGroupError:
                continue
        return found


class _Reader:
    """Tells what of a file can be used."""

    def __init__(self, tenant: TenantId, name: str, stored: Mapping[str, Group]) -> None:
        self._tenant, self._name, self._stored = tenant, name, stored
        self.problems: list[Problem] = []

    def usable(self, groups: list[Group]) -> list[Group]:
        """The groups with what takes the place of what is bad; `problems` names that."""
        found: dict[str, Group] = {}
        for group in groups:
            errors = group_errors(group)
            if not group.name:
                errors.append(NO_NAME)
            elif group.name in found:
                errors.append("another group of the file has this name")
                self._tell(group.name, "", errors, kept=False)
                continue
            before = self._stored.get(group.name)
            if not errors:
                found[group.name] = self._checked(group, before)
                continue
            self._tell(group.name, "", errors, kept=before is not None)
            if before is not None:
                found[group.name] = before
        return list(found.values())

    def _checked(self, group: Group, before: Group | None) -> Group:
        rules: list[Rule] = []
        known = () if before is None else before.rules
        for rule in group.rules:
            error = rule_error(rule, group.name)
            if error is None:
                rules.append(rule)
                continue
            same = [
                r for r in known if rule.name and (r.alert, r.record) == (rule.alert, rule.record)
            ]
            rules += same[:1]
            self._tell(group.name, rule.name or "without a name", [error], kept=bool(same))
        return replace(group, rules=tuple(rules))

    def _tell(self, group: str, rule: str, errors: list[str], *, kept: bool) -> None:
        self.problems += [
            Problem(
                tenant=self._tenant,
                namespace=self._name,
                group=group,
                rule=rule,
                reason=error,
                kept=kept,
            )
            for error in errors
        ]


def _told(error: OSError) -> str:
    return f"cannot be read: {error.strerror}"
