"""Does Grafana's alerting find everything as it reads it? Strictly: unknown keys break its pages.

Its own shapes and requests: the probe, the list with every parameter at once, pages, edit, delete.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.served import Answer, Api

RULES, ALERTS = "/prometheus/api/v1/rules", "/prometheus/api/v1/alerts"
CONFIG = "/api/prom/rules"
YAML = {"Content-Type": "application/yaml"}
GROUP_KEYS = {
    "name": str,
    "interval": str,
    "limit": int,
    "query_offset": str,
    "source_tenants": list,
    "evaluation_delay": str,
    "align_evaluation_time_on_interval": bool,
    "rules": list,
}
RULE_KEYS = {
    "record": str,
    "alert": str,
    "expr": str,
    "for": str,
    "keep_firing_for": str,
    "labels": dict,
    "annotations": dict,
}
SAVED = {
    "name": "{name}",
    "interval": "1s",
    "limit": 100,
    "query_offset": "1s",
    "rules": [
        {
            "alert": "Seen",
            "expr": 'sum by (host) (count_over_time({app="g"}[1h])) > 0',
            "for": "0s",
            "keep_firing_for": "1m",
            "labels": {"severity": "page"},
            "annotations": {"summary": "{{ $labels.host }} <&>"},
        },
        {"alert": "Waits", "expr": 'count_over_time({app="g"}[1h]) > 0', "for": "1h"},
        {"record": "g:lines", "expr": 'sum(count_over_time({app="g"}[1h]))'},
        {"alert": "Broken", "expr": '{app="g"}'},
    ],
}
"""As the form of a rule saves it."""
EVERY_PARAMETER = {
    "file": "ns",
    "file[]": "ns",
    "rule_group": "one",
    "rule_group[]": "one",
    "rule_name": "Seen",
    "rule_name[]": "Seen",
    "exclude_alerts": "true",
    "limit_alerts": "16",
    "dashboard_uid": "d",
    "panel_id": "1",
}


def save(api: Api, name: str) -> None:
    body = yaml.safe_dump({**SAVED, "name": name}).encode()
    answer = api.send("POST", f"{CONFIG}/ns", body, YAML)
    assert answer.status == 202
    assert "json" in answer.headers["content-type"]


def read_yaml(answer: Answer) -> Any:
    assert answer.status == 200
    assert "yaml" in answer.headers["content-type"]
    return yaml.safe_load(answer.body)


def read_json(answer: Answer) -> Any:
    assert answer.status == 200
    assert "json" in answer.headers["content-type"]
    found = answer.json
    assert found["status"] == "success"
    return found["data"]


def check_keys(found: Mapping[str, Any], known: Mapping[str, type], *needed: str) -> None:
    assert set(needed) <= set(found)
    for key, value in found.items():
        assert key in known, f"Grafana refuses {key}"
        assert isinstance(value, known[key]), (key, value)


def check_group(group: Mapping[str, Any]) -> None:
    """Decoded strictly when a rule is edited."""
    check_keys(group, GROUP_KEYS, "name", "rules")
    for rule in group["rules"]:
        check_keys(rule, RULE_KEYS, "expr")
        assert ("record" in rule) != ("alert" in rule)


Kind = type | tuple[type, ...]
NUMBER: Kind = (int, float)
LISTED_GROUP: Mapping[str, Kind] = {
    "name": str,
    "file": str,
    "rules": list,
    "interval": NUMBER,
    "limit": int,
    "lastEvaluation": str,
    "evaluationTime": NUMBER,
}
LISTED_RULE: Mapping[str, Kind] = {
    "name": str,
    "query": str,
    "labels": dict,
    "health": str,
    "lastError": str,
    "type": str,
    "lastEvaluation": str,
    "evaluationTime": NUMBER,
}
LISTED_ALERTING: Mapping[str, Kind] = {
    **LISTED_RULE,
    "state": str,
    "duration": NUMBER,
    "keepFiringFor": NUMBER,
    "annotations": dict,
    "alerts": list,
}
ALERT = {
    "labels": dict,
    "annotations": dict,
    "state": str,
    "activeAt": str,
    "keepFiringSince": str,
    "value": str,
}


def check_listed(group: Mapping[str, Any]) -> None:
    assert set(group) == set(LISTED_GROUP)
    for key, kind in LISTED_GROUP.items():
        assert isinstance(group[key], kind), key
    for rule in group["rules"]:
        known = LISTED_ALERTING if rule["type"] == "alerting" else LISTED_RULE
        assert set(known) - {"keepFiringFor"} <= set(rule) <= set(known)
        for key, value in rule.items():
            assert isinstance(value, known[key]), key
        assert rule["health"] in ("ok", "err", "unknown")
        assert rule.get("state", "inactive") in ("firing", "pending", "inactive", "unknown")
        for alert in rule.get("alerts", ()):
            check_alert(alert)


def check_alert(alert: Mapping[str, Any]) -> None:
    assert set(ALERT) - {"keepFiringSince"} <= set(alert) <= set(ALERT)
    for key, value in alert.items():
        assert isinstance(value, ALERT[key]), key
    assert alert["state"] in ("firing", "pending")
    assert not math.isnan(float(alert["value"]))
    assert all(isinstance(value, str) for value in alert["labels"].values())


@pytest.fixture
def evaluated(api: Api) -> Api:
    """A tenant whose groups were evaluated."""
    api.push({"app": "g", "host": "web"}, "a line")
    for name in ("one", "three", "two"):
        save(api, name)
    until = time.monotonic() + 90
    while True:
        groups = read_json(api.get(RULES))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        done = len(rules) == 12 and all(rule["health"] != "unknown" for rule in rules)
        states = {rule["name"]: set[str]() for rule in rules}
        for rule in rules:
            states[rule["name"]].add(rule.get("state", ""))
        if done and states["Seen"] == {"firing"} and states["Waits"] == {"pending"}:
            return api
        assert time.monotonic() < until, groups
        time.sleep(0.1)


def test_the_probe_and_a_server_without_rules(api: Api) -> None:
    probe = api.get(f"{CONFIG}/test/test")
    assert (probe.status, probe.text.strip()) == (404, "group does not exist")
    nothing = api.get(CONFIG)
    assert (nothing.status, nothing.text.strip()) == (404, "no rule groups found")
    assert read_json(api.get(RULES)) == {"groups": []}
    assert read_json(api.get(ALERTS)) == {"alerts": []}


def test_what_is_listed(evaluated: Api) -> None:
    groups = read_json(evaluated.get(RULES))["groups"]
    assert [(group["file"], group["name"]) for group in groups] == [
        ("ns", "one"), ("ns", "three"), ("ns", "two"),
    ]  # fmt: skip
    for group in groups:
        check_listed(group)
    seen, waits, lines, broken = groups[0]["rules"]
    assert [alert["labels"] for alert in seen["alerts"]] == [
        {"alertname": "Seen", "host": "web", "severity": "page"}
    ]
    assert seen["alerts"][0]["annotations"] == {"summary": "web <&>"}
    assert (waits["state"], lines["type"]) == ("pending", "recording")
    assert broken["health"] == "err"
    assert "not a vector or scalar" in broken["lastError"]
    alerts = read_json(evaluated.get(ALERTS))["alerts"]
    assert {alert["labels"]["alertname"] for alert in alerts} == {"Seen", "Waits"}
    for alert in alerts:
        check_alert(alert)


def test_every_parameter_at_once(evaluated: Api) -> None:
    (group,) = read_json(evaluated.get(RULES, None, **EVERY_PARAMETER))["groups"]
    check_listed(group)
    (rule,) = group["rules"]
    assert (group["name"], rule["name"], rule["alerts"]) == ("one", "Seen", [])


def test_pages_hold_every_group_once(evaluated: Api) -> None:
    names: list[str] = []
    token: dict[str, str] = {}
    while True:
        data = read_json(evaluated.get(RULES, None, group_limit="1", **token))
        names += [group["name"] for group in data["groups"]]
        if "groupNextToken" not in data:
            break
        token = {"group_next_token": data["groupNextToken"]}
    assert names == ["one", "three", "two"]


def test_a_rule_is_edited_and_removed(evaluated: Api) -> None:
    listed = read_yaml(evaluated.get(CONFIG))
    assert set(listed) == {"ns"}
    for group in listed["ns"]:
        check_group(group)
    group = read_yaml(evaluated.get(f"{CONFIG}/ns/one"))
    check_group(group)
    assert group["rules"][0]["keep_firing_for"] == "1m"
    group["rules"][0]["labels"]["severity"] = "ticket"
    body = yaml.safe_dump(group).encode()
    assert evaluated.send("POST", f"{CONFIG}/ns", body, YAML).status == 202
    again = read_yaml(evaluated.get(f"{CONFIG}/ns/one"))
    assert again == group
    assert evaluated.send("DELETE", f"{CONFIG}/ns/one", None, {}).status == 202
    assert evaluated.get(f"{CONFIG}/ns/one").status == 404
    assert evaluated.send("DELETE", f"{CONFIG}/ns", None, {}).status == 202
    assert evaluated.get(CONFIG).status == 404
    wrong = evaluated.send("POST", f"{CONFIG}/ns", b"name: x\nrules: [{alert: A, expr: '('}]", YAML)
    assert wrong.status == 400
    assert "could not parse expression" in wrong.text


def test_names_with_line_breaks_work_as_every_other(api: Api) -> None:
    body = b"name: g\nrules: []\n"
    for escaped, name in ("a%0Ab", "a\nb"), ("a%0A", "a\n"), ("a%250Ab", "a\nb"):
        path = f"/loki/api/v1/rules/{escaped}"
        assert api.send("POST", path, body, YAML).status == 202
        assert list(yaml.safe_load(api.get(path).text)) == [name]
        assert api.get(f"{path}/g").status == 200
        assert api.send("DELETE", path, None, {}).status == 202


@pytest.mark.parametrize(("text", "left_out"), [("true", True), ("1", True), ("0", False)])
def test_alerts_are_left_out_for_any_word_of_go(api: Api, text: str, left_out: bool) -> None:
    body = b"name: g\ninterval: 1s\nrules: [{alert: A, expr: vector(1)}]\n"
    assert api.send("POST", "/loki/api/v1/rules/ns", body, YAML).status == 202
    until = time.monotonic() + 60
    while not api.get(ALERTS).json["data"]["alerts"]:
        assert time.monotonic() < until
        time.sleep(0.1)
    ((rule,),) = [g["rules"] for g in api.get(RULES, exclude_alerts=text).json["data"]["groups"]]
    assert (rule["alerts"] == []) is left_out


def test_errors_of_very_many_rules_are_cut(api: Api) -> None:
    body = "name: g\nrules:\n" + "- {alert: A}\n" * 5000
    answer = api.send("POST", "/loki/api/v1/rules/ns", body.encode(), YAML)
    assert answer.status == 400
    assert answer.text.startswith("field 'expr' must be set in rule, field 'expr'")
    assert answer.text.endswith("characters in all)\n")
    assert len(answer.text) < 66_000
