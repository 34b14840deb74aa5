"""Do `narfi export` and `narfi context` write what the API gives, and fail when it is not whole?"""

import json
import time
from pathlib import Path

import pyarrow.parquet as pq

from tests.api.conftest import Api
from tests.api.test_cli import narfi

LINES = [f"line {k}" for k in range(30)]


def pushed(api: Api) -> int:
    """The lines, one ns apart; the first one's time."""
    return api.push({"app": "x"}, *LINES, ts_ns=time.time_ns() - 10**10)


def test_into_a_file_and_to_stdout(api: Api, tmp_path: Path) -> None:
    pushed(api)
    text = narfi(api, "export", '{app="x"}')
    assert text.stdout.splitlines() == LINES
    assert text.stderr.startswith("30 lines, ")
    target = tmp_path / "all.parquet"
    command = ("export", '{app="x"}', "--format", "parquet", "--backward", "-o", str(target), "-q")
    assert narfi(api, *command).stderr == ""
    assert pq.read_table(target).column("line").to_pylist() == LINES[::-1]
    rows = narfi(api, "export", '{app="x"}', "--format", "csv", "--columns", "app").stdout
    assert rows.splitlines()[0] == '"time","line","app"'
    assert [path.name for path in tmp_path.iterdir()] == ["all.parquet"]


def test_what_is_refused_leaves_no_file(api: Api, tmp_path: Path) -> None:
    target = tmp_path / "all.txt"
    bad = narfi(api, "export", "{", "-o", str(target), code=1)
    assert "parse error" in bad.stderr
    assert not target.exists()
    narfi(api, "export", '{app="x"}', "--format", "xml", code=1)


def test_around_a_line(api: Api) -> None:
    first = pushed(api)
    stream = '{app="x", service_name="x"}'
    found = narfi(api, "context", stream, str(first + 7), "-B", "2", "-A", "1").stdout
    assert [line.split(" ", 2)[2] for line in found.splitlines() if line[0] == " "] != []
    assert [line.endswith(LINES[5 + k]) for k, line in enumerate(found.splitlines())] == [True] * 4
    assert [line[0] for line in found.splitlines()] == [" ", " ", ">", " "]
    raw = narfi(api, "context", stream, str(first + 7), "-B", "1", "-A", "0", "-o", "jsonl").stdout
    assert [json.loads(line)["line"] for line in raw.splitlines()] == LINES[6:8]
