"""Is each record one line, with the level that was asked for?"""

import json
import logging
import sys

import pytest

from promtail_agent.log import LineFormatter


def record(message: str, *args: object) -> logging.LogRecord:
    """A warning of a module of the agent."""
    return logging.LogRecord("promtail_agent.client.sender", 30, "f", 1, message, args, None)


@pytest.mark.parametrize("message", ["plain", "two words", 'say "hi" a=b', "two\nlines", ""])
def test_both_forms_hold_the_message(message: str) -> None:
    line = LineFormatter("logfmt").format(record(message.replace("%", "%%")))
    assert "\n" not in line
    assert " level=warn logger=client.sender msg=" in line
    fields = json.loads(LineFormatter("json").format(record(message)))
    assert (fields["level"], fields["msg"]) == ("warn", message)


def test_a_traceback_stays_on_the_line() -> None:
    try:
        raise ValueError("for the test")
    except ValueError:
        found = record("failed")
        found.exc_info = sys.exc_info()
    line = LineFormatter("logfmt").format(found)
    assert "\n" not in line
    assert "for the test" in line
