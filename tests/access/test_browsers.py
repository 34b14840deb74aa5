"""Which requests does a page of somebody else make, and which ones do programs and own pages?"""

from typing import Any

import pytest

from narfi.access.browsers import browsers_of, name_of
from narfi.core.grant import ForbiddenError


def scope(kind: str, *headers: tuple[str, str]) -> dict[str, Any]:
    """A request by a method, or a socket."""
    found: dict[str, Any] = {"type": "http", "method": kind}
    if kind == "SOCKET":
        found = {"type": "websocket"}
    return found | {"headers": [(n.encode(), v.encode("latin-1")) for n, v in headers]}


LOCAL = browsers_of(["logs.example.com"], ["https://ui.example.com"], "127.0.0.1", is_guarded=False)
DEFAULT = browsers_of([], [], "127.0.0.1", is_guarded=False)
GUARDED = browsers_of([], [], "0.0.0.0", is_guarded=True)
LISTED = browsers_of(["logs.example.com"], [], "0.0.0.0", is_guarded=True)
BY_NAME = browsers_of([], [], "Here.example.com", is_guarded=False)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:3100", "127.0.0.1", "localhost:3100", "LOCALHOST", "localhost."),
        *("a.localhost:1", "[::1]:3100", "::1", "192.168.0.7:3100", "logs.example.com"),
        *("Logs.Example.Com:443", "logs.example.com."),
    ],
)
def test_hosts_that_are_known(host: str) -> None:
    LOCAL.check(scope("GET", ("host", host)))


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil-localhost"),
        *("logs.example.com.evil", "xlogs.example.com", "", ":3100", "127.0.0.1:3100@evil.example"),
        *("evil.example:127.0.0.1", "[evil.example]", "2130706433", "0x7f.1", "127.1"),
        *("localhost,evil.example", "localhost\tevil", "\xe9vil"),
    ],
)
@pytest.mark.parametrize("kind", ["GET", "POST", "SOCKET"])
def test_hosts_that_are_not(host: str, kind: str) -> None:
    with pytest.raises(ForbiddenError, match=r"server\.hosts"):
        LOCAL.check(scope(kind, ("host", host)))


def test_every_host_has_to_be_known() -> None:
    with pytest.raises(ForbiddenError):
        DEFAULT.check(scope("GET", ("host", "localhost"), ("host", "evil.example")))


def test_where_a_name_gives_nothing_away_any_will_do() -> None:
    GUARDED.check(scope("GET", ("host", "narfi.logging.svc:3100")))
    LISTED.check(scope("GET", ("host", "10.0.0.7:3100")))
    LISTED.check(scope("GET", ("host", "logs.example.com")))
    with pytest.raises(ForbiddenError):
        LISTED.check(scope("GET", ("host", "narfi.logging.svc:3100")))
    BY_NAME.check(scope("GET", ("host", "here.example.com:3100")))


def test_a_program_without_host_is_let_in() -> None:
    DEFAULT.check(scope("GET"))
    DEFAULT.check(scope("POST"))


HOST = ("host", "127.0.0.1:3100")


@pytest.mark.parametrize("kind", ["POST", "PUT", "DELETE", "PATCH", "SOCKET"])
@pytest.mark.parametrize(
    "header",
    [
        ("origin", "http://evil.example"),
        ("origin", "http://127.0.0.1:3101"),
        ("origin", "http://127.0.0.1"),
        ("origin", "http://localhost:3100"),
        ("origin", "http://127.0.0.1:3100.evil.example"),
        ("origin", "http://evil.example/127.0.0.1:3100"),
        ("origin", "http://127.0.0.1:3100@evil.example"),
        ("origin", "file://127.0.0.1:3100"),
        ("origin", "null"),
        ("origin", ""),
        ("origin", "127.0.0.1:3100"),
        ("origin", "http://logs.example.com.evil"),
        ("origin", "https://ui.example.com:444"),
        ("origin", "http://ui.example.com"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "SAME-ORIGIN"),
        ("sec-fetch-site", ""),
    ],
)
def test_pages_of_others_change_nothing_and_open_no_socket(
    kind: str, header: tuple[str, str]
) -> None:
    with pytest.raises(ForbiddenError, match="may not do this"):
        LOCAL.check(scope(kind, HOST, header))


@pytest.mark.parametrize("kind", ["POST", "SOCKET"])
@pytest.mark.parametrize(
    "headers",
    [
        [("origin", "http://127.0.0.1:3100"), ("sec-fetch-site", "same-origin")],
        [("origin", "https://127.0.0.1:3100")],
        [("origin", "https://logs.example.com")],
        [("origin", "https://logs.example.com:8443")],
        [("origin", "https://ui.example.com"), ("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-origin")],
        [("sec-fetch-site", "none")],
    ],
)
def test_own_pages_may(kind: str, headers: list[tuple[str, str]]) -> None:
    LOCAL.check(scope(kind, HOST, *headers))


def test_one_wrong_origin_of_several_is_enough() -> None:
    right, wrong = ("origin", "http://127.0.0.1:3100"), ("origin", "http://evil.example")
    for headers in ((right, wrong), (wrong, right)):
        with pytest.raises(ForbiddenError):
            DEFAULT.check(scope("POST", HOST, *headers))


@pytest.mark.parametrize("kind", ["GET", "HEAD", "OPTIONS"])
def test_what_changes_nothing_may_be_asked_and_not_be_read(kind: str) -> None:
    foreign = (("origin", "http://evil.example"), ("sec-fetch-site", "cross-site"))
    DEFAULT.check(scope(kind, HOST, *foreign))


@pytest.mark.parametrize(
    ("host", "name"),
    [("A.b:1", "a.b"), ("[::1]:3", "::1"), ("::1", "::1"), (" x. ", "x"), ("", ""), ("[", "")],
)
def test_names(host: str, name: str) -> None:
    assert name_of(host) == name
