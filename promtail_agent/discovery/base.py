"""What is a discovery? Something that knows the targets of a job as they are now.

A target is a set of labels before relabelling: `__address__`, meta labels (`__meta_…`), plain ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Target = Mapping[str, str]


class Discovery(Protocol):
    """`targets` never blocks for long: what takes time is done by a thread of its own."""

    def start(self) -> None:
        """Begin to look."""
        ...

    def targets(self) -> Sequence[Target]:
        """All targets known now; the same object as long as nothing changed."""
        ...

    def close(self) -> None:
        """Stop looking."""
        ...


def read_groups(document: Any, meta: Mapping[str, str]) -> list[Target]:
    """Targets of `[{targets: […], labels: {…}}, …]`; raises `ValueError` for anything else."""
    if not isinstance(document, list):
        raise ValueError("a list of {targets, labels} was expected")
    found: list[Target] = []
    for group in document:
        if not isinstance(group, dict) or set(group) - {"targets", "labels"}:
            raise ValueError("a group has the keys targets and labels")
        addresses, labels = group.get("targets") or [], group.get("labels") or {}
        if not isinstance(addresses, list) or not isinstance(labels, dict):
            raise ValueError("targets are a list and labels a mapping")
        plain = {str(n): _text(v) for n, v in labels.items() if v is not None}
        found += [{**meta, **plain, "__address__": str(address)} for address in addresses]
    return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
