"""Is an export all lines of a query, in each form, and does it say when it is not?"""

import csv
import http.client
import io
import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.served import Answer, Api

PATH = "/narfi/api/v1/export"
HOSTILE = [
    "plain",
    "=HYPERLINK(1)",
    "+1",
    "-1",
    "@x",
    'say "hi"',
    "a,b",
    "two\nlines",
    "ends\n",
    "",
    "é ü 😀",
    "tab\there",
    "\x01control",
]


def exported(api: Api, form: str, **parameters: str) -> Answer:
    """The whole of an export."""
    asked = {"query": '{app="x"}', "format": form, **parameters}
    answer = api.get(PATH, **asked)
    assert answer.status == 200, answer.text
    return answer


def state(api: Api, answer: Answer) -> dict[str, Any]:
    """What became of it."""
    found: dict[str, Any] = api.get(f"{PATH}/{answer.headers['x-narfi-export-id']}").json
    return found


@pytest.fixture
def logs(api: Api) -> Api:
    """Lines of two streams in turn, one ns apart."""
    base = time.time_ns() - 10**9
    for number, line in enumerate(HOSTILE):
        api.push({"app": "x", "pod": "=ab"[number % 2]}, line, ts_ns=base + number)
    return api


def test_text_is_what_logcli_prints(logs: Api) -> None:
    answer = exported(logs, "txt")
    command = [sys.executable, "-m", "narfi.cli", "query", "--addr", logs.url, "--org-id"]
    command += [logs.tenant, "--quiet", "--forward", "-o", "raw", "--limit", "0", "--batch", "3"]
    printed = subprocess.run([*command, '{app="x"}'], capture_output=True, check=True)
    assert answer.body == printed.stdout
    assert answer.headers["content-type"].startswith("text/plain")
    assert state(logs, answer) == {
        "id": answer.headers["x-narfi-export-id"],
        "state": "complete",
        "rows": len(HOSTILE),
        "bytes": len(answer.body),
        "reason": None,
        "warnings": [],
    }


def test_json_lines(logs: Api) -> None:
    found = [json.loads(line) for line in exported(logs, "jsonl").text.splitlines()]
    assert [one["line"] for one in found[:-1]] == HOSTILE
    assert [one["labels"]["pod"] for one in found[:2]] == ["=", "a"]
    assert found[0]["metadata"] == {"detected_level": "unknown"}
    times = [int(one["ts"]) for one in found[:-1]]
    assert times == sorted(times)
    assert found[-1] == {"narfi": {"complete": True, "rows": len(HOSTILE), "warnings": []}}
    backward = exported(logs, "jsonl", direction="backward").text.splitlines()
    assert [json.loads(line)["line"] for line in backward[:-1]] == HOSTILE[::-1]


def test_cells_of_a_table_are_no_formulas(logs: Api) -> None:
    for columns in ("", "pod,missing"):
        text = exported(logs, "csv", columns=columns).text
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        names = columns.split(",") if columns else ["labels", "metadata"]
        assert rows[0] == ["time", "line", *names]
        wanted = [f"'{line}" if line[:1] in tuple("=+-@\t\r") else line for line in HOSTILE]
        assert [row[1] for row in rows[1:]] == wanted
        assert not any(cell[:1] in tuple("=+-@") for row in rows for cell in row if cell)
        if columns:
            assert [row[2:] for row in rows[1:3]] == [["'=", ""], ["a", ""]]


def test_parquet(logs: Api) -> None:
    answer = exported(logs, "parquet")
    table = pq.read_table(io.BytesIO(answer.body))
    assert table.column("line").to_pylist() == HOSTILE
    assert dict(table.column("labels")[0].as_py())["pod"] == "="
    assert dict(table.column("metadata")[0].as_py()) == {"detected_level": "unknown"}
    assert str(table.schema.field("time").type) == "timestamp[ns, tz=UTC]"


def test_a_link_names_its_tenant(logs: Api) -> None:
    asked = {"query": '{app="x"}', "format": "txt", "tenant": logs.tenant}
    url = f"{logs.url}{PATH}?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.read() == exported(logs, "txt").body
        export_id = answer.headers["X-Narfi-Export-Id"]
    with urllib.request.urlopen(f"{logs.url}{PATH}/{export_id}?tenant={logs.tenant}") as answer:
        assert json.loads(answer.read())["state"] == "complete"
    assert logs.get(PATH, **{**asked, "tenant": "another"}).status == 400


def test_names_of_files(logs: Api) -> None:
    query = '{app="x", pod=~".+"} |= `../../etc\r\npasswd";é`'
    answer = exported(logs, "csv", query=query, start="1767225600", end="1767225601")
    disposition = answer.headers["content-disposition"]
    name = "narfi-app-x-pod-etc-passwd-20260101T000000Z.csv"
    assert disposition == f'attachment; filename="{name}"'


def test_a_byte_limit_is_told(logs: Api) -> None:
    answer = exported(logs, "jsonl", max_bytes="500")
    lines = answer.text.splitlines()
    last = json.loads(lines[-1])["narfi"]
    assert last["complete"] is False
    assert last["error"] == "the export was cut at max_bytes (500)"
    assert last["rows"] == len(lines) - 1 > 0
    assert sum(len(line.encode()) + 1 for line in lines[:-1]) <= 500
    assert state(logs, answer)["state"] == "incomplete"


def test_a_text_that_is_not_whole_breaks_off(logs: Api) -> None:
    asked = urllib.parse.urlencode({"query": '{app="x"}', "format": "txt", "max_bytes": "20"})
    place = urllib.parse.urlsplit(logs.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port)
    connection.request("GET", f"{PATH}?{asked}", headers={"X-Scope-OrgID": logs.tenant})
    answer = connection.getresponse()
    export_id = answer.headers["X-Narfi-Export-Id"]
    with pytest.raises(http.client.IncompleteRead) as raised:
        answer.read()
    assert raised.value.partial == b"plain\n=HYPERLINK(1)\n"
    found = logs.get(f"{PATH}/{export_id}").json
    assert (found["state"], found["rows"]) == ("incomplete", 2)
    assert "max_bytes" in found["reason"]


def test_what_cannot_be_asked(api: Api) -> None:
    assert "invalid format" in api.get(PATH, query='{app="x"}', format="xml").text
    assert api.get(PATH, query="{", format="txt").status == 400
    assert api.get(PATH, query='rate({app="x"}[1m])').status == 400
    assert api.get(f"{PATH}/0000").status == 404


def test_otlp_is_read_by_its_schema_and_comes_in_again(logs: Api) -> None:
    answer = exported(logs, "otlp")
    found = [Parse(line, ExportLogsServiceRequest()) for line in answer.body.splitlines()]
    records = [one.resource_logs[0].scope_logs[0].log_records[0] for one in found]
    assert [one.body.string_value for one in records] == HOSTILE
    assert state(logs, answer)["state"] == "complete"
    again = replace(logs, tenant=f"{logs.tenant}-again")
    for line in answer.body.splitlines():
        headers = {"Content-Type": "application/json"}
        assert again.send("POST", "/otlp/v1/logs", line, headers).status == 204
    came = exported(again, "jsonl", query='{service_name="x"}').body.splitlines()[:-1]
    assert [json.loads(line)["line"] for line in came] == HOSTILE
    first = exported(logs, "jsonl").body.splitlines()[:-1]
    assert [json.loads(line)["ts"] for line in came] == [json.loads(line)["ts"] for line in first]


def test_jsonl_comes_in_again_by_an_import(logs: Api, tmp_path: Path) -> None:
    """Labels, times, metadata and lines: the same export once more."""
    path, first = tmp_path / "out.jsonl", exported(logs, "jsonl").body
    path.write_bytes(first)
    tenant = f"{logs.tenant}-again"
    command = [
        *(sys.executable, "-m", "narfi.cli", "import", "logcli", str(path), "--to", logs.url),
        *("--to-tenant", tenant, "--state", str(tmp_path / "state"), "--verify"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert exported(replace(logs, tenant=tenant), "jsonl").body == first


def test_an_id_that_the_client_made_up(api: Api) -> None:
    """A browser that stores the file cannot read the answer's headers."""
    api.push({"app": "x"}, "a", "b")
    own = "0123456789abcdef"
    exported(api, "txt", id=own)
    found = api.get(f"{PATH}/{own}").json
    assert (found["state"], found["rows"], found["id"]) == ("complete", 2, own)
    asked = {"query": '{app="x"}', "format": "txt"}
    assert api.get(PATH, **asked, id=own).status == 400, "it is taken"
    for wrong in ("short", "0123456789ABCDEF", "../../etc/passwd", "0" * 65):
        assert api.get(PATH, **asked, id=wrong).status == 400
    assert replace(api, tenant=api.tenant + "2").get(f"{PATH}/{own}").status == 404
