"""Does a preview name what a delete request then removes, and the receipt what it removed?"""

from tests.api.conftest import Api
from tests.api.test_deletes import NS, START, create, wait_until_processed

PATH = "/narfi/api/v1/deletes"


def test_preview_then_receipt(api: Api) -> None:
    for app in "ab":
        texts = (f"{app} keep", f"{app} secret 1", f"{app} secret 22", f"{app} other")
        api.push({"app": app}, *texts, ts_ns=START * NS)
    asked = {"query": '{app="a"} |= "secret"', "start": str(START), "end": str(START + 9)}
    found = api.get(f"{PATH}/preview", **asked).json
    assert (found["rows"], found["bytes"]) == (2, len("a secret 1") + len("a secret 22"))
    assert (found["oldest"]["line"], found["newest"]["line"]) == ("a secret 1", "a secret 22")
    assert [one["line"] for one in found["sample"]] == ["a secret 22", "a secret 1"]
    assert found["warnings"] == []
    answer = create(api, **asked)
    request_id = answer.headers["x-delete-request-id"]
    receipt = api.get(f"{PATH}/{request_id}/receipt").json
    assert (receipt["id"], receipt["query"]) == (request_id, asked["query"])
    assert (receipt["start"], receipt["end"]) == (str(START * NS), str((START + 9) * NS))
    wait_until_processed(api)
    receipt = api.get(f"{PATH}/{request_id}/receipt").json
    assert (receipt["state"], receipt["rows"]) == ("processed", found["rows"])
    assert receipt["bytes"] == found["bytes"]
    assert int(receipt["finished_at"]) > int(receipt["requested_at"])
    gone = api.get(f"{PATH}/preview", **asked).json
    assert (gone["rows"], gone["oldest"], gone["sample"]) == (0, None, [])


def test_both_ends_are_within(api: Api) -> None:
    api.push({"app": "a"}, "first", ts_ns=START * NS)
    api.push({"app": "a"}, "last", ts_ns=(START + 5) * NS)
    asked = {"query": '{app="a"}', "start": str(START), "end": str(START + 5)}
    assert api.get(f"{PATH}/preview", **asked).json["rows"] == 2


def test_what_cannot_be_deleted_has_no_preview(api: Api) -> None:
    for query, start in (('{app="a"} | json', "1"), ("", "1"), ('{app="a"}', "")):
        answer = api.get(f"{PATH}/preview", query=query, start=start)
        assert answer.status == 400, answer.text
    assert api.get(f"{PATH}/00000000/receipt").status == 404
