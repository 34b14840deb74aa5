"""Entries of programs that print differently, each enough for a family of its own."""

from storage.batch import LogBatch
from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of

KINDS = {"api": b"GET /%d took %dms ", "web": b'{"n":%d,"m":"x%d","text":"', "db": b"k=%d l=%d "}
APPS = tuple(KINDS)
LINES = 500
WIDE = b"w" * 1200
"""So that the lines of a program are large enough."""


def line(app: str, number: int) -> bytes:
    """A line of a program."""
    end = b'"}' if app == "web" else b""
    return KINDS[app] % (number, number * 7) + WIDE + end


def programs() -> LogBatch:
    """All lines of all programs."""
    entries: list[Entry] = [
        (app, number, line(app, number), {"pod": f"p{number % 3}"})
        for app in APPS
        for number in range(LINES)
    ]
    return merge_batches([batch_of(entries)])
