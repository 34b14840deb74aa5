"""Does what was pushed twice across a flush count once, wherever it is counted?"""

import time

import pytest

from tests.api.conftest import Api

START = time.time_ns() // (60 * 10**9) * 60 * 10**9 - 600 * 10**9
SELECTOR = '{app="twice"}'
RANGE = {"start": str(START), "end": str(START + 600 * 10**9)}


def line(number: int) -> str:
    """80 lines of two levels, each 30 bytes."""
    level = "error" if number % 4 == 0 else "info "
    return f"level={level} msg=done took={number:06d}"


@pytest.fixture
def twice(api: Api) -> Api:
    """A tenant whose entries are in a block, in a second block, and in the head, in part."""
    for first, end in ((0, 80), (40, 80), (0, 60)):
        for number in range(first, end):
            api.push({"app": "twice"}, line(number), ts_ns=START + number * 5 * 10**9)
        if end == 80:
            assert api.send("POST", "/flush", None, {}).status == 204
    return api


def count(api: Api, query: str) -> dict[str, int]:
    """Value by level of an instant query at the end of the range."""
    answer = api.get("/loki/api/v1/query", query=query, time=str(int(RANGE["end"]) - 1))
    found = answer.json["data"]["result"]
    return {s["metric"].get("detected_level", ""): int(s["value"][1]) for s in found}


def volume(api: Api, path: str, **parameters: str) -> dict[str, list[int]]:
    """Values by the metric's labels."""
    answer = api.get(f"/loki/api/v1/index/{path}", query=SELECTOR, **RANGE, **parameters)
    assert answer.status == 200, answer.text
    result = answer.json["data"]["result"]
    return {
        ",".join(f"{n}={v}" for n, v in s["metric"].items()): [
            int(value) for _, value in s.get("values", [s.get("value")])
        ]
        for s in result
    }


def test_everything_counts_once(twice: Api) -> None:
    size = len(line(0))
    assert count(twice, f"sum(count_over_time({SELECTOR}[10m]))") == {"": 80}
    by_level = count(twice, f"sum by (detected_level)(count_over_time({SELECTOR}[10m]))")
    assert by_level == {"error": 20, "info": 60}
    stats = twice.get("/loki/api/v1/index/stats", query=SELECTOR, **RANGE).json
    assert (stats["entries"], stats["bytes"], stats["streams"]) == (80, 80 * size, 1)
    half = {**RANGE, "end": str(START + 200 * 10**9 - 1)}
    stats = twice.get("/loki/api/v1/index/stats", query=SELECTOR, **half).json
    assert (stats["entries"], stats["bytes"]) == (40, 40 * size)
    assert volume(twice, "volume") == {"app=twice": [80 * size]}
    steps = volume(twice, "volume_range", step="200")["app=twice"]
    assert sum(steps) == pytest.approx(80 * size, abs=len(steps))
    patterns = twice.get("/loki/api/v1/patterns", query=SELECTOR, **RANGE).json["data"]
    assert sum(n for p in patterns if p["level"] == "info" for _, n in p["samples"]) == 60
    fields = twice.get(
        "/loki/api/v1/detected_fields", query=SELECTOR, line_limit="1000", **RANGE
    ).json["fields"]
    assert {f["label"]: f["cardinality"] for f in fields}["took"] == 80
    assert len(twice.get("/loki/api/v1/series", **RANGE).json["data"]) == 1


def test_volume_by_level(twice: Api) -> None:
    size = len(line(0))
    levels = {"detected_level=info": [60 * size], "detected_level=error": [20 * size]}
    assert volume(twice, "volume", targetLabels="detected_level") == levels
    both = volume(twice, "volume", targetLabels="app,detected_level")
    assert both == {f"app=twice,{level}": size for level, size in levels.items()}
    name = volume(twice, "volume", targetLabels="detected_level", aggregateBy="labels")
    assert name == {"detected_level=": [80 * size]}
    ranged = volume(twice, "volume_range", targetLabels="detected_level", step="60")
    # a minute is 12 lines: 3 errors; the last bucket holds the last 8 lines
    assert ranged == {
        "detected_level=info": [9 * size] * 6 + [6 * size],
        "detected_level=error": [3 * size] * 6 + [2 * size],
    }
    assert volume(twice, "volume", targetLabels="nosuch") == {}


def test_the_limit_of_volume_holds_in_each_bucket(api: Api) -> None:
    minute = 60 * 10**9
    for app, sizes in (("twice", (9, 1, 5)), ("b", (1, 9, 5)), ("c", (4, 4, 0))):
        for k, length in enumerate(sizes):
            if length:
                api.push({"app": app, "k": str(k)}, "x" * length, ts_ns=START + k * minute)
    parameters = {"query": '{app=~".+"}', "step": "60", "limit": "1", **RANGE}
    answer = api.get("/loki/api/v1/index/volume_range", **parameters).json["data"]["result"]
    found = {s["metric"]["app"]: [int(v) for _, v in s["values"]] for s in answer}
    assert found == {"twice": [9], "b": [9, 5]}  # of equal ones the first by name
