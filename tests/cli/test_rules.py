"""Do `narfi rules` commands say what a server would, and bring it what files hold?"""

import json
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from narfi.cli.main import app
from narfi.core.errors import AppError
from tests.ruler.remote_write.receiver import metrics_receiver
from tests.served import Api

MINUTE_NS = 60 * 10**9
RULES = """\
groups:
- name: shop
  interval: 1m
  rules:
  - alert: Errors
    expr: sum by (app) (count_over_time({app="web"} |= "error" [5m])) > 2
    for: 2m
    annotations: {summary: "{{ $labels.app }}: {{ $value }} errors"}
  - record: app:lines
    expr: sum by (app) (count_over_time({app="web"}[5m]))
    labels: {team: shop}
"""
CASES = """\
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
- name: errors
  interval: 1m
  input_streams:
  - labels: '{app="web", pod="a"}'
    lines: ["error 1", ok, {line: error, times: 8}, null, {line: last, at: 20m, metadata: {t: x}}]
  alert_rule_test:
  - {eval_time: 3m, alertname: Errors}
  - eval_time: 6m
    alertname: Errors
    exp_alerts: [{exp_labels: {app: web}, exp_annotations: {summary: "web: 5 errors"}}]
  recording_rule_test:
  - {eval_time: 2m, record: "app:lines", exp_samples: [{labels: {app: web, team: shop}, value: 3}]}
  logql_expr_test:
  - expr: 'sum(count_over_time({app="web"}[10m]))'
    eval_time: 2m
    exp_samples: [{labels: '{}', value: 3}]
  - expr: '{app="web"} |= "error"'
    eval_time: 2m
    exp_logs: ["error 1", {line: error, timestamp: 2m}]
  - {expr: '{app="web"} | t="x"', eval_time: 20m, exp_logs: [{line: last, timestamp: 20m}]}
"""


def narfi(*arguments: str, code: int = 0) -> tuple[str, str]:
    """What `narfi rules` prints on both outputs."""
    done = CliRunner().invoke(app, ["rules", *arguments])
    err = done.stderr
    if isinstance(done.exception, AppError):
        err += f"narfi: {done.exception.message}\n"
    elif done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.stdout + err
    return done.stdout, err


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


# -- test ------------------------------------------------------------------------------------------


def test_cases_that_hold_and_cases_that_do_not(rules: Path) -> None:
    cases = rules.with_name("cases.yaml")
    cases.write_text(CASES)
    out, err = narfi("test", str(cases))
    assert (out, err) == (f"{cases}: 1 cases hold\n", "")

    cases.write_text(
        CASES.replace("web: 5 errors", "web: 6 errors")
        .replace("value: 3}]}", "value: 4}]}")
        .replace("timestamp: 2m", "timestamp: 3m")
        .replace("exp_logs: [{line: last", "exp_logs: [{line: first")
    )
    out, _ = narfi("test", str(cases), code=1)
    name = '{alertname="Errors", app="web"}'
    assert out.splitlines() == [
        f"{cases}: errors: {text}"
        for text in (
            'series app:lines at 2m: {app="web", team="shop"} is 3.0, not 4.0',
            'query {app="web"} |= "error" at 2m: line 2 is of 2m, not 3m',
            f"alert Errors at 6m: not there: {name} with {{'summary': 'web: 6 errors'}}",
            f"alert Errors at 6m: not expected: {name} with {{'summary': 'web: 5 errors'}}",
            "query {app=\"web\"} | t=\"x\" at 20m: line 1 is 'last', not 'first'",
        )
    ]


def test_the_example_of_the_docs(tmp_path: Path) -> None:
    docs = (Path(__file__).parents[2] / "docs/ruler.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", docs, re.S)
    (group,) = [text for text in examples if text.startswith("name: ")]
    (cases,) = [text for text in examples if text.startswith("rule_files: ")]
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump({"groups": [yaml.safe_load(group)]}))
    path = tmp_path / "cases.yaml"
    path.write_text(cases)
    assert narfi("test", str(path))[0] == f"{path}: 1 cases hold\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rule_files: [none.yaml]\ntests: []", "no rule file is named none.yaml"),
        ("tests: [{input_streams: [{labels: 'app'}]}]", "line 1: parse error"),
        ("tests: [{inputs: []}]", "line 1: unknown key 'inputs'"),
        ("tests: [{input_streams: [{labels: {a: b}, lines: [{times: 9999999}]}]}]", "`times` must"),
    ],
)
def test_a_test_file_that_cannot_be_used(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text(text)
    out, _ = narfi("test", str(path), code=1)
    assert out.startswith(f"{path}: ")
    assert reason in out


def test_a_rule_that_cannot_be_evaluated_fails_its_case(rules: Path) -> None:
    rules.write_text(RULES.replace('|= "error"', '|~ "("'))
    cases = rules.with_name("cases.yaml")
    cases.write_text(CASES)
    out, _ = narfi("test", str(cases), code=1)
    assert "alert Errors at 3m: rule evaluation failed" in out


# -- eval and backfill -----------------------------------------------------------------------------


def pushed(api: Api) -> int:
    """A minute in the past, at which the first of ten lines was written, a minute apart."""
    first = (time.time_ns() // MINUTE_NS - 30) * MINUTE_NS
    for k in range(10):
        api.push({"app": "web"}, "an error", ts_ns=first + k * MINUTE_NS)
    return first


def moment(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns / 1e9, UTC).isoformat()


def at(api: Api) -> list[str]:
    """Flags that name server and tenant."""
    return ["--addr", api.url, "--org-id", api.tenant, "--quiet"]


def test_what_rules_would_say_then(api: Api, rules: Path) -> None:
    first = pushed(api)
    out, _ = narfi("eval", str(rules), *at(api), "--at", moment(first + 6 * MINUTE_NS))
    assert out.splitlines() == [
        'shop: Errors: pending {alertname="Errors", app="web"} 5',
        "    summary: web: 5 errors",
        'shop: app:lines: {app="web", team="shop"} 5',
    ]
    out, _ = narfi("eval", str(rules), *at(api), "--at", moment(first - MINUTE_NS))
    assert out.splitlines() == ["shop: Errors: nothing", "shop: app:lines: nothing"]


def test_what_rules_would_have_said_over_a_time(api: Api, rules: Path) -> None:
    first = pushed(api)
    span = ["--from", moment(first - 90 * 10**9), "--to", moment(first + 20 * MINUTE_NS)]
    out, _ = narfi("eval", str(rules), *at(api), *span)
    name = '{alertname="Errors", app="web"}'
    lines = [line for line in out.splitlines() if not line.startswith(" ")]
    assert lines == [
        f"{_zulu(first + 2 * MINUTE_NS)} shop: Errors: pending {name} 3",
        f"{_zulu(first + 4 * MINUTE_NS)} shop: Errors: firing {name} 5",
        f"{_zulu(first + 12 * MINUTE_NS)} shop: Errors: inactive {name} 3",
        "shop: app:lines: 14 samples",
    ]


def _zulu(ts_ns: int) -> str:
    return moment(ts_ns).replace("+00:00", "Z")


def expected(first: int) -> list[tuple[int, float]]:
    """Times in ms and values of the recorded series: lines of the five minutes before."""
    counts = [(k, sum(k - 5 < line <= k for line in range(10))) for k in range(20)]
    return [((first + k * MINUTE_NS) // 10**6, float(n)) for k, n in counts if n]


def test_recorded_series_of_a_time_that_has_passed_are_written(api: Api, rules: Path) -> None:
    first = pushed(api)
    span = ["--from", moment(first - 90 * 10**9), "--to", moment(first + 20 * MINUTE_NS)]
    with metrics_receiver() as receiver:
        receiver.answers[""] = [(503, {})]
        url = ["--remote-write", receiver.url]
        _, err = narfi("backfill", str(rules), *at(api), *span, *url)
        values = receiver.wait_for(15)
    assert err == "15 samples\n"  # the last one ends the series
    assert [(ts, value) for _, _, ts, value in values[:-1]] == expected(first)
    assert {name for _, name, _, _ in values} == {"app:lines/web/shop"}
    assert values[-1][2] == (first + 14 * MINUTE_NS) // 10**6
    assert values[-1][3] != values[-1][3]


def test_a_receiver_that_refuses_ends_the_backfill(api: Api, rules: Path) -> None:
    first = pushed(api)
    span = ["--from", moment(first), "--to", moment(first + 9 * MINUTE_NS)]
    with metrics_receiver() as receiver:
        receiver.answers[""] = [(400, {})]
        url = ["--remote-write", receiver.url]
        _, err = narfi("backfill", str(rules), *at(api), *span, *url, code=1)
    assert err.startswith(f"narfi: {receiver.url} answered 400")
    assert len(receiver.requests) == 1


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: make programs")
def test_a_file_becomes_blocks_of_prometheus(api: Api, rules: Path, tmp_path: Path) -> None:
    first = pushed(api)
    span = ["--from", moment(first), "--to", moment(first + 20 * MINUTE_NS)]
    file, blocks = tmp_path / "series.txt", tmp_path / "blocks"
    narfi("backfill", str(rules), *at(api), *span, "--output-file", str(file))
    make = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(file), str(blocks)]
    subprocess.run(make, check=True, capture_output=True)
    (blocks / "wal").mkdir()  # which the reader looks for
    dump = ["promtool", "tsdb", "dump", str(blocks)]
    out = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    found = [line.rpartition("} ")[2].split() for line in out.splitlines()]
    assert [(int(ts), float(value)) for value, ts in found] == expected(first)
    assert all('__name__="app:lines", app="web", team="shop"' in line for line in out.splitlines())


# -- the rules of a server -------------------------------------------------------------------------


def test_files_and_server_are_compared_and_made_equal(api: Api, rules: Path) -> None:
    out, err = narfi("diff", str(rules), *at(api), code=1)
    assert "+name: shop\n" in out
    assert err == ""
    out, err = narfi("load", str(rules), *at(api))
    assert (out, err) == ("rules | shop: made\n", "1 groups brought, 0 removed\n")
    assert narfi("diff", str(rules), *at(api)) == ("", "")
    assert narfi("list", *at(api)) == ("rules | shop\n", "")
    assert "alert: Errors\n" in narfi("get", "rules", "shop", *at(api))[0]
    assert narfi("print", *at(api))[0].startswith("rules:\n")

    odd = rules.with_name("odd name.yaml")
    odd.write_text("namespace: a/b\ngroups: [{name: 'x/y', rules: []}]")
    rules.write_text(RULES.replace("> 2", "> 3"))
    out, _ = narfi("diff", str(rules), str(odd), *at(api), code=1)
    assert '-      expr: sum by (app) (count_over_time({app="web"} |= "error" [5m])) > 2' in out
    out, _ = narfi("sync", str(rules), str(odd), *at(api))
    assert out == "a/b | x/y: made\nrules | shop: changed\n"
    out, _ = narfi("sync", str(odd), *at(api), "--ignored-namespaces", "rules")
    assert out == ""
    out, _ = narfi("sync", str(odd), *at(api))
    assert out == "rules | shop: removed\n"
    narfi("delete", "a/b", "x/y", *at(api))
    assert narfi("list", *at(api)) == ("", "")


def test_what_the_commands_refuse(api: Api, rules: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(RULES.replace("> 2", "> > 2"))
    assert "could not parse expression" in narfi("sync", str(bad), *at(api), code=1)[1]
    assert "there are no recording rules" in narfi(
        "backfill", str(rules), *at(api), "--from", moment(0), "--rule", "Errors",
        "--output-file", str(tmp_path / "x"), code=1,
    )[1]  # fmt: skip
    assert "no rule is named X" in narfi("eval", str(rules), *at(api), "--rule", "X", code=1)[1]
    assert narfi("list", "--addr", "http://127.0.0.1:9", code=1)[1].startswith("http://127.0.0.1:9")
    assert json.loads(api.get("/prometheus/api/v1/rules").text)["status"] == "success"
