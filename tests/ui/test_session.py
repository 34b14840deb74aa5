"""Does somebody with a token sign in by the page, see what it is for, and leave again?"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.server import Running, start, stop
from narfi.access.secret import new_token
from tests.ui.browsing import Site, window


@dataclass(frozen=True)
class Guarded:
    """A server that asks for tokens: one to read tenant a, one for tenants a and b."""

    running: Running
    reader: str
    several: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """With a line of each tenant."""
    folder, reader, several = tmp_path_factory.mktemp("in"), new_token().text, new_token().text
    tokens = [
        {"name": "reader", "token": reader, "tenants": ["a"], "scopes": ["read"]},
        {"name": "two", "token": several, "tenants": ["a", "b"], "scopes": ["read", "write"]},
    ]
    (folder / "tokens.yaml").write_text(json.dumps({"tokens": tokens}))
    config = folder / "narfi.yaml"
    config.write_text(
        f"tenancy: header\nauth: {{enabled: true, tokens_file: {folder}/tokens.yaml}}\n"
    )
    running = start(folder / "data", config, folder / "log")
    found = Guarded(running, reader, several)
    yield found
    stop(running)


@pytest.fixture
def site(browser: Browser, guarded: Guarded) -> Iterator[Site]:
    """A visitor who has not signed in."""
    with window(browser, guarded.running, "") as found:
        yield found
        assert found.heard() == []


def push(site: Site, token: str, tenant: str) -> None:
    """A line of a tenant."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    now = site.page.evaluate("String(Date.now()) + '000000'")
    body = {"streams": [{"stream": {"app": f"of-{tenant}"}, "values": [[now, f"of {tenant}"]]}]}
    answer = site.api.send(
        "POST", "/loki/api/v1/push", json.dumps(body).encode(), {**headers, "X-Scope-OrgID": tenant}
    )
    assert answer.status == 204, answer.text


def sign_in(site: Site, token: str) -> None:
    """By the form."""
    site.page.get_by_label("Token").fill(token)
    site.page.get_by_role("button", name="Sign in").click()


def test_in_and_out(site: Site, guarded: Guarded) -> None:
    push(site, guarded.several, "a")
    site.open(q='{app="of-a"}')
    expect(site.page.locator("h1")).to_have_text("Sign in")
    assert site.page.locator("nav a").count() == 0
    sign_in(site, new_token().text)
    expect(site.page.locator(".told-error")).to_contain_text("was not taken")
    sign_in(site, guarded.reader)
    site.wait_rows()
    assert site.rows() == ["of a"]
    names = site.page.locator("nav a").all_inner_texts()
    assert "Deletes" not in names  # this token may not
    assert guarded.reader not in json.dumps(site.page.evaluate("({...localStorage})"))
    assert guarded.reader not in site.page.evaluate("document.cookie + location.href")
    cookies = site.context.cookies()
    assert [(one["httpOnly"], one["sameSite"]) for one in cookies] == [(True, "Strict")]
    site.page.reload()
    site.wait_rows()
    site.page.get_by_role("button", name="Sign out").click()
    expect(site.page.locator("h1")).to_have_text("Sign in")
    site.page.reload()
    expect(site.page.locator("h1")).to_have_text("Sign in")


def test_tenants_are_those_of_the_token(site: Site, guarded: Guarded) -> None:
    push(site, guarded.several, "a")
    push(site, guarded.several, "b")
    site.open()
    sign_in(site, guarded.several)
    picker = site.page.get_by_label("Tenant")
    expect(picker.locator("option")).to_have_text(["a", "b"])
    picker.select_option("b")
    expect(site.page.locator(".service")).to_contain_text("of-b")
    site.open(tenant="c", q='{app="of-c"}')
    expect(site.page.locator(".notice[data-kind=error]")).to_contain_text("is not for tenant")


def test_a_page_of_another_origin_gets_nothing(site: Site, guarded: Guarded) -> None:
    """Not even with the visitor's session: neither answers nor the page in a frame."""
    site.open()
    sign_in(site, guarded.reader)
    site.page.locator("nav a").first.wait_for()
    page = "<title>somebody else</title>"
    site.context.route(
        "http://evil.example/**",
        lambda route: route.fulfill(body=page, content_type="text/html"),
    )
    site.page.goto("http://evil.example/")
    got = site.page.evaluate(
        f"""fetch('{guarded.running.url}/loki/api/v1/labels', {{credentials: 'include'}})
        .then((answer) => answer.text(), () => 'refused')"""
    )
    assert got == "refused"
    site.told.clear()  # the browser tells why
