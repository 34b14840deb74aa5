"""Are deletions refused, listed, cancelled and done as they say?"""

import time
import urllib.parse

import pytest

from tests.api.conftest import Answer, Api

PATH = "/loki/api/v1/delete"
NS = 1_000_000_000
START = 1_760_000_000


def create(api: Api, **parameters: str) -> Answer:
    """Ask for a deletion."""
    return api.send("POST", f"{PATH}?{urllib.parse.urlencode(parameters)}", b"", {})


def lines(api: Api) -> list[str]:
    """All lines that are visible."""
    times = {"start": str(START), "end": str(START + 1000)}
    result = api.get("/loki/api/v1/query_range", query='{app=~".+"}', limit="1000", **times)
    return sorted(line for s in result.json["data"]["result"] for _, line in s["values"])


def wait_until_processed(api: Api) -> None:
    """Until the tenant's only request is done."""
    until = time.monotonic() + 120
    while [request["status"] for request in api.get(PATH).json] != ["processed"]:
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.fixture
def logs(api: Api) -> Api:
    """Six lines in two streams."""
    for app in ("a", "b"):
        texts = (f"{app} keep", f"{app} secret", f"{app} status=500")
        api.push({"app": app}, *texts, ts_ns=START * NS)
    return api


def test_matching_lines_go_and_nothing_else(logs: Api) -> None:
    before = lines(logs)
    answer = create(logs, query='{app="a"} |= "secret"', start=str(START - 1), end=str(START + 9))
    assert answer.status == 204
    request_id = answer.headers["x-delete-request-id"]
    assert len(request_id) == 8
    assert logs.get(PATH).json[0]["status"] == "received"
    without = [line for line in before if line != "a secret"]
    assert lines(logs) == without
    wait_until_processed(logs)
    assert lines(logs) == without
    receipt = logs.get(PATH).json[0]
    assert receipt["deleted_entries"] == 1
    assert receipt["deleted_bytes"] == len("a secret")
    answer = logs.send("DELETE", f"{PATH}?request_id={request_id}", None, {})
    assert answer.status == 400
    assert "already processed" in answer.text


def test_a_request_can_be_cancelled_while_it_waits(logs: Api) -> None:
    before = lines(logs)
    made = create(logs, query='{app="a"}', start=str(START - 1), end=str(START + 9))
    request_id = made.headers["x-delete-request-id"]
    assert logs.send("DELETE", f"{PATH}?request_id={request_id}", None, {}).status == 204
    assert logs.get(PATH).json == []
    # a later request for what nobody sent: when it is done, the cancelled one's time is over too
    create(logs, query='{app="b"} |= "absent"', start=str(START - 1), end=str(START + 9))
    wait_until_processed(logs)
    assert lines(logs) == before
    assert logs.send("DELETE", f"{PATH}?request_id=00000000", None, {}).status == 404


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"start": "1"}, "query not set"),
        ({"query": '{app="a"}'}, "start time not set"),
        ({"query": '{app="a"}', "start": "12"}, "invalid start time"),
        ({"query": '{app="a"}', "start": str(START), "end": "x"}, "invalid end time"),
        ({"query": '{app="a"}', "start": "9999999999"}, "deletes in the future"),
        ({"query": '{app="a"}', "start": str(START), "end": str(START)}, "can't be greater"),
        ({"query": "{app=", "start": str(START)}, "invalid query expression"),
        ({"query": 'rate({app="a"}[1m])', "start": str(START)}, "invalid query expression"),
        ({"query": '{app="a"} | json', "start": str(START)}, "invalid query expression"),
        ({"query": '{app="a"}', "start": str(START), "max_interval": "x"}, "valid time units"),
        ({"query": '{app="a"}', "start": str(START), "max_interval": "48h"}, "24h0m0s"),
    ],
)
def test_what_is_refused(api: Api, parameters: dict[str, str], told: str) -> None:
    answer = create(api, **parameters)
    assert answer.status == 400
    assert told in answer.text


def test_no_more_pending_requests_than_allowed(api: Api) -> None:
    asked = {"query": '{app="a"}', "start": str(START - 1), "end": str(START + 9)}
    made = [create(api, **asked) for _ in range(3)]
    assert [answer.status for answer in made] == [204, 204, 429]
    assert "has 2 delete requests that are not done, which is the limit" in made[2].text
    assert "max_pending_delete_requests" in made[2].text
    request_id = made[0].headers["x-delete-request-id"]
    assert api.send("DELETE", f"{PATH}?request_id={request_id}", None, {}).status == 204
    assert create(api, **asked).status == 204
