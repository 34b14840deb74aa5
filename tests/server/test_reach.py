"""Does the server know since when a far place is away, and that it is back?"""

from narfi.core.clock import ManualClock
from narfi.server.reach import REACHABLE, Part, Reach
from storage.objects.base import ObjectError


class Place:
    """Answers, or not."""

    error: str | None = None

    def look(self) -> None:
        """Raise what is set."""
        if self.error is not None:
            raise ObjectError(self.error)


def test_it_tells_since_when_and_why() -> None:
    place, other, clock = Place(), Place(), ManualClock(100)
    reach = Reach([Part("objects", place.look), Part("catalog", other.look)], clock)
    assert reach.parts == ("objects", "catalog")
    reach.run()
    assert list(reach.away) == []
    place.error = "first"
    reach.run()
    clock.advance(50)
    place.error = "second"
    reach.run()
    (away,) = reach.away
    assert (away.part, away.since_ns, away.error) == ("objects", 100, "second")
    assert REACHABLE.labels("objects")._value.get() == 0
    assert REACHABLE.labels("catalog")._value.get() == 1
    place.error = None
    reach.run()
    assert list(reach.away) == []
    assert REACHABLE.labels("objects")._value.get() == 1
    place.error = "third"
    reach.run()
    assert reach.away[0].since_ns == 150
