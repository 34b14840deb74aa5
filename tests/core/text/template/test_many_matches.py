"""Does a template with very many matches look at its deadline, and let other threads run?"""

import threading
import time

import pytest

from narfi.core.patience import wanted_while
from narfi.core.text.template.text_functions import MATCHES_AT_ONCE, TEXT_FUNCTIONS

REPLACE = TEXT_FUNCTIONS["regexReplaceAll"].run
TEXT = "ab" * 50_000


class NotWantedError(Exception):
    """Raised by a check."""


def test_it_ends_within_a_text() -> None:
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks > 3:
            raise NotWantedError

    with wanted_while(check), pytest.raises(NotWantedError):
        REPLACE("[ab]", TEXT, "x")
    looks = -(2**40)
    with wanted_while(check):
        assert REPLACE("[ab]", TEXT, "x") == "x" * len(TEXT)
    assert looks + 2**40 >= len(TEXT) // MATCHES_AT_ONCE


def test_others_run_meanwhile() -> None:
    """Who waits for Python's lock gets it often: without the pauses, after tens of milliseconds."""
    turns, done = 0, threading.Event()

    def tick() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0)

    other = threading.Thread(target=tick)
    other.start()
    try:
        REPLACE("[ab]", TEXT, "x")
    finally:
        done.set()
        other.join()
    assert turns >= len(TEXT) // MATCHES_AT_ONCE // 4
