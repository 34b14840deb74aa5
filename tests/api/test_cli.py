"""Do the commands do what logcli's do, against a real server?"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.api.conftest import Api
from tests.served import hear_interrupts

NS = 1_000_000_000
START = 1_760_000_000 * NS
WINDOW = ("--from", "2025-10-09T08:53:20Z", "--to", "2025-10-09T09:53:20Z")
NARFI = (sys.executable, "-m", "narfi.cli")


def narfi(
    api: Api, *arguments: str, text: str = "", code: int = 0
) -> "subprocess.CompletedProcess[str]":
    """A command against the server."""
    environment = {**os.environ, "LOKI_ADDR": api.url, "LOKI_ORG_ID": api.tenant}
    result = subprocess.run(
        [*NARFI, *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=environment,
    )
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture
def logs(api: Api) -> Api:
    """250 lines of two streams."""
    for k in range(0, 250, 50):
        lines = [f"level=info n={k + i} size=5KB" for i in range(50)]
        api.push({"app": "a" if k % 100 else "b"}, *lines, ts_ns=START + k * NS)
    return api


def told(stderr: str) -> list[str]:
    """The lines of a table of statistics."""
    return [line for line in stderr.splitlines() if "://" not in line]


def test_flags_may_stand_before_the_command(logs: Api) -> None:
    flags = (
        "--addr",
        logs.url,
        "--org-id=" + logs.tenant,
        "-q",
        "--no-stats",
        "--log.level",
        "info",
    )
    found = narfi(logs, *flags, "-o", "raw", "query", '{app="a"}', *WINDOW, "--limit", "2")
    assert found.stdout.splitlines()[0].startswith("level=info")
    assert found.stderr == ""
    assert narfi(logs, "--version").stdout.startswith("narfi, version ")
    assert "Usage" in narfi(logs, "--help").stdout


def test_pages_are_no_larger_than_a_batch(api: Api) -> None:
    api.push({"app": "a"}, *(f"n={k}" for k in range(12)), ts_ns=START)
    api.push({"app": "b"}, "same time", ts_ns=START + 9)
    query = ("query", '{app=~".+"}', *WINDOW, "--batch", "4", "-o", "raw")
    for limit, count in (("0", 13), ("7", 7)):
        result = narfi(api, *query, "--limit", limit)
        assert len(set(result.stdout.splitlines())) == count
        assert len(result.stdout.splitlines()) == count
        asked = re.findall(r"limit=(\d+)", result.stderr)
        assert max(map(int, asked)) == 4


def test_a_start_is_reckoned_from_now(api: Api) -> None:
    """As logcli's: not from the end."""
    later = datetime.fromtimestamp(time.time() + 86400, UTC).isoformat(timespec="seconds")
    answer = narfi(api, "labels", "--since", "1h", "--to", later)
    start, end = (int(value) for value in re.findall(r"(?:start|end)=(\d+)", answer.stderr))
    assert end == int(datetime.fromisoformat(later).timestamp()) * NS
    assert abs(start - (time.time_ns() - 3600 * NS)) < 600 * NS


def test_proxies_of_the_environment_are_asked_only_where_wanted(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    narfi(api, "labels")
    narfi(api, "labels", "--envproxy", code=1)


def test_paging_gives_every_entry_once(logs: Api) -> None:
    result = narfi(
        logs, "query", '{app=~".+"}', *WINDOW, "--limit", "0", "--batch", "70", "-o", "raw"
    )
    lines = result.stdout.splitlines()
    assert len(lines) == 250
    assert len(set(lines)) == 250
    assert lines[0].startswith("level=info n=249")
    forward = narfi(
        logs, "query", '{app=~".+"}', *WINDOW, "--limit", "60", "--forward", "-o", "raw", "-q"
    )
    assert [line.split()[1] for line in forward.stdout.splitlines()] == [
        f"n={k}" for k in range(60)
    ]


def test_too_small_a_batch_is_explained(api: Api) -> None:
    for k in range(5):
        api.push({"app": f"a{k}"}, "x", ts_ns=START)
    result = narfi(api, "query", '{app=~".+"}', *WINDOW, "--limit", "0", "--batch", "2", code=1)
    assert "Please increase your batch size" in result.stderr


def test_output_forms(logs: Api) -> None:
    query = ("query", '{app="a"}', *WINDOW, "--limit", "1", "-z", "UTC")
    default = narfi(logs, *query)
    assert default.stdout.startswith("2025-10-09T08:55:50Z {}")
    assert "Common labels:" in default.stderr
    assert "/loki/api/v1/query_range?" in default.stderr
    line = json.loads(narfi(logs, *query, "-o", "jsonl", "-q").stdout)
    assert list(line) == ["labels", "line", "timestamp"]
    assert line["timestamp"] == "2025-10-09T08:55:50.000000049Z"
    stdin = ("query", "--stdin", "| logfmt", "-o", "jsonl", "-q")
    special = narfi(logs, *stdin, text="b=<x>&y z=é a=1\u2028\nb=2 z=2 a=2\n").stdout.splitlines()
    assert special[1].startswith(
        r'{"labels":{"a":"1\u2028","b":"\u003cx\u003e\u0026y","z":"é"},'
        r'"line":"b=\u003cx\u003e\u0026y z=é a=1\u2028","timestamp":"'
    )
    bare = narfi(logs, *query, "--no-labels", "--output-timestamp-format", "rfc3339nano")
    assert bare.stdout == "2025-10-09T08:55:50.000000049Z level=info n=199 size=5KB\n"
    some = narfi(logs, *query, "--include-common-labels", "--include-label", "app")
    assert '{app="a"}' in some.stdout
    assert "Print only labels key: app" in some.stderr


def test_metric_answers_and_statistics(logs: Api) -> None:
    query = 'sum by (app) (count_over_time({app=~".+"}[1h]))'
    instant = narfi(logs, "instant-query", query, "--now", "2025-10-09T09:50:00Z", "--stats")
    assert {s["metric"]["app"]: s["value"][1] for s in json.loads(instant.stdout)} == {
        "a": "100",
        "b": "150",
    }
    statistics = dict(re.split("  +", line, maxsplit=1) for line in told(instant.stderr))
    assert statistics["Summary.TotalLinesProcessed"] == "250"
    assert re.fullmatch(r"\d\.\d kB|\d+ k?B", statistics["Summary.TotalBytesProcessed"])
    assert re.fullmatch(r"[0-9.]+(µs|ms|s)", statistics["Summary.ExecTime"])
    assert {"Querier.PostFilterLInes", "Cache.Chunk.Requests", "Ingester.TotalChunksRef"} <= set(
        statistics
    )
    assert not instant.stdout.endswith("\n")
    ranged = narfi(logs, "query", query, *WINDOW, "--step", "600")
    assert json.loads(ranged.stdout)[0]["values"]


def test_information(logs: Api) -> None:
    assert narfi(logs, "labels", *WINDOW).stdout.split() == ["app", "service_name"]
    assert narfi(logs, "labels", "app", *WINDOW).stdout.split() == ["a", "b"]
    assert '{app="a", service_name="a"}' in narfi(logs, "series", "{}", *WINDOW).stdout
    analyzed = narfi(logs, "series", "{}", *WINDOW, "--analyze-labels").stdout
    assert analyzed == (
        "Total Streams:  2\nUnique Labels:  2\n\n"
        "Label Name    Unique Values  Found In Streams\n"
        "app           2              2\n"
        "service_name  2              2\n"
    )
    assert "entries: 100" in narfi(logs, "stats", '{app="a"}', *WINDOW).stdout
    volume = json.loads(narfi(logs, "volume", '{app=~".+"}', *WINDOW).stdout)
    assert [v["metric"]["app"] for v in volume] == ["b", "a"]
    narfi(logs, "volume_range", '{app=~".+"}', *WINDOW, "--step", "10m")
    fields = narfi(logs, "detected-fields", '{app="a"}', *WINDOW).stdout
    assert "label: n\t\ttype: int\t\tcardinality: 100" in fields
    values = narfi(logs, "detected-fields", '{app="a"}', "size", *WINDOW).stdout
    assert values == "5.0kB\n"


def test_parallel_download(logs: Api, tmp_path: Path) -> None:
    prefix = str(tmp_path / "part")
    common = ("query", '{app=~".+"}', *WINDOW, "-o", "raw", "--parallel-max-workers", "2")
    parts = ("--parallel-duration", "1m", "--part-path-prefix", prefix)
    merged = narfi(logs, *common, *parts, "--forward", "--merge-parts", "--keep-parts")
    numbers = [int(line.split()[1][2:]) for line in merged.stdout.splitlines()]
    assert numbers == sorted(numbers)
    assert len(numbers) == 250
    assert len(list(tmp_path.glob("*.part"))) == 60
    again = narfi(logs, *common, *parts, "--forward")
    assert "already downloaded" in again.stderr


def test_the_plan_is_printed(logs: Api) -> None:
    found = narfi(logs, "query", '{app="a"} | logfmt | n > 10', *WINDOW, "--explain", "-q")
    assert len(found.stdout.splitlines()) == 30
    plan = found.stderr.splitlines()
    assert plan[0] == 'query     {app="a"} | logfmt | n>10'
    assert "  stages    1. | logfmt" in plan
    assert "            2. | n>10" in plan
    assert any(line.startswith("  rows      250 all, ") for line in plan)
    assert any(line.startswith("returned  30 entries, ") for line in plan)
    metric = ("instant-query", 'sum(count_over_time({app="a"}[1h]))', "--now", WINDOW[3])
    counted = narfi(logs, *metric, "--explain", "-q")
    assert json.loads(counted.stdout)[0]["value"][1] == "100"
    assert "stream-counts" in counted.stderr
    refused = narfi(logs, "query", '{app="a"}', "--tail", "--explain", code=1)
    assert "--explain needs a query" in refused.stderr


def test_tail(api: Api) -> None:
    environment = {**os.environ, "LOKI_ADDR": api.url, "LOKI_ORG_ID": api.tenant}
    command = [*NARFI, "query", '{app="t"}', "--tail", "-o", "raw", "-q"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=hear_interrupts,
    )
    assert process.stdout is not None
    api.push({"app": "t"}, "first", "second")
    assert process.stdout.readline() == "first\n"
    assert process.stdout.readline() == "second\n"
    api.push({"app": "t"}, "third")  # it is connected now
    assert process.stdout.readline() == "third\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) in (0, 130)
    process.stdout.close()


def test_stdin_and_fmt(api: Api) -> None:
    lines = "level=info msg=a\nlevel=error msg=b\n\nlevel=error msg=c\n"
    found = narfi(api, "query", "--stdin", '|= "error" | logfmt', "-o", "raw", text=lines)
    assert found.stdout == "level=error msg=c\nlevel=error msg=b\n"
    wrong = narfi(api, "query", "--stdin", 'rate({a="b"}[1m])', text=lines, code=1)
    assert "metrics Query: not supported" in wrong.stderr
    assert narfi(api, "fmt", text='{ a = "b" }|="c"').stdout == '{a="b"} |= "c"\n'
    wrong = narfi(api, "fmt", text="{a=", code=1)
    assert "unable to format logql: failed to parse the query: parse error" in wrong.stderr
    assert "not supported" in narfi(api, "query", "--stdin", "-t", '|= "a"', code=1).stderr


def test_credentials_and_retries(api: Api) -> None:
    both = narfi(api, "labels", "--username", "u", "--password", "p", "--bearer-token", "t", code=1)
    assert "at most one of HTTP basic auth" in both.stderr
    away = narfi(api, "labels", "--addr", "http://127.0.0.1:9", "--retries", "2", code=1)
    assert away.stderr.count("attempts remaining") == 2
    narfi(api, "labels", "--header", "X-Any: thing", "--query-tags", "Source=x", "--compress")
    assert "invalid header format" in narfi(api, "labels", "--header", "nothing", code=1).stderr


def test_start_up_is_light() -> None:
    program = (
        "import sys, narfi.cli.main\n"
        "heavy = {'numba', 'numpy', 'pyarrow', 'fastapi', 'httpx', 'lark', 're2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_what_is_in_the_lines_as_tables(logs: Api) -> None:
    fields = narfi(logs, "fields", '{app="a"}', *WINDOW).stdout.splitlines()
    assert fields[0].split() == ["field", "type", "from", "lines", "share", "values"]
    assert ["n", "integer", "logfmt", "100", "100.0%"] in [line.split() for line in fields]
    assert ["app", "text", "label", "100", "100.0%", "1"] in [line.split() for line in fields]
    assert fields[-1] == "100 lines"
    facets = narfi(logs, "facets", '{app="a"}', "app", "n", "absent", *WINDOW, "--limit", "1")
    app, n, absent = facets.stdout.split("\n\n")
    assert app.split() == ["app", "lines", "share", "a", "100", "100.0%"]
    assert n.split()[:6] == ["n", "|", "logfmt", "lines", "share", "150"]
    assert "(99 more values)" in n
    assert absent.split() == ["absent", "lines", "share", "(none)", "100", "100.0%"]
    kept = narfi(
        logs, "facets", '{app="a", app!="c"}', "app", *WINDOW, "--keep", "app", "-o", "raw"
    )
    assert json.loads(kept.stdout)["facets"][0]["name"] == "app"
    patterns = narfi(logs, "patterns", '{app=~".+"}', *WINDOW, "--compare").stdout.splitlines()
    assert patterns[1].split() == [
        "250",
        "100.0%",
        "0",
        "new",
        "info",
        "level=info",
        "n=<_>",
        "size=5KB",
    ]
    narfi(logs, "facets", '{app="a"', "app", code=1)


def test_a_terminal_obeys_no_line(api: Api) -> None:
    api.push({"app": "\x1b[31mred"}, "x", ts_ns=START)
    shown = narfi(api, "facets", '{app=~".+"}', "app", *WINDOW).stdout
    assert "\x1b" not in shown
    assert "\\x1b[31mred" in shown
