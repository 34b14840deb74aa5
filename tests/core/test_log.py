"""Is each record one line in the form and from the level that was asked for, pairs as fields?"""

import io
import json
import logging
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest
import structlog

from narfi.core import log as log_module
from narfi.core.log import LineFormatter, Seldom, Turns, route_structlog, set_level, set_up_log


def record(message: str, *args: object) -> logging.LogRecord:
    """A warning of a module of the agent."""
    return logging.LogRecord("promtail_agent.client.sender", 30, "f", 1, message, args, None)


def fields(message: str, *args: object) -> dict[str, object]:
    """What the JSON of a record holds beside time, level and logger."""
    found = json.loads(LineFormatter("json").format(record(message, *args)))
    return {k: v for k, v in found.items() if k not in ("ts", "level", "logger")}


@pytest.mark.parametrize("message", ["plain", "two words", 'say "hi" a=b', "two\nlines", ""])
def test_both_forms_hold_the_message(message: str) -> None:
    line = LineFormatter("logfmt").format(record(message))
    assert "\n" not in line
    assert " level=warn logger=client.sender msg=" in line
    fields = json.loads(LineFormatter("json").format(record(message)))
    assert (fields["level"], fields["msg"]) == ("warn", message)


def test_times_have_a_zone() -> None:
    found = record("x")
    found.created = 1_760_000_000.25  # 2025-10-09 08:53:20 UTC
    line = LineFormatter("logfmt").format(found)
    assert line.startswith("ts=2025-10-09T08:53:20.250000Z level=warn ")
    shown = LineFormatter("text").format(found)
    assert re.match(r"2025-10-(08|09|10) \d\d:\d\d:\d\d\.250[+-]\d\d:\d\d  WARN   x", shown)


def test_pairs_are_fields_of_their_own() -> None:
    assert fields("read path=%s offset=%d", "/a b=c", 5) == {
        "msg": "read",
        "path": "/a b=c",
        "offset": 5,
    }
    assert fields("at %s: took_s=%.2f", "start", 1.234) == {"msg": "at start:", "took_s": "1.23"}
    assert fields("100%% sure why=%s", ValueError("no")) == {"msg": "100% sure", "why": "no"}
    assert fields("a=%s is no pair", 1) == {"msg": "a=1 is no pair"}
    assert fields("streams: %d, 'x'", 3) == {"msg": "streams: 3, 'x'"}
    assert fields("said msg=%s level=%s", "a", "b") == {"msg": "said", "msg_": "a", "level_": "b"}
    line = LineFormatter("logfmt").format(record("read path=%s n=%d", 'a "b"', 5))
    assert line.endswith(r'msg=read path="a \"b\"" n=5')


def test_a_traceback_stays_on_the_line_and_shows_no_values() -> None:
    secret = "hush-hush"
    try:
        raise ValueError("for the test")
    except ValueError:
        found = record("failed")
        found.exc_info = sys.exc_info()
    assert secret
    line = LineFormatter("logfmt").format(found)
    assert "\n" not in line
    assert 'error="ValueError: for the test"' in line
    assert secret not in line.replace('secret = "hush-hush"', "")
    assert LineFormatter("text").format(found).count("\n") >= 3


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged; everything is as before afterwards."""
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")  # `set_up_log` leaves it in the environment
    root = logging.getLogger()
    before = (list(root.handlers), root.level, warnings.showwarning, sys.excepthook)
    config = structlog.get_config()
    found = io.StringIO()
    set_up_log("info", "", found)
    yield found
    for handler in [h for h in root.handlers if h not in before[0]]:
        root.removeHandler(handler)
    root.setLevel(before[1])
    warnings.showwarning, sys.excepthook = before[2], before[3]
    threading.excepthook = threading.__excepthook__
    structlog.configure(**config)


def test_structlog_goes_the_same_way(out: io.StringIO) -> None:
    route_structlog()
    log = structlog.get_logger("storage.thing")
    log.info("done, 100% of it", rows=5, path="a b", ok=True)
    log.debug("not shown")
    try:
        raise KeyError("k")
    except KeyError as error:
        log.error("failed", exc_info=error)
    first, second = out.getvalue().splitlines()
    assert (
        'level=info logger=storage.thing msg="done, 100% of it" rows=5 path="a b" ok=true' in first
    )
    assert "level=error logger=storage.thing msg=failed error=" in second
    assert "Traceback" in second
    assert "╭" not in second
    assert "locals" not in second


def test_the_level_can_be_changed(out: io.StringIO) -> None:
    log = logging.getLogger("promtail_agent.x")
    set_level("error")
    log.warning("one")
    set_level("debug")
    log.debug("two")
    logging.getLogger("httpx").debug("chatty")
    logging.getLogger("uvicorn.error").warning("three")
    told = [re.search(r"msg=(\w+)", line) for line in out.getvalue().splitlines()]
    assert [found[1] for found in told if found] == ["two", "three"]


def test_warnings_have_the_same_form(out: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = log_module._show_warning
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    (line,) = out.getvalue().splitlines()
    assert 'level=warn logger=narfi.core.log msg="old thing" kind=DeprecationWarning place=' in line


SCRIPT = """
import threading
from narfi.core.log import set_up_log
set_up_log("info", {form!r})
def fail(): raise ValueError("in a thread")
thread = threading.Thread(target=fail, name="t1"); thread.start(); thread.join()
raise RuntimeError("at the end")
"""


@pytest.mark.parametrize("form", ["", "json"])
def test_errors_that_nobody_caught_have_the_form(form: str) -> None:
    command = [sys.executable, "-c", SCRIPT.format(form=form)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    thread, end = done.stderr.splitlines()
    for line, text in ((thread, "ValueError: in a thread"), (end, "RuntimeError: at the end")):
        if form == "json":
            found = json.loads(line)
            assert (found["level"], found["error"]) == ("error", text)
        else:
            assert 'level=error logger=narfi.core.log msg="' in line
            assert f'error="{text}"' in line


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_form_to_read() -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    hooks = (warnings.showwarning, sys.excepthook)
    terminal, asked = _Terminal(), _Terminal()
    try:
        for stream, form in ((terminal, ""), (asked, "logfmt")):
            set_up_log("info", form, stream)
            logging.getLogger("x").info("hello n=%d", 5)
    finally:
        for handler in [h for h in root.handlers if h not in before]:
            root.removeHandler(handler)
        root.setLevel(level)
        warnings.showwarning, sys.excepthook = hooks
        threading.excepthook = threading.__excepthook__
    assert "\x1b[32mINFO \x1b[0m  hello n=5  (x)\n" in terminal.getvalue()
    assert asked.getvalue().startswith("ts=")


def test_what_happens_often_is_told_seldom(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    seldom = Seldom(logging.getLogger("x"), 10.0, lambda: now_s)
    with caplog.at_level(logging.WARNING):
        for now_s in (0.0, 1.0, 9.9, 10.0, 11.0, 25.0):  # noqa: B007  the clock reads it
            seldom.warning("bad message peer=%s", "p")
    assert [r.getMessage() for r in caplog.records] == [
        "bad message peer=p untold_before=0",
        "bad message peer=p untold_before=2",
        "bad message peer=p untold_before=1",
    ]


def test_another_thing_is_told_at_once() -> None:
    now_s = 0.0
    turns = Turns(10.0, lambda: now_s)
    assert [turns.take("full"), turns.take("full"), turns.take("full")] == [0, None, None]
    assert turns.take("cannot be read") == 2
    now_s = 9.9
    assert turns.take("cannot be read") is None
    now_s = 10.0
    assert turns.take("cannot be read") == 1
