"""What do the packs of this machine offer? Questions and rules as `narfi packs show` tells them.

Packs are read once, when somebody asks first. One that cannot be read is told, and hides no other.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from narfi.bundled.questions import SavedQuery, read_queries
from narfi.bundled.rules import rule_groups
from promtail_agent.errors import ConfigError
from promtail_agent.packs.load import Shelf
from ruler.group import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedPack:
    """A pack; `selector` are the matchers of its streams, without braces."""

    name: str
    title: str
    version: int
    selector: str
    questions: tuple[SavedQuery, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """All packs by name, and why others are missing."""

    packs: Sequence[OfferedPack]
    faults: Sequence[str]


class OfferedPacks:
    """The packs of a shelf; thread-safe."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        """By default the shipped packs and those of `NARFI_PACKS`."""
        self._shelf, self._lock = shelf, threading.Lock()
        self._offer: Offer | None = None

    def all(self) -> Offer:
        """What is offered."""
        with self._lock:
            if self._offer is None:
                self._offer = _read(self._shelf or Shelf.of_environment())
            return self._offer


def _read(shelf: Shelf) -> Offer:
    found, faults = list[OfferedPack](), list[str]()
    for name in shelf.names():
        try:
            pack = shelf.find(name)
            offered = OfferedPack(
                name=pack.name,
                title=pack.manifest.title,
                version=pack.manifest.version,
                selector=pack.manifest.selector,
                questions=read_queries(pack),
                groups=tuple(rule_groups(pack)),
            )
        except ConfigError as error:
            faults.append(f"the pack {name} cannot be read: {error.message}")
        else:
            found.append(offered)
    return Offer(tuple(found), tuple(faults))
