"""How are entries acknowledged that have a cursor instead of a place in a file?

Each entry gets a number; its cursor holds once the server has everything up to it, and nothing
before it is kept back by a stage. Used by the reading thread alone.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from promtail_agent.entry import AgentEntry, Generation
from promtail_agent.positions import Position
from promtail_agent.stages.base import HeldFrom


@dataclass(slots=True)
class _Trail:
    generation: Generation
    next_number: int = 0
    cursors: deque[tuple[int, str]] = field(default_factory=deque)  # number, cursor after it


class Cursors:
    """Trails of cursors by path, such as `cursor-<job>`."""

    def __init__(self) -> None:
        self._trails: dict[str, _Trail] = {}

    def note(self, entry: AgentEntry, path: str, cursor: str) -> None:
        """The entry is about to go through its pipeline."""
        trail = self._trails.get(path)
        if trail is None:
            trail = self._trails[path] = _Trail(Generation(path=path, device=0, inode=0))
        entry.generation, entry.offset = trail.generation, trail.next_number
        trail.cursors.append((trail.next_number, cursor))
        trail.next_number += 1

    def positions(self, held_from: Callable[[str], HeldFrom | None]) -> list[Position]:
        """What holds once everything that has come out of the pipeline is delivered."""
        out: list[Position] = []
        for path, trail in self._trails.items():
            held = held_from(path) if trail.cursors else None
            until = trail.next_number if held is None else held.offset
            cursor = ""
            while trail.cursors and trail.cursors[0][0] < until:
                cursor = trail.cursors.popleft()[1]
            if cursor:
                out.append(Position(path=path, offset=0, cursor=cursor))
        return out
