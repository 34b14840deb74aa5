"""Does each shipped alert fire when it should, and only then? Prometheus' own promtool decides."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.alerts import FILE, GROUPS, METRIC, ROOT, RULES, scaled
from tests.deploy.helm_renderer import objects_of, render, values_of

OPERATIONS = (ROOT / "docs/operations.md").read_text()
METRICS = (ROOT / "docs/metrics.md").read_text() + (ROOT / "docs/agent.md").read_text()
PARTS = ("_bucket", "_sum", "_count")
"""Of a histogram."""

ME = 'job="narfi", instance="n:3100"'
AGENT = 'job="narfi-agent", instance="a:9080"'
CERTIFICATE = "narfi_certificate_expiry_timestamp_seconds"
MINUTES = 300
"""Of samples."""


def constant(value: float) -> str:
    """The same value each minute."""
    return f"{value}+0x{MINUTES}"


def rising(step: float, first: float = 0) -> str:
    """Each minute so much more."""
    return f"{first}{step:+}x{MINUTES}"


@dataclass(frozen=True)
class Case:
    """Series that make an alert fire, and when it must be firing at the latest."""

    series: dict[str, str]
    at: str
    not_yet: str = "0m"


def requests(status: str, **more: str) -> str:
    """The name of a counter of pushes."""
    labels = {"route": "/loki/api/v1/push", "method": "POST"} | more
    shown = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return f'loki_request_duration_seconds_count{{{ME}, {shown}, status_code="{status}"}}'


def buckets(name: str, *, all_within: str) -> dict[str, str]:
    """A histogram of ten a minute, all between two bounds."""
    bounds = ("0.5", "1.0", "5.0", "10.0", "+Inf")
    found, inside = {}, False
    for bound in bounds:
        inside = inside or bound == all_within
        found[f'{name}_bucket{{{ME}, le="{bound}"}}'] = rising(10) if inside else constant(0)
    return found


FAILING = {requests("204"): rising(60), requests("500"): rising(6)}
CASES = {
    "NarfiIsDown": Case({f"up{{{ME}}}": f"1x5 0x{MINUTES}"}, "9m", "7m"),
    "NarfiIsNotReady": Case({f"narfi_ready{{{ME}}}": constant(0)}, "16m", "14m"),
    "NarfiRequestsFail": Case(FAILING, "12m", "4m"),
    "NarfiUnexpectedErrors": Case(
        {f"narfi_unexpected_errors_total{{{ME}}}": f"0x9 1x{MINUTES}"}, "13m", "9m"
    ),
    "NarfiRefusesConnections": Case(
        {f'narfi_refused_requests_total{{{ME}, reason="busy"}}': rising(3)}, "8m", "4m"
    ),
    "NarfiWrongTokens": Case(
        {f'narfi_sign_ins_total{{{ME}, result="wrong"}}': rising(120)}, "13m", "9m"
    ),
    "NarfiJournalFails": Case(
        {f"narfi_journal_commit_failures_total{{{ME}}}": f"0x9 1x{MINUTES}"}, "12m", "9m"
    ),
    "NarfiJournalIsSlow": Case(
        buckets("narfi_journal_commit_duration_seconds", all_within="5.0"), "13m", "9m"
    ),
    "NarfiLostRecords": Case({f"narfi_journal_lost_frames{{{ME}}}": constant(3)}, "2m"),
    "NarfiFlushIsStuck": Case(
        {
            f"narfi_oldest_unflushed_seconds{{{ME}}}": rising(60),
            f"narfi_flush_age_seconds{{{ME}}}": constant(300),
        },
        "27m",
        "24m",
    ),
    "NarfiFlushesFail": Case({f"narfi_flush_failures_total{{{ME}}}": rising(1)}, "13m", "9m"),
    "NarfiHeadsAreFull": Case(
        {
            f"narfi_unflushed_bytes{{{ME}}}": constant(90),
            f"narfi_max_unflushed_bytes{{{ME}}}": constant(100),
        },
        "6m",
        "4m",
    ),
    "NarfiRefusesEntries": Case(
        {f'loki_discarded_samples_total{{{ME}, reason="line_too_long", tenant="a"}}': rising(1)},
        "13m",
        "9m",
    ),
    "NarfiDiskFills": Case(
        {
            f"narfi_disk_free_bytes{{{ME}}}": rising(-10, 3000),
            f"narfi_disk_min_free_bytes{{{ME}}}": constant(800),
        },
        "40m",
        "29m",
    ),
    "NarfiDiskIsFull": Case(
        {
            f"narfi_disk_free_bytes{{{ME}}}": constant(700),
            f"narfi_disk_min_free_bytes{{{ME}}}": constant(800),
        },
        "6m",
        "4m",
    ),
    "NarfiDamagedBlocks": Case({f"narfi_quarantined_blocks{{{ME}}}": constant(1)}, "2m"),
    "NarfiUnknownBlocks": Case({f"narfi_lost_found_folders{{{ME}}}": constant(1)}, "2m"),
    "NarfiPlaceIsAway": Case(
        {f'narfi_storage_reachable{{{ME}, part="objects"}}': constant(0)}, "3m", "1m"
    ),
    "NarfiCatalogFails": Case(
        {f'narfi_catalog_request_failures_total{{{ME}, operation="write"}}': rising(1)},
        "8m",
        "4m",
    ),
    "NarfiObjectsFail": Case(
        {f'narfi_object_request_failures_total{{{ME}, operation="put"}}': rising(10)},
        "10m",
        "4m",
    ),
    "NarfiReaderHangs": Case({f"narfi_longest_reader_seconds{{{ME}}}": rising(60)}, "37m", "34m"),
    "NarfiQueriesTimeOut": Case(
        {
            f'narfi_queries_total{{{ME}, type="log_range", outcome="ok"}}': rising(10),
            f'narfi_queries_total{{{ME}, type="log_range", outcome="timeout"}}': rising(1),
        },
        "13m",
        "9m",
    ),
    "NarfiQueriesWait": Case(buckets("narfi_query_wait_seconds", all_within="10.0"), "13m", "9m"),
    "NarfiScanProcessesAreLost": Case(
        {f"narfi_scan_processes_lost_total{{{ME}}}": rising(1)}, "14m"
    ),
    "NarfiUpkeepFails": Case(
        {f'narfi_upkeep_jobs_failed{{{ME}, kind="merge"}}': constant(1)}, "181m", "179m"
    ),
    "NarfiUpkeepIsLate": Case(
        {f'narfi_upkeep_last_success_timestamp_seconds{{{ME}, task="compaction"}}': constant(0)},
        "77m",
        "74m",
    ),
    "NarfiRulesAreNotInForce": Case(
        {f"narfi_ruler_load_problems{{{ME}}}": constant(1)}, "11m", "9m"
    ),
    "NarfiRulesFail": Case(
        {
            "loki_prometheus_rule_evaluation_failures_total"
            f'{{{ME}, user="a", rule_group="ns;g"}}': rising(1)
        },
        "13m",
        "9m",
    ),
    "NarfiRulesAreMissed": Case(
        {
            "loki_prometheus_rule_group_iterations_missed_total"
            f'{{{ME}, user="a", rule_group="ns;g"}}': rising(1)
        },
        "13m",
        "9m",
    ),
    "NarfiAlertsAreNotSent": Case(
        {
            "loki_prometheus_notifications_dropped_total"
            f'{{{ME}, user="a", alertmanager="http://am"}}': rising(1)
        },
        "4m",
    ),
    "NarfiCanaryIsLate": Case(
        {
            f"narfi_canary_last_success_timestamp_seconds{{{ME}}}": constant(0),
            f"narfi_canary_written_total{{{ME}}}": constant(5),
        },
        "7m",
        "4m",
    ),
    "NarfiCanaryMissesLines": Case(
        {f'narfi_canary_missing_total{{{ME}, by="query"}}': f"0x9 1x{MINUTES}"}, "13m", "9m"
    ),
    "NarfiConfigurationIsNotInForce": Case(
        {f"narfi_config_last_reload_successful{{{ME}}}": constant(0)}, "6m", "4m"
    ),
    "NarfiCertificateEnds": Case(
        {f'{CERTIFICATE}{{{ME}, certificate="server"}}': constant(10**6)},
        "61m",
        "59m",
    ),
    "NarfiAgentIsDown": Case({f"up{{{AGENT}}}": constant(0)}, "6m", "4m"),
    "NarfiAgentDropsEntries": Case(
        {f'promtail_dropped_entries_total{{{AGENT}, host="h", reason="spool_full"}}': rising(1)},
        "4m",
    ),
    "NarfiAgentLosesLines": Case(
        {f'promtail_unread_lines_total{{{AGENT}, reason="damaged"}}': f"0x9 1x{MINUTES}"},
        "13m",
        "9m",
    ),
    "NarfiAgentCannotSend": Case(
        {
            f'promtail_request_duration_seconds_count{{{AGENT}, status_code="204"}}': rising(1),
            f'promtail_request_duration_seconds_count{{{AGENT}, status_code="503"}}': rising(9),
        },
        "13m",
        "9m",
    ),
}

HEALTHY = {
    f"up{{{ME}}}": constant(1),
    f"up{{{AGENT}}}": constant(1),
    f"narfi_ready{{{ME}}}": constant(1),
    requests("204"): rising(6000),
    requests("400"): rising(600),
    requests("503"): rising(60),
    requests("503", route="/ready", method="GET"): rising(60),
    f"narfi_unexpected_errors_total{{{ME}}}": constant(3),
    f'narfi_refused_requests_total{{{ME}, reason="busy"}}': constant(3),
    f'narfi_refused_requests_total{{{ME}, reason="large"}}': rising(30),
    f'narfi_sign_ins_total{{{ME}, result="wrong"}}': rising(10),
    f'narfi_sign_ins_total{{{ME}, result="ok"}}': rising(6000),
    f"narfi_journal_commit_failures_total{{{ME}}}": constant(2),
    **buckets("narfi_journal_commit_duration_seconds", all_within="1.0"),
    f"narfi_journal_lost_frames{{{ME}}}": constant(0),
    f"narfi_oldest_unflushed_seconds{{{ME}}}": constant(400),
    f"narfi_flush_age_seconds{{{ME}}}": constant(300),
    f"narfi_flush_failures_total{{{ME}}}": constant(2),
    f"narfi_unflushed_bytes{{{ME}}}": constant(50),
    f"narfi_max_unflushed_bytes{{{ME}}}": constant(100),
    f'loki_discarded_samples_total{{{ME}, reason="line_too_long", tenant="a"}}': constant(7),
    f"narfi_disk_free_bytes{{{ME}}}": rising(-10, 9_000_000),
    f"narfi_disk_min_free_bytes{{{ME}}}": constant(800),
    f"narfi_quarantined_blocks{{{ME}}}": constant(0),
    f"narfi_lost_found_folders{{{ME}}}": constant(0),
    f'narfi_storage_reachable{{{ME}, part="objects"}}': constant(1),
    f'narfi_catalog_request_failures_total{{{ME}, operation="write"}}': constant(0),
    f'narfi_object_request_failures_total{{{ME}, operation="put"}}': rising(1),
    f"narfi_longest_reader_seconds{{{ME}}}": constant(60),
    f'narfi_queries_total{{{ME}, type="log_range", outcome="ok"}}': rising(100),
    f'narfi_queries_total{{{ME}, type="log_range", outcome="timeout"}}': rising(1),
    **buckets("narfi_query_wait_seconds", all_within="1.0"),
    f"narfi_scan_processes_lost_total{{{ME}}}": constant(1),
    f'narfi_upkeep_jobs_failed{{{ME}, kind="merge"}}': f"1x100 0x{MINUTES}",
    f'narfi_upkeep_last_success_timestamp_seconds{{{ME}, task="compaction"}}': rising(60),
    f'narfi_upkeep_last_success_timestamp_seconds{{{ME}, task="keys of tokens"}}': constant(0),
    f"narfi_ruler_load_problems{{{ME}}}": constant(0),
    f"narfi_canary_last_success_timestamp_seconds{{{ME}}}": constant(0),  # it is off
    f"narfi_canary_written_total{{{ME}}}": constant(0),
    f'narfi_canary_missing_total{{{ME}, by="query"}}': constant(0),
    f"narfi_config_last_reload_successful{{{ME}}}": constant(1),
    f'{CERTIFICATE}{{{ME}, certificate="server"}}': constant(10**7),
    f'promtail_dropped_entries_total{{{AGENT}, host="h", reason="spool_full"}}': constant(4),
    f'promtail_unread_lines_total{{{AGENT}, reason="damaged"}}': constant(1),
    f'promtail_request_duration_seconds_count{{{AGENT}, status_code="204"}}': rising(9),
    f'promtail_request_duration_seconds_count{{{AGENT}, status_code="503"}}': rising(1),
}
"""What may be, all at once."""


def firing(alert: str, at: str, count: int) -> dict[str, Any]:
    """A check: so many alerts of a name fire at a time."""
    found = [{"labels": "{}", "value": count}] if count else []
    expr = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    return {"expr": expr, "eval_time": at, "exp_samples": found}


def scenario(series: dict[str, str], checks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": checks,
    }


def run_promtool(folder: Path, tests: list[dict[str, Any]]) -> str:
    """What promtool says where something is wrong."""
    if shutil.which("promtool") is None:
        pytest.skip("no promtool (make programs)")
    file = folder / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(FILE)], "tests": tests}))
    command = ["promtool", "test", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_every_alert_fires_when_it_should(tmp_path: Path) -> None:
    assert CASES.keys() == RULES.keys()
    tests = []
    for name, case in CASES.items():
        checks = [firing(name, case.at, 1), firing(name, case.not_yet, 0)]
        tests.append(scenario(case.series, checks))
    assert run_promtool(tmp_path, tests) == ""


def test_no_alert_fires_where_all_is_well(tmp_path: Path) -> None:
    checks = [firing(name, at, 0) for name in RULES for at in ("5m", "30m", "90m", "4h")]
    assert run_promtool(tmp_path, [scenario(HEALTHY, checks)]) == ""


def test_promtool_would_tell(tmp_path: Path) -> None:
    checks = [firing("NarfiIsDown", "9m", 1)]
    assert "FAILED" in run_promtool(tmp_path, [scenario(HEALTHY, checks)])


@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_what_somebody_needs(name: str) -> None:
    rule = RULES[name]
    assert rule["for"]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    page, anchor = rule["annotations"]["runbook"].split("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.M)
    anchors = [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings]
    assert anchors.count(anchor) == 1
    text = OPERATIONS.split(f"### {name}\n")[1].split("\n#")[0]
    assert len(text.split()) > 8, "says what to do"


def test_alerts_are_on_metrics_that_exist() -> None:
    named = set(METRIC.findall(FILE.read_text()))
    assert len(named) > 30
    unknown = {name for name in named if f"`{name}`" not in METRICS}
    whole = {name.removesuffix(part) for name in unknown for part in PARTS if name.endswith(part)}
    assert {name for name in whole if f"`{name}`" not in METRICS} == set()
    assert all(name.endswith(PARTS) for name in unknown)


def test_links_of_the_runbooks_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", OPERATIONS, re.M)
    anchors = {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}
    section = OPERATIONS.split("## Alerts\n")[1].split("\n## ")[0]
    targets = re.findall(r"\]\(#([^)]+)\)", section)
    assert len(targets) > 8
    assert [one for one in targets if one not in anchors] == []


def test_the_chart_has_the_same_alerts() -> None:
    (rule,) = objects_of(render(values_of("roles-full")), "PrometheusRule")
    assert rule["spec"]["groups"] == GROUPS
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert objects_of(render(values_of("single-safe")), "PrometheusRule") == []


def test_shorter_times_are_for_tests_alone() -> None:
    found = {r["alert"]: r for g in yaml.safe_load(scaled(60))["groups"] for r in g["rules"]}
    assert found.keys() == RULES.keys()
    assert found["NarfiIsNotReady"]["for"] == "15s"
    assert found["NarfiLostRecords"]["for"] == "1s"
    assert "[5s]" in found["NarfiRequestsFail"]["expr"]
    assert "(4 * 3600) / 60)" in found["NarfiDiskFills"]["expr"]
    assert "> (180) / 60)" in found["NarfiCanaryIsLate"]["expr"]
