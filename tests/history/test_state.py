"""Is what was noted there after any end of the process, and nothing else?"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from narfi.history.errors import StateError
from narfi.history.page import Cursor, Refused
from narfi.history.state import State
from narfi.history.tally import Counts

ABOUT = {"source": "here"}


@contextmanager
def opened(path: Path) -> Iterator[State]:
    """A state file."""
    with closing(State(path, ABOUT)) as state:
        yield state


def at(cursor: str, part: str = "p", *, done: bool = False) -> dict[str, Cursor]:
    """One cursor."""
    return {part: Cursor(cursor, done)}


def refused(reason: str) -> Refused:
    """An entry with bytes that are no text."""
    return Refused(
        tenant="t", labels='{a="b"}', entry=(7, b"\xff line", (("k", "v"),)), reason=reason
    )


def test_notes_are_there_again(tmp_path: Path) -> None:
    counts: Counts = {("t", '{a="b"}', 3): [2, 10]}
    with opened(tmp_path / "s") as state:
        state.note(at("2") | at("9", "q", done=True), counts, [refused("why")])
        state.note(at("3"), counts, [])
    with opened(tmp_path / "s") as state:
        assert state.cursors() == {"p": Cursor("3", False), "q": Cursor("9", True)}
        assert list(state.counts()) == [("t", '{a="b"}', 3, 4, 20)]
        assert state.totals() == (4, 20, 1)
        assert list(state.refused()) == [refused("why")]
        assert state.write_refused(tmp_path / "r") == 1
    (line,) = (tmp_path / "r").read_text().splitlines()
    assert json.loads(line)["line"] == "� line"


def test_a_note_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as state:
        state.note(at("1"), {}, [])
        with pytest.raises(OverflowError):
            state.note(at("2"), {("t", "x", 1): [1, 1], ("t", "y", 2**70): [1, 1]}, [])
        assert state.cursors() == {"p": Cursor("1", False)}
        assert state.totals() == (0, 0, 0)
        state.note(at("2"), {("t", "x", 1): [1, 1]}, [])
        assert state.totals() == (1, 1, 0)


def test_a_fact_is_made_once(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as state:
        assert state.keep("plan", lambda: "first") == "first"
        state.note(at("1"), {}, [])
    with opened(tmp_path / "s") as state:
        assert state.keep("plan", lambda: "second") == "first"


def test_what_was_not_begun_may_be_another(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as state:
        state.keep("plan", lambda: "first")
    with closing(State(tmp_path / "s", {"source": "there"})) as state:
        assert state.about() == {"source": "there", "version": "1"}


def test_another_import_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as state:
        state.note(at("1"), {}, [])
    with pytest.raises(
        StateError, match=r"of another import: source was 'here' and is now 'there'"
    ):
        State(tmp_path / "s", {"source": "there"})


def test_what_is_no_state_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("my only copy of something\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StateError, match="no state of an import"):
        State(path, ABOUT)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="unable to open"):
        State(tmp_path / "none" / "s", ABOUT)


_HOLD = """
import sys
from pathlib import Path
from narfi.history.state import State
state = State(Path(sys.argv[1]), {"source": "here"})
print("open", flush=True)
sys.stdin.read()
"""


def test_two_processes_do_not_share_it(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path / "s")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"open\n"
    try:
        with pytest.raises(StateError, match="another import uses"):
            State(tmp_path / "s", ABOUT)
    finally:
        holder.stdin.close()
        holder.wait(30)
    with opened(tmp_path / "s"):
        pass


_FULL = """
import resource, sys
from pathlib import Path
from narfi.history.errors import StateError
from narfi.history.page import Cursor
from narfi.history.state import State
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
state = State(Path(sys.argv[1]), {"source": "here"})
state.note({"p": Cursor("1", False)}, {}, [])
resource.setrlimit(resource.RLIMIT_FSIZE, (48 << 10, 48 << 10))
try:
    for k in range(2, 10_000):
        counts = {("t", f"stream {k} {j} {'x' * 100}", k): [1, 1] for j in range(20)}
        state.note({"p": Cursor(str(k), False)}, counts, [])
        noted = k
except StateError as error:
    print(noted, error.message)
"""


def test_a_full_disk_is_told_and_nothing_noted_is_lost(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path / "s")],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    noted, _, told = done.stdout.partition(" ")
    assert "make room and repeat" in told
    with opened(tmp_path / "s") as state:
        assert state.cursors() == {"p": Cursor(noted, False)}
        assert state.totals()[0] == (int(noted) - 1) * 20
