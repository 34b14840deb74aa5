"""Is it told before an import what at the target stands against it, and which setting to change?"""

import httpx
import pytest

from narfi.history.loki.asking import Asker
from narfi.history.pace import Pace
from narfi.history.patience import Patience
from narfi.history.preflight import Limits, Wanted, ask_limits, findings, of_source

DAY_NS = 86_400 * 10**9
NOW = 1_000 * DAY_NS
OPEN = {"reject_old_samples": False, "retention_period": 0, "ingestion_rate_mb": 0}


def wanted(days: float = 90, rate: float = 1e6, streams: int = 10) -> Wanted:
    """History of so many days."""
    return Wanted(
        start_ns=NOW - int(days * DAY_NS),
        end_ns=NOW,
        now_ns=NOW,
        rate_bytes=rate,
        body_bytes=1 << 20,
        streams=streams,
    )


@pytest.mark.parametrize(
    ("changed", "blocks", "told"),
    [
        (
            {"reject_old_samples": True, "reject_old_samples_max_age": 7 * DAY_NS},
            True,
            "older than 7 days are refused, and the oldest here may be 90 days old: set "
            "limits_config.reject_old_samples: false",
        ),
        ({"retention_period": 30 * DAY_NS}, True, "deleted after 30 days"),
        ({"out_of_order_window": 3600 * 10**9}, True, "1.0 hours behind the newest"),
        ({"ingestion_burst_size_mb": 0.5}, True, "larger than the allowed burst"),
        ({"ingestion_rate_mb": 0.5}, False, "may push 0.5 MB/s"),
        ({"per_stream_rate_limit": 1000}, False, "a stream may have"),
        ({"max_global_streams_per_user": 9}, True, "10 streams are to be imported, 9 are allowed"),
        ({"allow_structured_metadata": False}, True, "structured metadata are refused"),
    ],
)
def test_each_limit(changed: dict[str, object], blocks: bool, told: str) -> None:
    (found,) = findings(Limits(OPEN | changed, {}), wanted())
    assert found.blocks is blocks
    assert told in found.text


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"reject_old_samples": True, "reject_old_samples_max_age": 91 * DAY_NS},
        {"retention_period": 91 * DAY_NS},
        {"ingestion_rate_mb": 1.0, "ingestion_burst_size_mb": 1.0},
        {"max_global_streams_per_user": 10},
    ],
)
def test_limits_that_let_it_in(changed: dict[str, object]) -> None:
    assert findings(Limits(OPEN | changed, {}), wanted()) == []


@pytest.mark.parametrize(("days", "told"), [(29, 0), (31, 1)])
def test_a_source_that_shows_the_last_days_only(days: int, told: int) -> None:
    found = of_source(Limits({"max_query_lookback": 30 * DAY_NS}, {}), wanted(days))
    assert len(found) == told
    assert of_source(Limits({"max_query_lookback": 0}, {}), wanted(days)) == []


def asker_of(answer: httpx.Response, other: httpx.Response | None = None) -> Asker:
    """A target that answers so at Narfi's address, else at Loki's."""

    def reply(request: httpx.Request) -> httpx.Response:
        return answer if request.url.path.startswith("/narfi") else other or httpx.Response(404)

    client = httpx.Client(transport=httpx.MockTransport(reply))
    return Asker(client, "http://target", "t", Patience(1, lambda _: None), pace=Pace(0))


def test_narfi_names_the_setting_of_the_tenant() -> None:
    rows = [
        {
            "name": "reject_old_samples",
            "limit": True,
            "unit": "",
            "setting": "overrides.t.reject_old_samples",
        },
        {"name": "reject_old_samples_max_age", "limit": 604800.0, "unit": "s", "setting": "x"},
    ]
    limits = ask_limits(asker_of(httpx.Response(200, json={"limits": rows})))
    assert isinstance(limits, Limits)
    (found,) = findings(limits, wanted())
    assert "set overrides.t.reject_old_samples: false" in found.text


def test_loki_tells_what_it_publishes() -> None:
    text = "reject_old_samples: true\nreject_old_samples_max_age: 1w\nmax_line_size: 256KB\n"
    limits = ask_limits(asker_of(httpx.Response(404), httpx.Response(200, text=text)))
    assert isinstance(limits, Limits)
    assert limits.values["reject_old_samples_max_age"] == 7 * DAY_NS
    assert len(findings(limits, wanted())) == 1


@pytest.mark.parametrize(
    ("answer", "other", "told"),
    [
        (httpx.Response(403), None, "does not let us ask for its limits"),
        (httpx.Response(404), None, "does not tell its limits"),
        (httpx.Response(200, text="<html>"), None, "does not tell its limits"),
        (httpx.Response(200, json=[]), httpx.Response(200, text="[]"), "gave no limits"),
    ],
)
def test_limits_that_are_not_known(
    answer: httpx.Response, other: httpx.Response | None, told: str
) -> None:
    found = ask_limits(asker_of(answer, other))
    assert isinstance(found, str)
    assert told in found
