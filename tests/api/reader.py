"""How does Grafana's data source read an answer? Strictly, and sensitive to the order of keys.

Written from reference/grafana-contract.md §3; raises `ContractError` where that reader would fail
or read something else than was meant.
"""

import json
from typing import Any

FLOATS = ("NaN", "+Inf", "-Inf")
Pairs = list[tuple[str, Any]]


class ContractError(AssertionError):
    """The reader would not understand this."""


def require(condition: bool, message: str) -> None:
    """Fail with a reason."""
    if not condition:
        raise ContractError(message)


class Obj(dict[str, Any]):
    """An object that remembers the order of its keys and refuses repeated ones."""

    def __init__(self, pairs: Pairs) -> None:
        super().__init__(pairs)
        require(len(self) == len(pairs), f"a key is there twice: {pairs}")
        require("" not in self, "a key is empty")
        self.order = [name for name, _ in pairs]


def read_answer(body: bytes) -> Obj:
    """A checked answer of `query` or `query_range`; its `data`."""
    answer = json.loads(body, object_pairs_hook=Obj)
    require(answer.get("status") == "success", "status")
    data = answer["data"]
    order = [k for k in data.order if k in ("resultType", "encodingFlags", "result", "stats")]
    expected = [k for k in ("resultType", "encodingFlags", "result", "stats") if k in data]
    require(order == expected, f"order of keys: {order}")
    match data["resultType"]:
        case "streams":
            _streams(data)
        case "matrix":
            for series in data["result"]:
                _metric(series["metric"])
                for point in series["values"]:
                    _point(point)
                times = [t for t, _ in series["values"]]
                require(times == sorted(set(times)), "times ascend")
        case "vector":
            for sample in data["result"]:
                _metric(sample["metric"])
                _point(sample["value"])
        case "scalar":
            _point(data["result"])
        case other:
            raise ContractError(f"unknown result type: {other}")
    _stats(data.get("stats"))
    return data  # type: ignore[no-any-return]


def _streams(data: Obj) -> None:
    flagged = "categorize-labels" in data.get("encodingFlags", [])
    for stream in data["result"]:
        require(stream.order == ["stream", "values"], f"keys of a stream: {stream.order}")
        _strings(stream["stream"])
        require("" not in stream["stream"].values(), "an empty label")
        for entry in stream["values"]:
            require(len(entry) == (3 if flagged else 2), f"entry of {len(entry)} elements")
            require(isinstance(entry[0], str) and entry[0].isdigit(), "time is text of ns")
            require(isinstance(entry[1], str), "line is text")
            if flagged:
                require(set(entry[2]) <= {"structuredMetadata", "parsed"}, str(entry[2]))
                for labels in entry[2].values():
                    _strings(labels)


def _strings(labels: Obj) -> None:
    require(all(isinstance(value, str) for value in labels.values()), f"values: {labels}")


def _metric(labels: Obj) -> None:
    _strings(labels)
    require("" not in labels.values(), f"an empty label: {labels}")


def _point(point: list[Any]) -> None:
    require(len(point) == 2, "a point has two elements")
    require(
        isinstance(point[0], int | float) and not isinstance(point[0], bool), "time is a number"
    )
    require(isinstance(point[1], str), "value is text")
    if point[1] not in FLOATS:
        float(point[1])
        require(point[1][0] in "-0123456789", f"value {point[1]}")


def _stats(stats: Any) -> None:
    if stats is None:
        return
    summary = stats["summary"]
    for name in ("bytesProcessedPerSecond", "totalBytesProcessed", "totalLinesProcessed"):
        require(isinstance(summary[name], int), name)
    require(isinstance(summary["execTime"], int | float), "execTime")
