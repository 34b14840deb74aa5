"""Does Loki's own logcli get what it asks for, and do our commands print the same?"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.served import Api

NS = 1_000_000_000
START = 1_760_000_000 * NS  # 2025-10-09T08:53:20Z
WINDOW = ("--from=2025-10-09T08:53:20Z", "--to=2025-10-09T09:53:20Z")
NOW = "--now=2025-10-09T09:50:00Z"
ALL = '{app=~".+"}'
Run = Callable[..., str]


@pytest.fixture
def logs(api: Api) -> Api:
    """250 lines of two streams, some with marks that JSON escapes."""
    for k in range(0, 250, 50):
        lines = [f"level=info n={k + i} size=5KB" for i in range(50)]
        lines[9] += ' at=<b>&"é"\u2028\t'
        api.push({"app": "a" if k % 100 else "b"}, *lines, ts_ns=START + k * NS)
    return api


def run(api: Api, command: list[str], text: str = "", code: int = 0) -> str:
    """What a command prints."""
    environment = {**os.environ, "LOKI_ADDR": api.url, "LOKI_ORG_ID": api.tenant}
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=environment,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


SAME = {
    "raw": ["query", ALL, *WINDOW, "--limit=40", "--output=raw", "--quiet"],
    "all pages": ["query", ALL, *WINDOW, "--limit=250", "--batch=70", "--output=raw", "--quiet"],
    "forward": ["query", ALL, *WINDOW, "--limit=60", "--forward", "--output=raw", "--quiet"],
    "jsonl": ["query", '{app="a"}', *WINDOW, "--limit=3", "--output=jsonl", "--timezone=UTC"],
    "default": ["query", ALL, *WINDOW, "--limit=5", "--timezone=UTC", "--quiet"],
    "no labels": ["query", ALL, *WINDOW, "--limit=5", "--timezone=UTC", "--no-labels", "--quiet"],
    "pipeline": [
        *("query", '{app="a"} | logfmt | n > 195 | line_format "{{.n}} {{.size}}"', *WINDOW),
        *("--output=jsonl", "--timezone=UTC", "--quiet"),
    ],
    "range metric": ["query", f"sum by (app) (count_over_time({ALL}[5m]))", *WINDOW, "--step=10m"],
    "instant": ["instant-query", f"sum by (app) (count_over_time({ALL}[1h]))", NOW],
    "scalar": ["instant-query", "vector(3) * 2", NOW],
    "labels": ["labels", *WINDOW],
    "label values": ["labels", "app", *WINDOW],
    "series": ["series", "{}", *WINDOW],
    "volume": ["volume", ALL, *WINDOW],
    "volume over time": ["volume_range", ALL, *WINDOW, "--step=10m"],
    "stats": ["stats", '{app="a"}', *WINDOW],
    "detected fields": ["detected-fields", '{app="a"}', *WINDOW],
}


def normal(text: str) -> object:
    """JSON by its content, since members and series have no order; text as it is, by lines."""
    try:
        found = json.loads(text)
    except ValueError:
        return sorted(text.splitlines())
    return sorted(found, key=json.dumps) if isinstance(found, list) else found


@pytest.mark.parametrize("arguments", SAME.values(), ids=SAME.keys())
def test_both_print_the_same(logs: Api, built: Callable[[str], str], arguments: list[str]) -> None:
    theirs = run(logs, [built("logcli"), *arguments])
    ours = run(logs, [sys.executable, "-m", "narfi.cli", *arguments])
    assert theirs.strip(), "logcli found something"
    assert normal(ours) == normal(theirs)


def test_lines_come_in_order(logs: Api, built: Callable[[str], str]) -> None:
    command = [built("logcli"), "query", ALL, *WINDOW, "--limit=0", "--output=raw", "--quiet"]
    lines = run(logs, command).removesuffix("\n").split("\n")
    assert [line.split()[1] for line in lines] == [f"n={k}" for k in reversed(range(250))]


FORMS = ("", "&", "<a>", "\u2028\u2029", "é\U0001f600", '\t"\\', "\x01\x7f")


def test_jsonl_has_the_same_bytes(built: Callable[[str], str], api: Api) -> None:
    lines = "".join(f'z=1 b="x" text={form} end\n' for form in FORMS)
    command = ["query", "--stdin", '| logfmt | b="x"', "--output=jsonl", "--no-labels", "--quiet"]

    def printed(command: list[str]) -> list[str]:
        found = run(api, command, lines).removesuffix("\n").split("\n")
        return sorted(line.partition(',"timestamp"')[0] for line in found)

    theirs = printed([built("logcli"), *command])
    assert len(theirs) == len(FORMS)
    assert printed([sys.executable, "-m", "narfi.cli", *command]) == theirs


def test_a_wrong_query_is_told(logs: Api, built: Callable[[str], str]) -> None:
    assert run(logs, [built("logcli"), "query", "{app=", *WINDOW, "--quiet"], code=1) == ""


def test_parts_are_downloaded_and_merged(
    logs: Api, built: Callable[[str], str], tmp_path: Path
) -> None:
    command = [built("logcli"), "query", ALL, *WINDOW, "--output=raw", "--forward", "--quiet"]
    command += ["--parallel-duration=5m", "--parallel-max-workers=4", "--merge-parts"]
    text = run(logs, [*command, f"--part-path-prefix={tmp_path}/part"])
    lines = text.removesuffix("\n").split("\n")
    assert [line.split()[1] for line in lines] == [f"n={k}" for k in range(250)]
