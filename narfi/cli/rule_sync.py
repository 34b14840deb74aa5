"""`narfi rules list, print, get, load, delete, diff, sync`: files against the rules of a server."""

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from narfi.cli.client import Connection, ServerError
from narfi.cli.flags import UsageError
from narfi.cli.rule_files import usable_groups
from ruler.group import Group
from ruler.read_groups import read_namespaces
from ruler.write_groups import group_yaml

PATH = "/loki/api/v1/rules"
NOTHING = "no rule groups found"

Namespaces = Mapping[str, Mapping[str, Group]]
"""Groups by namespace and name."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which namespaces are looked at: those that are named, or all but those that are ignored."""

    only: frozenset[str] = field(default_factory=frozenset)
    ignored: frozenset[str] = field(default_factory=frozenset)

    @staticmethod
    def of(only: str, ignored: str) -> "Scope":
        """From lists with commas."""
        if only and ignored:
            raise UsageError("either --namespaces, or --ignored-namespaces")
        return Scope(_names(only), _names(ignored))

    def __contains__(self, namespace: str) -> bool:
        return namespace not in self.ignored and (not self.only or namespace in self.only)


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


@dataclass(frozen=True, slots=True)
class Change:
    """A group that is not the same on both sides."""

    namespace: str
    name: str
    before: Group | None
    after: Group | None


def changes(before: Namespaces, after: Namespaces, scope: Scope) -> list[Change]:
    """What makes the one the other, by namespace and name."""
    found = []
    for namespace in sorted(before.keys() | after.keys()):
        if namespace not in scope:
            continue
        old, new = before.get(namespace, {}), after.get(namespace, {})
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                found.append(Change(namespace, name, old.get(name), new.get(name)))
    return found


def of_files(files: Sequence[Path]) -> dict[str, dict[str, Group]]:
    """Groups of files; a file's namespace is what it says, or its name. All must be usable."""
    found: dict[str, dict[str, Group]] = {}
    for path in files:
        namespace, groups = usable_groups(path)
        there = found.setdefault(namespace or path.stem, {})
        for group in groups:
            if group.name in there:
                raise UsageError(f"{path}: group {group.name} is there twice")
            there[group.name] = group
    return found


def of_server(connection: Connection) -> dict[str, dict[str, Group]]:
    """Groups of a server; none is no error."""
    try:
        text = connection.request("GET", PATH).content
    except ServerError as error:
        if NOTHING in error.message:
            return {}
        raise
    return {
        namespace: {group.name: group for group in groups}
        for namespace, groups in read_namespaces(text).items()
    }


def print_names(connection: Connection) -> None:
    """`namespace | group`, sorted."""
    for namespace, groups in sorted(of_server(connection).items()):
        for name in sorted(groups):
            print(f"{namespace} | {name}")


def print_all(connection: Connection) -> None:
    """As the server writes them."""
    sys.stdout.write(connection.request("GET", PATH).text)


def print_group(connection: Connection, namespace: str, name: str) -> None:
    """As the server writes it."""
    sys.stdout.write(connection.request("GET", _path(namespace, name)).text)


def remove(connection: Connection, namespace: str, name: str) -> None:
    """One group."""
    connection.request("DELETE", _path(namespace, name))


def print_difference(connection: Connection, files: Sequence[Path], scope: Scope) -> int:
    """As `diff -u` shows it; how many groups differ."""
    found = changes(of_server(connection), of_files(files), scope)
    for change in found:
        where = f"{change.namespace}/{change.name}"
        sys.stdout.writelines(
            difflib.unified_diff(
                _lines(change.before), _lines(change.after), f"server/{where}", f"files/{where}"
            )
        )
    return len(found)


def sync(connection: Connection, files: Sequence[Path], scope: Scope, *, removing: bool) -> None:
    """Bring groups that differ to the server; with `removing`, remove those that no file has."""
    made = removed = 0
    for change in changes(of_server(connection), of_files(files), scope):
        if change.after is not None:
            connection.request(
                "POST",
                f"{PATH}/{_escaped(change.namespace)}",
                body=group_yaml(change.after),
                content_type="application/yaml",
            )
            made += 1
        elif removing:
            remove(connection, change.namespace, change.name)
            removed += 1
        else:
            continue
        verb = "removed" if change.after is None else "made" if change.before is None else "changed"
        print(f"{change.namespace} | {change.name}: {verb}")
    print(f"{made} groups brought, {removed} removed", file=sys.stderr)


def _lines(group: Group | None) -> list[str]:
    return [] if group is None else group_yaml(group).decode().splitlines(keepends=True)


def _path(namespace: str, name: str) -> str:
    return f"{PATH}/{_escaped(namespace)}/{_escaped(name)}"


def _escaped(name: str) -> str:
    """Names are unescaped twice on their way, as the recorded server does."""
    return quote(quote(name, safe=""), safe="")
