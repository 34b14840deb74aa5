"""Is a wrong request refused in the same words everywhere, and a right one taken?"""

import urllib.parse

import pytest

from tests.api.conftest import Answer, Api

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RANGED = (
    "labels", "label", "label/app/values", "series", "index/stats", "index/volume",
    "index/volume_range", "detected_labels", "detected_fields", "detected_field/x/values",
    "patterns", "query_range",
)  # fmt: skip
LEGACY = ("query", "label", "label/app/values", "series")
PATHS = (*(f"/loki/api/v1/{name}" for name in RANGED), *(f"/api/prom/{name}" for name in LEGACY))
QUERY = {"query": '{app="x"}', "match[]": '{app="x"}'}
END = 1_760_000_400
HOUR = 3600


def ask(api: Api, path: str, **parameters: str) -> Answer:
    """A GET with a selector under both of its names."""
    query = urllib.parse.urlencode({**QUERY, **parameters})
    return api.send("GET", f"{path}?{query}", None, {})


@pytest.mark.parametrize("path", PATHS)
def test_a_start_after_the_end(api: Api, path: str) -> None:
    answer = ask(api, path, start=str(END), end=str(END - 1))
    assert (answer.status, answer.text) == (
        400,
        "end timestamp must not be before or equal to start time",
    )
    assert ask(api, path, start=str(END), end=str(END)).status == 200


@pytest.mark.parametrize("path", PATHS)
def test_the_longest_range(api: Api, path: str) -> None:
    """The default of `max_query_length` is 721h."""
    most = 721 * HOUR
    assert ask(api, path, start=str(END - most), end=str(END)).status == 200
    answer = ask(api, path, start=str(END - most - 1), end=str(END))
    assert (answer.status, answer.text) == (
        400,
        "the query time range exceeds the limit (query length: 721h0m1s, limit: 30d1h)",
    )


TOO_LONG = "the query time range exceeds the limit (query length: {}, limit: 30d1h)"


@pytest.mark.parametrize(
    ("query", "length"),
    [
        ('count_over_time({app="x"}[720h])', None),
        ('count_over_time({app="x"}[721h])', "722h0m0s"),
        ('count_over_time({app="x"}[800h])', "801h0m0s"),
        ('sum(rate({app="x"}[1h])) / sum(rate({app="x"}[800h]))', "801h0m0s"),
        ('label_replace(topk(1, rate({app="x"}[100d])),"a","b","c","d")', "2401h0m0s"),
        ('count_over_time({app="x"}[720h] offset 800h)', None),  # the same stretch, elsewhere
        ("vector(1)", None),
    ],
)
def test_ranges_count(api: Api, query: str, length: str | None) -> None:
    times = {"start": str(END - HOUR), "end": str(END)}
    answer = ask(api, "/loki/api/v1/query_range", query=query, **times)
    if length is None:
        assert answer.status == 200, answer.text
    else:
        assert (answer.status, answer.text) == (400, TOO_LONG.format(length))


def test_the_longest_range_is_told_in_milliseconds(api: Api) -> None:
    """Thirteen digits are nanoseconds too, so this is a range of 56 years."""
    answer = ask(api, "/loki/api/v1/query_range", start="1759996800000", end="1760000400")
    assert answer.text == TOO_LONG.format("488888h30m40.004s")


def test_ranges_of_instant_queries_count(api: Api) -> None:
    path, query = "/loki/api/v1/query", 'count_over_time({app="x"}[%s])'
    assert ask(api, path, query=query % "721h", time=str(END)).status == 200
    answer = ask(api, path, query=query % "722h", time=str(END))
    assert (answer.status, answer.text) == (400, TOO_LONG.format("722h0m0s"))


def test_a_range_that_is_too_long_without_its_windows_is_told_alone(api: Api) -> None:
    times = {"start": str(END - 800 * HOUR), "end": str(END), "step": "1h"}
    answer = ask(api, "/loki/api/v1/query_range", query='rate({app="x"}[5m])', **times)
    assert answer.text == TOO_LONG.format("800h0m0s")


@pytest.mark.parametrize("path", PATHS)
def test_forms_that_cannot_be_read(api: Api, path: str) -> None:
    answer = api.send("POST", path, b"query=%zz", FORM)
    assert (answer.status, answer.text) == (400, 'invalid URL escape "%zz"')
    answer = api.send("GET", f"{path}?query=%7Ba%3D%22b%22%7D&limit=%1", None, {})
    assert (answer.status, answer.text) == (400, 'invalid URL escape "%1"')
    answer = api.send("GET", f"{path}?start=1;end=2", None, {})
    assert (answer.status, answer.text) == (400, "invalid semicolon separator in query")


def test_a_body_counts_only_as_a_form(api: Api) -> None:
    path, body = "/loki/api/v1/format_query", b"query=1%2B1"
    for content_type, status in {
        "application/x-www-form-urlencoded": 200,
        "Application/X-WWW-form-urlencoded; charset=UTF-8": 200,
        "application/json": 400,
        "text/plain": 400,
    }.items():
        answer = api.send("POST", path, body, {"Content-Type": content_type})
        assert answer.status == status, content_type
    answer = api.send("POST", path + "?query=2", body, FORM)
    assert answer.json["data"] == "2"  # 1 + 1: the body comes first


def test_steps_of_all_that_have_some(api: Api) -> None:
    zero = "zero or negative query resolution step widths are not accepted. Try a positive integer"
    for path in ("query_range", "index/volume_range", "patterns", "detected_fields"):
        for step in ("NaN", "0", "-5"):
            answer = ask(api, f"/loki/api/v1/{path}", step=step)
            assert (answer.status, answer.text) == (400, zero), (path, step)
        answer = ask(api, f"/loki/api/v1/{path}", step="0.1")
        assert answer.text.startswith("exceeded maximum resolution of 11,000 points"), path


def test_limits_of_all_that_have_some(api: Api) -> None:
    for path, name in (
        ("query_range", "limit"),
        ("index/volume", "limit"),
        ("detected_fields", "limit"),
        ("detected_fields", "line_limit"),
        ("detected_field/x/values", "limit"),
    ):
        answer = ask(api, f"/loki/api/v1/{path}", **{name: "-1"})
        assert (answer.status, answer.text) == (400, "limit must be a positive value")
        answer = ask(api, f"/loki/api/v1/{path}", **{name: "1_0"})
        assert answer.text == 'strconv.Atoi: parsing "1_0": invalid syntax'


def test_json_paths_beyond_any_array(api: Api) -> None:
    api.push({"app": "x"}, '{"a": [1, 2]}')
    path, query = "/loki/api/v1/query_range", '{{app="x"}} | json x="a[{}]"'
    answer = ask(api, path, query=query.format(9999999999999999999999))
    assert answer.status == 400
    assert answer.text.endswith("syntax error: unexpected $end, expecting STRING or INDEX")
    for index, value in (("1", "2"), ("2", ""), ("2147483648", ""), ("9223372036854775807", "")):
        (stream,) = ask(api, path, query=query.format(index)).json["data"]["result"]
        assert stream["stream"]["x"] == value, index


def test_answers_in_parquet_are_refused(api: Api) -> None:
    for path in ("query", "query_range"):
        parquet = {"Accept": "application/vnd.apache.parquet"}
        answer = api.get(f"/loki/api/v1/{path}", parquet, query="vector(1)")
        assert (answer.status, answer.text) == (
            400,
            "support for Parquet encoded responses is disabled. Enable with "
            "-frontend.support-parquet-encoding=true",
        )
        assert api.get(f"/loki/api/v1/{path}", {"Accept": "text/plain"}, query="1").status == 200
