"""What did a check find? Problems, each with what to do, and notes that are none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is not as it should be."""

    kind: str  # catalog, block, folder, lost+found, journal, loss
    what: str
    advice: str
    where: str = ""  # a key or a file, below the data folder
    block: str = ""
    tenant: TenantId = TenantId("")
    from_ns: int | None = None  # entries with times in here are concerned, inclusive
    to_ns: int | None = None
    rows: int | None = None  # how many; None: not known


def of_block(row: BlockRow, where: str, what: str) -> Problem:
    """A visible block that cannot be read, or not wholly."""
    return Problem(
        kind="block",
        what=what,
        advice=(
            f"narfi restore --block {row.block_id} puts it back from a backup, "
            f"narfi repair --give-up {row.block_id} goes on without it"
        ),
        where=where,
        block=row.block_id,
        tenant=row.tenant,
        from_ns=row.min_ts,
        to_ns=row.max_ts,
        rows=row.rows,
    )


@dataclass(slots=True)
class Report:
    """The outcome of a check."""

    deep: bool
    checked: dict[str, int] = field(default_factory=dict)  # what was looked at, and how much of it
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def to_json(self) -> Mapping[str, Any]:
        """For programs."""
        return {
            "ok": not self.problems,
            "deep": self.deep,
            "checked": self.checked,
            "notes": self.notes,
            "problems": [
                {name: getattr(problem, name) for name in Problem.__slots__}
                for problem in self.problems
            ],
        }
