"""What becomes of an export whose client goes away, or that its limits end in the middle?"""

import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import start, stop
from tests.served import Api

PATH = "/narfi/api/v1/export"
CONFIG = """
tenancy: header
limits:
  ingestion_rate_mb: 1000
  ingestion_burst_size_mb: 1000
  per_stream_rate_limit: 1GB
  per_stream_rate_limit_burst: 1GB
overrides: {little: {max_query_bytes_read: 20MB}}
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server that takes much at once."""
    folder = tmp_path_factory.mktemp("broken")
    config: Path = folder / "narfi.yaml"
    config.write_text(CONFIG)
    running = start(folder / "data", config, folder / "log")
    yield Api(running.url, "some", running.grpc)
    stop(running)


def push_much(api: Api) -> None:
    """300 lines of 200 kB: more than sockets hold, and several batches."""
    base = time.time_ns() - 10**9
    for first in range(0, 300, 30):
        lines = [f"{k} " + "x" * 200_000 for k in range(first, first + 30)]
        api.push({"app": "x"}, *lines, ts_ns=base + first)


def test_a_client_that_goes_away_ends_it(api: Api) -> None:
    """It is not taken to its end, and says so."""
    push_much(api)
    asked = urllib.parse.urlencode({"query": '{app="x"}', "format": "txt"})
    place = urllib.parse.urlsplit(api.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port)
    connection.request("GET", f"{PATH}?{asked}", headers={"X-Scope-OrgID": api.tenant})
    answer = connection.getresponse()
    export_id = answer.headers["X-Narfi-Export-Id"]
    assert answer.read(1000).startswith(b"0 xxx")
    running = api.get("/narfi/api/v1/queries").json["queries"]
    assert [one["route"] for one in running] == [PATH]
    answer.close()
    connection.close()
    until = time.monotonic() + 60
    while api.get(f"{PATH}/{export_id}").json["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.1)
    found = api.get(f"{PATH}/{export_id}").json
    assert (found["state"], found["rows"] < 300) == ("incomplete", True)
    assert api.get("/narfi/api/v1/queries").json["queries"] == []


def test_a_limit_in_the_middle_is_told(api: Api) -> None:
    """What a query may read ends an export behind its first lines, in the form's last line."""
    little = Api(api.url, "little", api.grpc)
    push_much(little)
    answer = little.get(PATH, query='{app="x"} |= "x"', format="jsonl")
    last = json.loads(answer.text.splitlines()[-1])["narfi"] if answer.status == 200 else {}
    told = last.get("error", answer.text)
    assert "would read too many bytes" in told
    lines = little.get("/narfi/api/v1/lines", query='{app="x"} |= "x"')
    assert lines.status == 400 or "too many bytes" in lines.text.splitlines()[-1]
