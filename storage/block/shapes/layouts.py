"""How are the lines of a group cut? Constants around holes, and which field each hole is.

A field of JSON and logfmt is a path with a role, so a member keeps its column in whatever order and
company it comes.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from narfi.core.kernels.shape_scan import TEXT
from storage.block.shapes.cut import CutLines
from storage.block.shapes.encode import KINDS, ROLES
from storage.block.shapes.fields import field_names
from storage.block.shapes.group import Group
from storage.lines.template import LineKind, Role

MAX_COLUMNS = 2048
"""Fields of a family; shapes that need more stay plain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the lines of a group are cut: constants around the holes, of which each has a field."""

    kind: LineKind
    constants: tuple[bytes, ...]
    roles: tuple[Role, ...]
    fields: tuple[Hashable, ...]  # empty for a text
    names: tuple[str, ...]


def layout_of(found: CutLines, group: Group) -> Layout:
    """The layout of a group's first line."""
    line = int(group.rows[0])
    constants = found.constants(line)
    roles = tuple(ROLES.get(kind, Role.WORD) for kind in found.kinds(line))
    kind = KINDS.get(group.cut, LineKind.TEXT)
    names = field_names(kind, constants, roles)
    fields: list[Hashable] = []
    seen: dict[Hashable, int] = {}
    if group.cut != TEXT:
        for field in zip(names, roles, strict=True):
            seen[field] = seen.get(field, 0) + 1
            fields.append((*field, seen[field]))
    return Layout(
        kind=kind,
        constants=constants,
        roles=roles,
        fields=tuple(fields),
        names=tuple(names),
    )


def affordable(
    groups: Sequence[Group], layouts: Sequence[Layout], known: set[Hashable]
) -> tuple[list[Group], list[Layout]]:
    """Groups without those that would need more new columns than they have lines.

    So keys that are made up anew in each line do not become columns. `known` are fields that have a
    column anyway; those of the groups are added.
    """
    kept: tuple[list[Group], list[Layout]] = ([], [])
    for group, layout in zip(groups, layouts, strict=True):
        new = set(layout.fields) - known
        if len(new) > len(group.rows) or len(known) + len(new) > MAX_COLUMNS:
            continue
        known |= new
        kept[0].append(group)
        kept[1].append(layout)
    return kept
