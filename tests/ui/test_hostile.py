"""Can text of logs do anything in the page? Looked at in every view; nothing may happen."""

import json
import time

import pytest
from playwright.sync_api import expect

from tests.ui.browsing import Site
from tests.ui.hostile import LABELS, LINES, METADATA

QUERY = '{app="hostile"}'


@pytest.fixture
def hostile(site: Site) -> Site:
    """All of them in one stream, a millisecond apart."""
    now = time.time_ns()
    values = [[str(now - 10**9 + n * 10**6), line, METADATA] for n, line in enumerate(LINES)]
    body = json.dumps({"streams": [{"stream": LABELS, "values": values}]}).encode()
    answer = site.api.send("POST", "/loki/api/v1/push", body, {"Content-Type": "application/json"})
    assert answer.status == 204, answer.text
    return site


def nothing_ran(site: Site) -> None:
    """No script, no violation, no element that is not the page's own, and it is still the page."""
    assert site.heard() == []
    found = site.page.evaluate(
        "document.querySelectorAll('script:not([type=module]), iframe, base, style, object,"
        " [onerror], [onload], .lines img, a[href^=javascript]').length"
    )
    assert found == 0
    assert site.page.evaluate("({}).polluted ?? 'no'") == "no"
    assert site.page.url.startswith(site.running.url)


@pytest.mark.parametrize("view", ["lines", "table", "json"])
def test_every_view(hostile: Site, view: str) -> None:
    hostile.open(q=QUERY, v=view, wrap="1" if view == "json" else "")
    hostile.wait_rows(5)
    grid = hostile.page.locator(".grid")
    for _ in range(12):
        grid.evaluate("(box) => box.scrollBy(0, box.clientHeight)")
        hostile.page.wait_for_timeout(60)
        nothing_ran(hostile)
    hostile.page.keyboard.press("w")
    hostile.page.keyboard.press("z")
    nothing_ran(hostile)


def test_details_fields_and_context_of_each_line(hostile: Site) -> None:
    hostile.open(q=QUERY, dir="forward")
    hostile.wait_rows(5)
    hostile.page.locator(".grid").focus()
    for _ in LINES:
        hostile.page.keyboard.press("j")
        hostile.page.keyboard.press("Enter")
        hostile.page.locator(".details .whole").wait_for()
        hostile.page.keyboard.press("Escape")
        hostile.page.locator(".details").wait_for(state="detached")
    nothing_ran(hostile)
    hostile.page.keyboard.press("g")
    hostile.page.keyboard.press("c")
    hostile.page.locator(".context-row").nth(5).wait_for()
    nothing_ran(hostile)


def test_what_cannot_be_seen_is_shown(hostile: Site) -> None:
    hostile.open(q=QUERY + ' |= "gnp.exe"')
    hostile.wait_rows()
    cell = hostile.page.locator(".cell-line")
    expect(cell).to_have_text("userU+202Egnp.exe")
    direction = cell.evaluate("(one) => getComputedStyle(one).unicodeBidi")
    assert direction == "plaintext"
    hostile.open(q=QUERY + ' |= "bell"')
    expect(cell).to_have_text("null U+0000 bell U+0007 delete U+007F c1 U+0085")


def test_colours_of_a_terminal_are_classes_and_the_rest_is_dropped(hostile: Site) -> None:
    hostile.open(q=QUERY + ' |= "bold green"')
    hostile.wait_rows()
    cell = hostile.page.locator(".cell-line")
    expect(cell).to_have_text("red plain bold green")
    expect(cell.locator(".a-red")).to_have_text("red")
    expect(cell.locator(".a-bold.a-green")).to_have_text("bold green")
    hostile.open(q=QUERY + ' |= "moved"')
    expect(cell).to_have_text("moved")
    assert hostile.page.title() == "Logs · Narfi"
    hostile.open(q=QUERY + " |= \"javascript:window.__ran.push('link')\"")
    expect(cell).to_have_text("link")
    assert cell.locator("a").count() == 0


def test_a_long_line_is_cut_and_whole_when_asked_for(hostile: Site) -> None:
    hostile.open(q=QUERY + ' |= "xxxxxxxxxxxxxxxxxxxx"')
    hostile.wait_rows()
    cell = hostile.page.locator(".cell-line")
    assert len(cell.inner_text()) < 2_200
    cell.click()
    button = hostile.page.get_by_role("button", name="Show all 300,000 characters")
    button.click()
    assert len(hostile.page.locator(".whole").inner_text()) == 300_000


def test_fields_with_markup_and_their_values_filter(hostile: Site) -> None:
    hostile.open(q=QUERY)
    hostile.wait_rows(5)
    box = hostile.page.locator(".facets")
    box.get_by_role("button", name="quote").first.click()
    value = box.locator(".value-main").filter(has_text="onerror").first
    value.click()
    hostile.until("decodeURIComponent(location.hash).includes('quote=')")
    hostile.wait_rows(5)
    nothing_ran(hostile)


def test_hostile_addresses_of_the_page_itself(hostile: Site) -> None:
    for name in ("q", "from", "tz", "v", "c", "by", "line", "hide"):
        for text in ("<img src=x onerror=window.__ran.push(1)>", "constructor\u202e\x00%"):
            given = {"q": QUERY, name: text}
            hostile.open(**given)
            hostile.page.locator(".logs").wait_for()
    hostile.page.goto(f"{hostile.running.url}/ui/#/__proto__?<script>=%ff&&=&q")
    expect(hostile.page.locator("main")).to_contain_text("no such page")
    nothing_ran(hostile)
