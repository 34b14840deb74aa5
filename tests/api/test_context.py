"""Does `/narfi/api/v1/context` give the entries around one?"""

import time

from tests.served import Api

PATH = "/narfi/api/v1/context"


def test_around_a_line(api: Api) -> None:
    base = time.time_ns() - 10**10
    labels = {"app": "ctx", "service_name": "ctx"}
    api.push({"app": "ctx"}, *[f"line {k}" for k in range(9)], ts_ns=base)
    stream = '{app="ctx", service_name="ctx"}'
    found = api.get(PATH, stream=stream, ts=str(base + 4), before="2", after="3").json
    assert [one["line"] for one in found["before"]] == ["line 2", "line 3"]
    assert found["own"]["line"] == "line 4"
    assert found["own"]["labels"] == labels
    assert [one["line"] for one in found["after"]] == ["line 5", "line 6", "line 7"]
    assert found["warnings"] == []
    more = api.get(PATH, stream=stream, cursor=found["cursor_before"], before="10").json
    assert [one["line"] for one in more["before"]] == ["line 0", "line 1"]
    assert (more["own"], more["after"], more["cursor_before"]) == (None, [], None)
    more = api.get(PATH, stream=stream, cursor=found["cursor_after"], after="10").json
    assert [one["line"] for one in more["after"]] == ["line 8"]
    assert more["cursor_after"] is None


def test_of_streams_with_the_same_app(api: Api) -> None:
    base = time.time_ns() - 10**10
    for pod in "abc":
        api.push({"app": "many", "pod": pod}, f"of {pod}", ts_ns=base)
    stream = '{app="many", pod="b", service_name="many"}'
    found = api.get(PATH, stream=stream, ts=str(base), labels="app").json
    lines = [one["line"] for one in (*found["before"], found["own"], *found["after"])]
    assert sorted(lines) == ["of a", "of b", "of c"]
    alone = api.get(PATH, stream=stream, ts=str(base)).json
    assert (alone["before"], alone["own"]["line"], alone["after"]) == ([], "of b", [])


def test_what_cannot_be_asked(api: Api) -> None:
    for parameters, text in (
        ({}, "stream not set"),
        ({"stream": '{app=~"a"}', "ts": "1"}, "must name each label"),
        ({"stream": '{app="a"}'}, "ts not set"),
        ({"stream": '{app="a"}', "cursor": "AQ", "before": "1"}, "invalid cursor"),
        ({"stream": '{app="a"}', "cursor": "AQ"}, "with a cursor"),
        ({"stream": '{app="a"}', "ts": "1", "before": "1000000"}, "max entries limit"),
    ):
        answer = api.get(PATH, **parameters)
        assert (answer.status, text in answer.text) == (400, True), answer.text
