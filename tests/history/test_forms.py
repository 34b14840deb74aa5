"""Is each form of file read as its writer meant it?"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from narfi.history.errors import HistoryError
from narfi.history.files.forms.elastic import ElasticLines
from narfi.history.files.forms.jsonl import JsonLines, LogcliLines
from narfi.history.files.forms.parts import CriLines, DockerLines
from narfi.history.files.forms.text import TextLines
from narfi.history.files.records import Form, Found, Names, NotUnderstood, Record, at_path

T = 1_700_000_000_000_000_000
ISO = "2023-11-14T22:13:20Z"


def read(form: Form, *lines: str) -> list[Found]:
    """All that is found in the lines of one file, a hundred bytes each."""
    raw = [line.encode() for line in lines]
    form.begin(raw, "")
    found = [one for k, line in enumerate(raw) for one in form.take(line, (0, 100 * k))]
    return [*found, *form.end()]


def shown(found: list[Found]) -> list[Any]:
    """(ns, labels, line, metadata), or the reason."""
    return [
        one.reason
        if isinstance(one, NotUnderstood)
        else (one.ts_ns - T, dict(one.labels), one.line.decode(), dict(one.metadata))
        for one in found
    ]


def dumps(value: Mapping[str, Any]) -> str:
    """As most programs write it."""
    return json.dumps(value, separators=(",", ":"))


def test_objects_are_whole_lines_unless_one_member_is() -> None:
    line = dumps({"ts": T // 10**9, "app": "a", "n": {"id": 7}, "msg": "hi", "x.y": "dotted"})
    assert shown(read(JsonLines(Names(), {"job": "j"}), line)) == [(0, {"job": "j"}, line, {})]
    names = Names(
        labels=(("app", "app"), ("none", "none")),
        metadata=(("id", "n.id"), ("xy", "x.y")),
        time="ts",
        line="msg",
    )
    expected = (0, {"job": "j", "app": "a"}, "hi", {"id": "7", "xy": "dotted"})
    assert shown(read(JsonLines(names, {"job": "j"}), line)) == [expected]


def test_objects_that_are_none() -> None:
    names = Names(time="ts", line="msg")
    lines = ['{"ts":', "[1]", '{"ts":"x"}', f'{{"ts":"{ISO}"}}', ""]
    reasons = [
        one.reason if isinstance(one, NotUnderstood) else ""
        for one in read(JsonLines(names, {}), *lines)
    ]
    assert reasons[0].startswith("no JSON:")
    assert reasons[1:] == ["no JSON object", "no time in ts", "no line in msg"]


def test_paths() -> None:
    value = {"a": {"b": {"c": 1}}, "a.b": {"d": 2}, "a.b.e": 3, "f": {"g.h": 4}}
    paths = ["a.b.c", "a.b.d", "a.b.e", "f.g.h", "a.x", "x", "a.b.c.d"]
    assert [at_path(value, path) for path in paths] == [1, 2, 3, 4, None, None, None]


def test_logcli_of_both_forms() -> None:
    found = read(
        LogcliLines({}),
        dumps(
            {"labels": {"app": "a"}, "line": "one", "timestamp": "2023-11-14T22:13:20.000000001Z"}
        ),
        dumps(
            {"labels": '{app="a"}', "line": "two", "timestamp": str(T + 2), "metadata": {"k": "v"}}
        ),
        '2023-11-14T22:13:20Z {app="a}\\"", job="j"} three {x="y"}',
        "2023-11-14T22:13:20Z                    four",
        "five",
        dumps({"narfi": {"complete": True}}),
    )
    assert shown(found) == [
        (1, {"app": "a"}, "one", {}),
        (2, {"app": "a"}, "two", {"k": "v"}),
        (0, {"app": 'a}"', "job": "j"}, 'three {x="y"}', {}),
        (0, {}, "                   four", {}),
        "no time at its beginning",
    ]


def test_bulk_bodies_and_elasticdump() -> None:
    document = {"@timestamp": ISO, "message": "hi", "kubernetes": {"labels": {"app": "a"}}}
    names = Names(labels=(("app", "kubernetes.labels.app"),), line="message")
    found = read(
        ElasticLines(names, {"job": "es"}),
        dumps({"index": {"_index": "logs-1", "_id": "x"}}),
        dumps(document),
        dumps({"create": {"_index": "logs-1"}}),
        dumps(document),
        dumps({"_index": "logs-2", "_id": "y", "_source": document, "_score": 1}),
        dumps({"delete": {"_index": "logs-1", "_id": "x"}}),
        dumps(document),
        dumps({"update": {"_id": "z"}}),
        dumps({"doc": document}),
        dumps({"index": {}}),
    )
    labels = {"job": "es", "app": "a"}
    assert shown(found) == [
        (0, labels, "hi", {"index": "logs-1", "id": "x"}),
        (0, labels, "hi", {"index": "logs-1"}),
        (0, labels, "hi", {"index": "logs-2", "id": "y"}),
        "it deletes a document",
        (0, labels, "hi", {}),
        (0, labels, "hi", {"id": "z"}),
        "its document is missing",
    ]


def test_a_document_without_a_named_line_is_whole() -> None:
    document = {"@timestamp": ISO, "a": {"b": [1, "ü"]}}
    (found,) = read(ElasticLines(Names(), {"j": "e"}), dumps({"_source": document}))
    assert isinstance(found, Record)
    assert json.loads(found.line) == document


def text_form(*, join: bool = False, layout: str = "") -> TextLines:
    """Text of a file of 2024."""
    return TextLines(
        {"job": "t"},
        layout=layout,
        location="",
        now=datetime(2024, 1, 1, tzinfo=UTC),
        join=join,
        name="file",
    )


LINES = ["banner", f"{ISO} one", "  at x", "  at y", "2023-11-14T22:13:21Z two"]


def test_lines_without_a_time_have_that_of_before() -> None:
    found = read(text_form(), *LINES)
    seconds = [one.ts_ns - T for one in found if isinstance(one, Record)]
    assert seconds == [0, 0, 0, 0, 10**9]
    assert [one[2] for one in shown(found)] == LINES


def test_joined_lines() -> None:
    found = read(text_form(join=True), *LINES)
    assert [one[2] for one in shown(found)] == ["banner", f"{ISO} one\n  at x\n  at y", LINES[-1]]
    assert [one.place for one in found] == [(0, 0), (0, 100), (0, 400)]


def test_text_without_any_time() -> None:
    with pytest.raises(HistoryError, match=r"file: no time in its first 2 lines.*--time-format"):
        read(text_form(), "one", "two")


def test_cri_parts_are_joined_by_stream() -> None:
    def at(k: int) -> str:
        return f"2023-11-14T22:13:20.00000000{k}Z"

    found = read(
        CriLines({"c": "x"}, (("pod", "p"),)),
        f"{at(1)} stdout P one ",
        f"{at(2)} stderr F err",
        f"{at(3)} stdout P two ",
        f"{at(4)} stdout F three",
        f"{at(5)} stdout F ",
        f"{at(6)} stdout P lost",
        "garbage",
    )
    out, err, pod = {"c": "x", "stream": "stdout"}, {"c": "x", "stream": "stderr"}, {"pod": "p"}
    assert shown(found) == [
        (2, err, "err", pod),
        (4, out, "one two three", pod),
        (5, out, "", pod),
        "no line of a container runtime",
        (6, out, "lost", pod),
    ]
    assert found[1].place == (0, 0), "the place of its first part"


def test_docker_parts() -> None:
    def line(log: str, stream: str = "stdout", k: int = 0) -> str:
        time = f"2023-11-14T22:13:20.00000000{k}Z"
        return dumps({"log": log, "stream": stream, "time": time})

    found = read(
        DockerLines({}),
        line("one ", k=1),
        line("err\n", "stderr", 2),
        line("two\n", k=3),
        line("\n", k=4),
        line("crlf\r\n", k=5),
        '{"log":"x"}',
    )
    assert [one if isinstance(one, str) else (one[0], one[2]) for one in shown(found)] == [
        (2, "err"),
        (3, "one two"),
        (4, ""),
        (5, "crlf"),
        "no line of Docker's json-file driver",
    ]
