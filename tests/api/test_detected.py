"""Are labels, fields and their values found, each limit for what it limits?"""

import json
import time

import pytest

from tests.api.conftest import Api


@pytest.fixture
def logs(api: Api) -> Api:
    """Lines with four statuses, behind many other fields."""
    labels = {"app": "web", "shard": "7", "trace": "0f8fad5b-d9cb-469f-a165-70867728950e"}
    others = {f"field{n}": str(n) for n in range(5)}
    lines = [json.dumps({**others, "status": status}) for status in (200, 301, 404, 500)]
    api.push(labels, *lines)
    return api


def values(api: Api, **parameters: str) -> object:
    """Of the field `status`."""
    path = "/loki/api/v1/detected_field/status/values"
    return api.get(path, query='{app="web"}', **parameters).json


def test_the_limit_of_values_is_no_limit_of_fields(logs: Api) -> None:
    every = {"values": ["200", "301", "404", "500"], "limit": 1000}
    assert values(logs) == every
    assert values(logs, limit="2") == {"values": ["200", "301"], "limit": 2}
    assert values(logs, limit="1") == {"values": ["200"], "limit": 1}
    assert values(logs, field_limit="3") == {"values": ["200", "301", "404"], "limit": 3}
    assert values(logs, limit="2", field_limit="3") == {"values": ["200", "301"], "limit": 2}
    newest = values(logs, limit="2", line_limit="1")
    assert newest == {"values": ["500"], "limit": 2}
    assert values(logs, limit="10", line_limit="3") == {
        "values": ["301", "404", "500"],
        "limit": 10,
    }


def test_the_limit_of_fields(logs: Api) -> None:
    def fields(**parameters: str) -> list[tuple[str, int]]:
        answer = logs.get("/loki/api/v1/detected_fields", query='{app="web"}', **parameters).json
        assert answer["limit"] == int(parameters.get("limit", 1000))
        return [(f["label"], f["cardinality"]) for f in answer["fields"]]

    assert dict(fields())["status"] == 4
    assert len(fields()) == 7  # and detected_level
    assert len(fields(limit="2")) == 2
    assert dict(fields(line_limit="2"))["status"] == 2


def test_labels_whose_values_look_like_ids_are_shown(logs: Api) -> None:
    found = logs.get("/loki/api/v1/detected_labels", query='{app="web"}').json["detectedLabels"]
    assert {f["label"]: f["cardinality"] for f in found} == {
        "app": 1,
        "service_name": 1,
        "shard": 1,
        "trace": 1,
    }


def test_approx_topk_without_any_setting(api: Api) -> None:
    for app, lines in (("a", 3), ("b", 1), ("c", 2)):
        api.push({"app": app}, *(f"{n}" for n in range(lines)))
    query = 'approx_topk(2, sum by (app)(count_over_time({app=~".+"}[5m])))'
    answer = api.get("/loki/api/v1/query", query=query, time=str(time.time_ns() + 10**9))
    assert answer.status == 200
    found = {s["metric"]["app"]: s["value"][1] for s in answer.json["data"]["result"]}
    assert found == {"a": "3", "c": "2"}


@pytest.mark.parametrize(
    ("step", "status"), [("0", 400), ("-1", 400), ("1ms", 400), ("x", 400), ("1", 200), ("5m", 200)]
)
def test_steps_of_patterns(api: Api, step: str, status: int) -> None:
    parameters = {"query": '{app="a"}', "start": "1760000000", "end": "1760003600"}
    assert api.get("/loki/api/v1/patterns", step=step, **parameters).status == status
