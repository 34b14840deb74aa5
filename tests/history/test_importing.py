"""Is each entry at the target once, and counted, after an import that ended anywhere?"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narfi.core.wire.push_encode import PushEntry
from narfi.history.errors import SourceError
from narfi.history.importing import Importing
from narfi.history.page import Cursor, Page
from narfi.history.state import State
from narfi.history.tally import tally
from tests.history.fake_target import FakeTarget
from tests.history.test_pushing import pusher_of
from tests.reference.budget import examples

WINDOW_NS = 10


class Numbers:
    """A source of `count` entries, `size` a page; `cut`: pages without a cursor; it may break."""

    def __init__(self, count: int, size: int, *, breaks_at: int = -1, cut: int = 0) -> None:
        self._count, self._size, self._breaks_at, self._cut = count, size, breaks_at, cut

    def pages(self, cursors: Mapping[str, Cursor]) -> Iterator[Page]:
        """From the cursor on."""
        at = int(cursors["n"].text) if "n" in cursors else 0
        number = 0
        while at < self._count:
            if self._breaks_at >= 0 and at >= self._breaks_at:
                raise SourceError("broken")
            after = min(self._count, at + self._size)
            entries: list[PushEntry] = [(k, b"line %d" % k, ()) for k in range(at, after)]
            number += 1
            has_cursor = after == self._count or not self._cut or number % self._cut == 0
            yield Page(
                tenant="t",
                cursors={"n": Cursor(str(after), after == self._count)} if has_cursor else {},
                streams={'{app="a"}': entries},
            )
            at = after

    def close(self) -> None:
        """Nothing is held."""


def importing(source: Numbers, target: FakeTarget, state: State) -> Importing:
    """One run."""
    return Importing(source, pusher_of(target), state, window_ns=WINDOW_NS)


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    count=st.integers(0, 60),
    size=st.integers(1, 9),
    breaks=st.lists(st.integers(0, 60), max_size=4),
    cut=st.integers(0, 3),
)
def test_ends_anywhere(
    tmp_path_factory: pytest.TempPathFactory, count: int, size: int, breaks: list[int], cut: int
) -> None:
    path = tmp_path_factory.mktemp("state") / "s"
    target = FakeTarget(lambda line: line.endswith(b"7"))
    for at in [*sorted(breaks), -1]:
        with closing(State(path, {})) as state:
            source = Numbers(count, size, breaks_at=at, cut=cut)
            try:
                importing(source, target, state).run(lambda _: None)
            except SourceError:
                continue
    good = [k for k in range(count) if k % 10 != 7]
    assert [one[2] for one in target.order] == good
    with closing(State(path, {})) as state:
        assert state.totals() == (
            len(good),
            sum(len(b"line %d" % k) for k in good),
            count - len(good),
        )
        wanted = tally("t", [('{app="a"}', [(k, b"line %d" % k, ()) for k in good])], WINDOW_NS)
        found = {(t, labels, w): [e, s] for t, labels, w, e, s in state.counts() if e}
        assert found == wanted


def test_an_error_while_reading_leaves_what_was_pushed_noted(tmp_path: Path) -> None:
    with closing(State(tmp_path / "s", {})) as state:
        with pytest.raises(SourceError):
            importing(Numbers(10, 2, breaks_at=6), FakeTarget(), state).run(lambda _: None)
        assert state.cursors() == {"n": Cursor("6", False)}
