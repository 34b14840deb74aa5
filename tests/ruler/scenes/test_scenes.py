"""Do real receivers hold, after each recorded scene, what they should? `make scenes`.

Times are the recording's, laid on our slots; what differs on purpose is said where it is compared.
"""

import math
import os
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.ruler.scenes.gate import STALE
from tests.ruler.scenes.stage import Stage, recorded, stage

pytestmark = pytest.mark.skipif(
    not os.environ.get("NARFI_TEST_SCENES"), reason="eight minutes of waiting: make scenes"
)
QUEUE = {"batch_send_deadline": "1s", "min_backoff": "100ms", "max_backoff": "1s"}

EARLIER_S = 0.9
"""Lines are pushed so much before their recorded time, between the same slots: a push may take a
while, and the recorded one was answered 60 ms before a slot."""

Series = dict[frozenset[tuple[str, str]], dict[float, str]]
"""Values by time, as texts: `stale` ends a series."""


def written(there: Stage) -> Series:
    """Every sample that was taken, times as the recording has them."""
    found: Series = {}
    for passed in there.written.passed():
        if passed.status < 300:
            for labels, at_ms, value in passed.samples:
                at = round(at_ms / 1000 - there.zero, 2)
                found.setdefault(frozenset(labels.items()), {})[at] = text_of(value)
    return found


def text_of(value: float) -> str:
    if struct.pack("<d", value) == struct.pack("<Q", STALE):
        return "stale"
    return "NaN" if math.isnan(value) else f"{value:g}"


def expected_series(there: Stage, scene: Any) -> Series:
    """As recorded, until the rules were removed."""
    found: Series = {}
    for one in scene["series"]:
        values = found.setdefault(frozenset(one["labels"].items()), {})
        for at, value in one["samples"]:
            if one["labels"]["__name__"] == "ALERTS_FOR_STATE" and value != "StaleNaN":
                value = math.floor(there.zero + value + 0.99)  # shown relative: whole seconds
            text = {"StaleNaN": "stale", "NaN": "NaN"}.get(str(value)) or f"{float(value):g}"
            values[round(at, 2)] = text
    return found


def play(there: Stage, scene: Any) -> None:
    """Push, ask and delete at the recorded times."""
    for event in scene["log"]:
        there.wait(event["at"] - (EARLIER_S if "push" in event else 0.0))
        if push := event.get("push"):
            lines = [f"{push['word']} {k}" for k in range(push["lines"])]
            there.api.push({"app": "scn", "host": push["host"]}, *lines)
        elif "api_alerts" in event:
            wanted = {
                (name, host): (state, round(active, 2), value)
                for name, host, state, active, value in event["api_alerts"]
            }
            got = there.alerts()
            for key in {key for key in wanted | got if key[0] != "BoomKeep"}:
                assert got.get(key) == wanted.get(key), (event["at"], key)
        elif event["rules"].startswith("DELETE"):
            assert there.api.send("DELETE", "/loki/api/v1/rules/scn", None, {}).status == 202


def test_the_scenario(tmp_path: Path) -> None:
    scene = recorded("scenario")
    names = ("poll_interval", "resend_delay", "external_url", "external_labels")
    ruler = {name: scene["settings"][name] for name in names}
    ruler["alert_relabel_configs"] = scene["settings"]["alert_relabel_configs"]
    ruler["alertmanager_client"] = scene["settings"]["alertmanager_client"]
    ours = scene["settings"]["remote_write"]
    client = {name: ours[name] for name in ("headers", "basic_auth", "write_relabel_configs")}
    with stage(tmp_path, ruler, {**client, "queue_config": QUEUE}) as there:
        there.begin("scn", "scn", 3.074)
        there.wait(0.0)
        there.post("scn", scene["rules"])
        play(there, scene)
        there.wait(118)
        check_notices(there, scene)
        check_series(there, scene)
        assert there.held() == {}, "all were told to be over"
        first = there.told.passed()[0]
        assert first.headers["authorization"] == "Basic dTpw"
        assert {one["labels"].get("cluster") for one in first.alerts} == {"bench"}
        assert {one["labels"].get("zone") for one in first.alerts} == {None}
        wrote = there.written.passed()[0].headers
        assert (wrote["x-extra"], wrote["authorization"]) == ("yes", "Basic cnc6cHc=")


def rounded(alert: list[Any]) -> tuple[Any, ...]:
    return (*alert[:2], round(alert[2], 2), round(alert[3], 2))


def check_notices(there: Stage, scene: Any) -> None:
    wanted = Counter(
        rounded(alert)
        for batch in scene["notifications"]
        if batch["to"] == "am1" and batch["at"] < 109
        for alert in batch["alerts"]
        if alert[0] != "BoomKeep"
    )
    notices = there.notices()
    assert Counter(one for at, one in notices if one[0] != "BoomKeep" and at < 109) == wanted
    ends = [one[3] for at, one in notices if one[0] == "NoLines" and at > 109]
    assert len(ends) == 1, "removed while it fired: told to be over"
    assert 109.9 < ends[0] < 113
    kept = [one for _, one in notices if one[0] == "BoomKeep" and one[1] == "a"]
    assert {one[2] for one in kept} == {18.07}
    assert min(one[3] for one in kept if one[3] < 90) == 78.07, "20 s longer than it was seen"


def check_series(there: Stage, scene: Any) -> None:
    wanted, got = expected_series(there, scene), written(there)
    for labels in wanted.keys() | got.keys():
        named = dict(labels)
        values = {at: value for at, value in got.get(labels, {}).items() if at < 109}
        if named.get("alertname") == "BoomKeep":
            continue  # honoured here
        if named.get("alertname") == "NoLines":  # from the first evaluation on, there the third
            values = {at: value for at, value in values.items() if at > 9}
        assert values == wanted.get(labels), named
    for labels, samples in there.kept('{__name__=~".+"}').items():
        numbers = {round(at_ms / 1000 - there.zero, 2): text_of(value) for at_ms, value in samples}
        sent = {at: value for at, value in got[labels].items() if value != "stale"}
        assert numbers == sent, dict(labels)
    assert len(there.kept('{__name__=~".+"}')) == len(got)


def test_a_restart(tmp_path: Path) -> None:
    """Kill -9: what fired fires on, what waited waits on; the recorded server begins anew."""
    scene = recorded("restart")
    ruler = {"resend_delay": "15s", "poll_interval": "1s"}
    with stage(tmp_path, ruler, {"queue_config": QUEUE}) as there:
        there.begin("rs", "rs", 3.86)
        there.wait(0.0)
        there.api.push({"app": "rs", "host": "old"}, "a line")
        there.post("rs", scene["rules"])
        there.wait(65.06)
        there.api.push({"app": "rs", "host": "new"}, "a line")
        there.wait(77.06)
        before = there.alerts()
        there.again()
        there.wait(96)
        assert there.alerts()["VeryLong", "old"] == ("pending", 3.86, "1e+00")
        there.wait(130)
        after = there.alerts()
        for (name, host), (state, active, _) in before.items():
            wanted = "firing" if name == "VeryLong" and host == "old" else None
            wanted = wanted or ("firing" if name == "Long" else state)
            assert after[name, host][:2] == (wanted, active), (name, host)
        starts: dict[tuple[str, str], set[float]] = {}
        for _, (name, host, begin, end) in there.notices():
            starts.setdefault((name, host), set()).add(begin)
            assert end > begin + 55, "nothing was told to be over"
        assert {len(found) for found in starts.values()} == {1}
        assert starts["VeryLong", "old"] == {123.86}
        assert set(there.held()) == set(starts)
        since = there.kept('ALERTS_FOR_STATE{alertname="Long",host="old"}')
        ((_, samples),) = since.items()
        assert {value for _, value in samples} == {math.floor(there.zero + 3.86)}


def test_receivers_that_fail(tmp_path: Path) -> None:
    """As recorded, but that alerts are tried again at once and 429 keeps its samples."""
    scene = recorded("faults")
    ruler = {"resend_delay": "15s", "poll_interval": "1s"}
    with stage(tmp_path, ruler, {"queue_config": QUEUE}) as there:
        there.begin("f", "f", 2.3)
        there.told.answers += [(500, {}, 0.0)] * 2
        there.wait(0.01)
        there.post("f", scene["rules"])
        for at, answers in (
            (30.01, [(500, {}, 0.0)] * 6),
            (52.01, [(429, {"Retry-After": "3"}, 0.0)]),
            (66.01, [(400, {}, 0.0)]),
            (80.02, [(503, {"Retry-After": "4"}, 0.0)] * 2),
        ):
            there.wait(at)
            there.written.answers += answers
        there.wait(100.03)
        there.told.answers.append((200, {}, 12.0))
        there.wait(135.05)
        assert there.api.send("DELETE", "/loki/api/v1/rules/f", None, {}).status == 202
        there.wait(145)
        statuses = [passed.status for passed in there.told.passed()]
        assert statuses[:3] == [500, 500, 200]
        first = [passed.at for passed in there.told.passed()[:3]]
        assert 0.4 < first[1] - first[0] < 3
        assert 0.8 < first[2] - first[1] < 5
        assert there.held() == {}
        refused = [passed for passed in there.written.passed() if passed.status == 400]
        lost = {round(at / 1000 - there.zero, 1) for _, at, _ in refused[0].samples}
        assert len(refused) == 1
        slots = {round(2.3 + 5 * k, 1) for k in range(27)}
        for name in ("f:x", "ALERTS", "ALERTS_FOR_STATE"):
            ((_, samples),) = there.kept(name).items()
            kept = [round(at / 1000 - there.zero, 1) for at, _ in samples]
            assert kept == sorted(slots - lost), name
        waited = [p.at for p in there.written.passed() if p.status == 503]
        assert 3.9 < waited[1] - waited[0] < 8
