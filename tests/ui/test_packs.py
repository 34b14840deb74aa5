"""Are questions and rules of packs offered where a person looks, for the logs that are there?"""

import re

import pytest
from playwright.sync_api import expect

from tests.ui.browsing import Site

ERRORS = [
    f'2026/11/24 09:00:0{n} [error] 7#7: *{n} connect() failed, upstream: "http://a:80/"'
    for n in range(7)
]


@pytest.fixture
def nginx(site: Site) -> Site:
    """Error lines of nginx, as the agent sends them, and lines for which there is no pack."""
    site.api.push({"service_name": "nginx", "log": "error", "level": "error"}, *ERRORS)
    site.api.push({"service_name": "shop"}, "sold a hat")
    return site


def test_the_first_visit_offers_questions(nginx: Site) -> None:
    nginx.open()
    offered = nginx.page.locator(".pack-questions")
    expect(offered.locator("summary")).to_have_text(re.compile(r"^nginx \d+$", re.I))
    offered.get_by_role("link", name="Errors").click()
    nginx.wait_rows(len(ERRORS))
    assert sorted(nginx.rows()) == ERRORS
    expect(nginx.page.locator(".chips")).to_contain_text("service_name")


def test_saved_searches_have_them_on_every_page(nginx: Site) -> None:
    for page in ("logs", "patterns", "metrics"):
        nginx.open(page, q='{service_name="shop"}')
        nginx.page.get_by_role("button", name="History").click()
        offered = nginx.page.locator(".history-box .pack-questions")
        offered.locator("summary").click()
        offered.get_by_role("link", name="Upstreams that fail").click()
        expect(nginx.page.locator("h1")).to_have_text("Metrics")
        expect(nginx.page.locator(".panel-head").first).to_contain_text("series")


def test_the_rules_page_offers_what_is_not_loaded(nginx: Site) -> None:
    nginx.open("rules")
    offered = nginx.page.locator(".panel", has_text="Offered for")
    expect(offered).to_have_count(1)
    expect(offered).to_contain_text("are not loaded")
    expect(offered.locator("pre").first).to_contain_text("narfi packs apply nginx --addr http")
    offered.locator(".rule", has_text="NginxFatal").locator("summary").click()
    expect(offered).to_contain_text("the line says which")
    text = "groups: [{name: own, rules: [{alert: NginxFatal, expr: 'vector(1) > 2'}]}]"
    body = text.replace("groups: [", "").removesuffix("]").encode()
    headers = {"Content-Type": "application/yaml"}
    answer = nginx.api.send("POST", "/loki/api/v1/rules/own", body, headers)
    assert answer.status == 202, answer.text
    loaded = offered.locator(".rule", has_text="NginxFatal").locator(".badge")
    expect(loaded).to_have_text("loaded")


@pytest.mark.parametrize("page", ["patterns", "live", "deletes", "explain", "metrics"])
def test_the_box_is_the_same_on_every_page(nginx: Site, page: str) -> None:
    """Completion, what is wrong, history; words where a query is for lines."""
    nginx.open(page)
    nginx.editor()
    keys = nginx.page.keyboard
    keys.press("/")
    keys.type("{service_n")
    completion = nginx.page.locator(".cm-tooltip-autocomplete")
    expect(completion).to_contain_text("service_name")
    keys.press("Escape")
    keys.press("Control+A")
    keys.type('{service_name="nginx"} |= ')
    expect(nginx.page.locator(".ask-note")).to_contain_text("parse error")
    keys.press("Control+A")
    if page in ("patterns", "live", "deletes"):
        keys.type("failed upstream")
        expect(nginx.page.locator(".ask-note")).to_contain_text('|= "failed" |= "upstream"')
    else:
        keys.type('{service_name="nginx"} |= "failed"')
    keys.press("Enter")
    nginx.until("location.hash.includes('failed')")
    nginx.page.get_by_role("button", name="History").click()
    expect(nginx.page.locator(".history code").first).to_contain_text('|= "failed"')
