"""Are searches saved, listed, replaced and removed, each tenant's own?"""

import json
import urllib.parse
from dataclasses import replace

from tests.served import Answer, Api

PATH = "/narfi/api/v1/saved"


def put(api: Api, name: str, body: object) -> Answer:
    """Save one."""
    data = json.dumps(body).encode()
    return api.send("PUT", f"{PATH}/{urllib.parse.quote(name)}", data, {})


def remove(api: Api, name: str) -> Answer:
    """Remove one."""
    return api.send("DELETE", f"{PATH}/{urllib.parse.quote(name)}", None, {})


def test_a_search_is_kept(api: Api) -> None:
    search = {"query": '{app="a"} |= "é"', "from": "now-6h", "to": "now", "columns": ["app"]}
    assert put(api, "failing requests", search).status == 204
    assert put(api, "another", {"query": "{}"}).status == 204
    found = api.get(PATH).json["saved"]
    assert [one["name"] for one in found] == ["another", "failing requests"]
    assert found[1] == {
        **search,
        "name": "failing requests",
        "view": "",
        "updated": found[1]["updated"],
        "by": found[1]["by"],
    }
    assert put(api, "another", {"query": '{app="b"}'}).status == 204
    assert api.get(PATH).json["saved"][0]["query"] == '{app="b"}'
    assert replace(api, tenant=api.tenant + "2").get(PATH).json == {"saved": []}
    assert remove(api, "another").status == 204
    assert remove(api, "another").status == 404
    assert len(api.get(PATH).json["saved"]) == 1


def test_what_is_refused(api: Api) -> None:
    assert put(api, "x", {"query": 7}).status == 400
    assert put(api, "x", {"view": "table"}).status == 400
    assert put(api, "x", {"query": "", "other": "1"}).status == 400
    assert put(api, "x", {"query": "", "columns": [1]}).status == 400
    assert put(api, "x" * 201, {"query": ""}).status == 400
    assert put(api, "a\nb", {"query": ""}).status == 400
    assert put(api, "x", {"query": "y" * 17_000}).status == 400
    assert api.send("PUT", f"{PATH}/x", b"{", {}).status == 400
    assert api.get(PATH).json == {"saved": []}
