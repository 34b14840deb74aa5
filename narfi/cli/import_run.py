"""What do all imports do around their source? Look at the target, run, compare, tell the end."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from narfi.cli.import_flags import EXIT_MISSING, ImportFlags
from narfi.cli.progress import Progress
from narfi.history.connecting import asker_of, client_of, transport_of
from narfi.history.errors import HistoryError, NotBegunError
from narfi.history.importing import Done, Importing
from narfi.history.pace import Pace
from narfi.history.page import Source
from narfi.history.patience import Patience
from narfi.history.preflight import Limits, NoAnswer, Wanted, ask_limits, findings
from narfi.history.pushing import Pusher
from narfi.history.state import State
from narfi.history.verify import (
    Difference,
    Expected,
    Side,
    Verified,
    differences,
    selectors_of,
)

MOST_SHOWN = 50
"""Differences that are printed."""


class RateProgress:
    """Progress with how fast it is; one line."""

    def __init__(self) -> None:
        self._progress = Progress()
        self._began = time.monotonic()
        self.done: Done | None = None

    def __call__(self, text: str) -> None:
        """Show it."""
        spent_s = max(time.monotonic() - self._began, 0.001)
        if self.done is not None:
            text += f", {self.done.line_bytes / 1e6 / spent_s:.1f} MB/s"
        self._progress(text)

    def wait(self, text: str) -> None:
        """Show what is waited for."""
        self._progress(f"waiting: {text}")

    def close(self) -> None:
        """Remove the line."""
        self._progress.close()


def look_at_target(
    flags: ImportFlags, tenant: str, wanted: Wanted, *, told: Callable[[str], None]
) -> bool:
    """Print what stands against the import; whether it may begin."""
    with client_of(flags.target) as client:
        asker = asker_of(flags.target, client, flags.give_up_s, told, tenant=tenant)
        limits = ask_limits(asker)
    whose = f"target, tenant {tenant!r}" if tenant else "target"
    if not isinstance(limits, Limits):
        print(f"{whose}: {limits}", file=sys.stderr)
        if isinstance(limits, NoAnswer):
            return not (limits.reached or flags.check)  # an import waits for who is away
        return True
    found = findings(limits, wanted)
    for one in found:
        print(f"{whose}: {'' if one.blocks else 'note: '}{one.text}", file=sys.stderr)
    if not found:
        print(f"{whose}: its limits let everything in", file=sys.stderr)
    elif not any(one.blocks for one in found):
        print(f"{whose}: nothing keeps the import from beginning", file=sys.stderr)
    return not any(one.blocks for one in found)


@contextmanager
def resumable(state: State) -> Iterator[State]:
    """What stops the import names its state file, which is closed."""
    try:
        yield state
    except NotBegunError:
        raise
    except HistoryError as error:
        raise type(error)(
            f"{error.message}\nnothing is lost: repeat the command to go on ({state.path})"
        ) from error
    except KeyboardInterrupt:
        print(f"\nnarfi: interrupted; the same command goes on ({state.path})", file=sys.stderr)
        raise
    finally:
        state.close()


def bring(source: Source, state: State, flags: ImportFlags, window_ns: int) -> Done:
    """Run the import with one line of progress."""
    progress = RateProgress()
    transport = transport_of(flags.target)
    try:
        pusher = Pusher(
            transport,
            Patience(flags.give_up_s, progress.wait),
            Pace(flags.rate_bytes),
            body_bytes=flags.body_bytes,
            most_refused=flags.most_refused,
        )
        importing = Importing(
            source, pusher, state, window_ns=window_ns, most_refused=flags.most_refused
        )
        progress.done = importing.done
        return importing.run(progress)
    finally:
        progress.close()
        transport.close()
        source.close()


def tell(done: Done, state: State, what: str = "imported") -> bool:
    """Print what is there now; whether nothing was refused."""
    entries, size, refused = state.totals()
    before = entries - done.entries
    more = f", {before:,} of them in earlier runs" if before else ""
    print(f"{what} {entries:,} entries, {size:,} bytes of lines{more}")
    if not refused:
        return True
    path = refused_file(state.path)
    state.write_refused(path)
    print(f"{refused:,} entries are not there: {path} has each of them and why", file=sys.stderr)
    return False


def refused_file(state: Path) -> Path:
    """Where refused entries are written."""
    return state.with_name(state.name + ".refused.jsonl")


def verify_target(flags: ImportFlags, state: State, tenant: str, window_ns: int) -> int:
    """Compare what was imported with what the target counts of those streams; the exit status."""
    progress, verified = Progress(), Verified()
    shown: list[Difference] = []
    expected = Expected(state, tenant, window_ns)
    with client_of(flags.target) as client:
        asker = asker_of(flags.target, client, flags.give_up_s, progress, tenant=tenant)
        for number in sorted(expected.delivered):
            cells = expected.of(number, refused_too=False)
            side = Side(name="target", asker=asker, selectors=selectors_of(cells))
            span = (number * window_ns, (number + 1) * window_ns)
            progress(f"comparing {verified.windows + 1} of {len(expected.delivered)} windows")
            found = verified.own(differences(side, cells, tenant, span), expected.streams)
            verified.add(cells.values(), len(found))
            shown += found[: MOST_SHOWN - len(shown)]
    progress.close()
    return tell_differences(shown, verified)


def tell_differences(found: Sequence[Difference], verified: Verified) -> int:
    """Print what was compared; the exit status."""
    for one in found[:MOST_SHOWN]:
        print(
            f"{one.side}: {one.labels} [{one.start_ns}, {one.end_ns}): "
            f"{one.found[0]} entries, {one.found[1]} bytes; imported {one.expected[0]} entries, "
            f"{one.expected[1]} bytes"
        )
    if verified.differences > MOST_SHOWN:
        print(f"… and {verified.differences - MOST_SHOWN} more")
    if verified.others:
        print(f"the target has {len(verified.others)} streams that nothing was imported of")
    print(
        f"compared {verified.windows} windows, {verified.entries:,} entries, "
        f"{verified.line_bytes:,} bytes: {verified.differences} differences"
    )
    return EXIT_MISSING if verified.differences else 0
