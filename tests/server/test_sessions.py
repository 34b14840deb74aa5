"""Can a browser sign in and out of a real server, and can nobody else use what it was given?"""

import time
from collections.abc import Iterator

import httpx
import pytest

from narfi.access.secret import new_token
from narfi.access.sessions import COOKIE
from tests.server.test_sign_in import Place, place  # noqa: F401 - the fixture

SESSION, QUERIES = "/narfi/api/v1/session", "/loki/api/v1/labels"
DELETES = '/loki/api/v1/delete?query={app="x"}&start=1700000000'
OWN = {"X-Narfi-Request": "1"}
PATIENCE_S = 60


@pytest.fixture
def browser(place: Place) -> Iterator[httpx.Client]:  # noqa: F811
    """One that keeps cookies."""
    with httpx.Client(base_url=place.running.url, timeout=60) as found:
        yield found


def begin(browser: httpx.Client, token: str) -> httpx.Response:
    """Sign in."""
    return browser.post(SESSION, json={"token": token}, headers=OWN)


def test_before_and_after(place: Place, browser: httpx.Client) -> None:  # noqa: F811
    before = browser.get(SESSION).json()
    assert before == {
        "auth": True,
        "signed_in": False,
        "name": "",
        "scopes": [],
        "tenancy": "header",
        "tenants": [],
        "restricted": False,
        "version": "",
        "features": {"sql": False, "ruler": False, "canary": False},
    }
    assert browser.get(QUERIES).status_code == 401
    answer = begin(browser, place.tokens["ab"])
    assert answer.status_code == 200
    assert (answer.json()["signed_in"], answer.json()["tenants"]) == (True, ["a", "b"])
    assert answer.json()["scopes"] == ["delete", "read", "rules", "write"]
    assert browser.get(SESSION).json() == answer.json()
    assert browser.get(QUERIES, headers={"X-Scope-OrgID": "a"}).status_code == 200
    assert browser.get(QUERIES, headers={"X-Scope-OrgID": "c"}).status_code == 403


def test_the_cookie_is_for_this_page_alone(place: Place, browser: httpx.Client) -> None:  # noqa: F811
    told = begin(browser, place.tokens["read"]).headers["set-cookie"]
    parts = {part.strip() for part in told.split(";")}
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= parts
    assert "Secure" not in parts  # the test has no TLS
    assert place.tokens["read"] not in told
    proxied = {**OWN, "X-Forwarded-Proto": "https"}
    answer = browser.post(SESSION, json={"token": place.tokens["read"]}, headers=proxied)
    assert "; Secure" in answer.headers["set-cookie"]
    assert answer.headers["cache-control"] == "no-store"


def test_a_change_needs_the_header(place: Place, browser: httpx.Client) -> None:  # noqa: F811
    begin(browser, place.tokens["all"])
    tenant = {"X-Scope-OrgID": "a"}
    refused = browser.post(DELETES, headers=tenant)
    assert (refused.status_code, "X-Narfi-Request" in refused.text) == (403, True)
    answer = browser.post(DELETES, headers=tenant | OWN)
    assert answer.status_code == 204, answer.text
    token = {"Authorization": f"Bearer {place.tokens['all']}"}
    assert httpx.post(place.running.url + DELETES, headers=tenant | token).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:8080"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_another_page_is_nobody(
    place: Place,  # noqa: F811
    browser: httpx.Client,
    headers: dict[str, str],
) -> None:
    """Not even one of another port, to which the browser sends the cookie."""
    begin(browser, place.tokens["all"])
    tenant = {"X-Scope-OrgID": "a"}
    for method, path in (("POST", DELETES), ("POST", SESSION), ("DELETE", SESSION)):
        answer = browser.request(method, path, headers=tenant | headers | OWN)
        assert answer.status_code == 403
    if "Sec-Fetch-Site" in headers:
        assert browser.get(QUERIES, headers=tenant | headers).status_code == 401
    assert browser.get(QUERIES, headers=tenant).status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_nobody_is_signed_in_or_out_without_the_header(
    place: Place,  # noqa: F811
    browser: httpx.Client,
    method: str,
) -> None:
    body = {"token": place.tokens["read"]}
    assert browser.request(method, SESSION, json=body).status_code == 403
    assert not browser.cookies


def test_signing_out_ends_it_for_every_copy(place: Place, browser: httpx.Client) -> None:  # noqa: F811
    begin(browser, place.tokens["read"])
    copy = browser.cookies[COOKIE]
    assert browser.delete(SESSION, headers=OWN).status_code == 204
    assert COOKIE not in browser.cookies
    stolen = {"Cookie": f"{COOKIE}={copy}"}
    assert httpx.get(place.running.url + QUERIES, headers=stolen).status_code == 401


def test_a_revoked_token_ends_its_session(place: Place, browser: httpx.Client) -> None:  # noqa: F811
    made = place.command("create", "--scope", "read", "--name", "leaver", "--tenant", "a")
    token, deadline = made.stdout.strip(), time.monotonic() + PATIENCE_S
    while begin(browser, token).status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert browser.get(QUERIES).status_code == 200
    place.command("revoke", "leaver")
    while browser.get(QUERIES).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert browser.get(QUERIES).status_code == 401
    assert browser.get(SESSION).json()["signed_in"] is False


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"token": 7}', 400),
        (b'{"token": ""}', 401),
        (b'{"token": "' + new_token().text.encode() + b'"}', 401),
        (b'{"token": "' + b"x" * 20_000 + b'"}', 400),
    ],
    ids=["nothing", "list", "number", "empty", "unknown", "long"],
)
def test_what_is_no_token_is_refused(browser: httpx.Client, body: bytes, status: int) -> None:
    answer = browser.post(SESSION, content=body, headers=OWN)
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, False)


@pytest.mark.parametrize(
    "cookie", ["x", '"', f"{COOKIE}=", f"{COOKIE}=nobody", f"a=b; {COOKIE}=\xe9"]
)
def test_a_cookie_that_is_none_of_ours(browser: httpx.Client, cookie: str) -> None:
    headers = {"Cookie": cookie.encode("latin-1")}
    assert browser.get(QUERIES, headers=headers).status_code == 401  # type: ignore[arg-type]


def test_the_page_is_not_asked_by_the_browsers_own_form(browser: httpx.Client) -> None:
    """`WWW-Authenticate` would open it over the page's."""
    assert "www-authenticate" not in browser.get(QUERIES, headers=OWN).headers
    assert "www-authenticate" in browser.get(QUERIES).headers
