"""Does somebody find, narrow, follow and share what went wrong, as the journeys of the page say?"""

import re

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.ui.browsing import Site, window
from tests.ui.seeded import Line, Seeded, seed


@pytest.fixture
def seeded(site: Site) -> Seeded:
    """Lines of this test's tenant."""
    return seed(site.api)


def number(text: str) -> int:
    """Of a text as the page writes it."""
    return int(re.sub(r"\D", "", text))


def chips(site: Site) -> list[str]:
    """The filters above the histogram."""
    return site.page.locator(".chips code").all_inner_texts()


def expect_total(site: Site, count: int) -> None:
    """That so many lines match, as the page says once it has asked."""
    told = "document.querySelector('.told')?.innerText.replaceAll(',', '') ?? ''"
    site.until(f"/(^|of ){count} lines?/.test({told}) && !/running/.test({told})")


def shown_query(site: Site) -> str:
    """What the address holds."""
    found: str = site.page.evaluate(
        "new URLSearchParams(location.hash.split('?')[1]).get('q') ?? ''"
    )
    return found


def box_of(site: Site, field: str) -> Locator:
    """A field among the others."""
    return site.page.locator(".facet").filter(
        has=site.page.locator(f".facet-name .cut:text-is('{field}')")
    )


def value(site: Site, field: str, text: str) -> Locator:
    """The button of one value."""
    return box_of(site, field).locator(".value-main").filter(has_text=text)


def values_of(site: Site, field: str) -> dict[str, int]:
    """Values and counts of a field's box, which is opened."""
    box = box_of(site, field)
    if box.locator(".facet-name").get_attribute("aria-expanded") == "false":
        box.locator(".facet-name").click()
    box.locator(".value").first.wait_for()
    rows = box.locator(".value-main")
    return {
        row.locator(".cut").inner_text(): number(row.locator(".value-count").inner_text())
        for row in rows.all()
    }


def test_the_first_line_turns_the_page_by_itself(site: Site) -> None:
    site.open()
    expect(site.page.get_by_text("No logs yet")).to_be_visible()
    snippet = site.page.locator(".snippet pre").first.inner_text()
    assert f"{site.running.url}/loki/api/v1/push" in snippet
    site.api.push({"app": "hello"}, "the first line")
    expect(site.page.locator(".service")).to_contain_text("hello")
    site.page.locator(".service").click()
    site.wait_rows()
    assert site.rows() == ["the first line"]


def test_words_find_the_error_without_logql(site: Site, seeded: Seeded) -> None:
    site.open(**seeded.range)
    site.editor()
    site.page.keyboard.press("/")
    site.page.keyboard.type("timeout 503")
    expect(site.page.locator(".ask-note code")).to_have_text(
        '{service_name=~".+"} |= "timeout" |= "503"'
    )
    site.page.keyboard.press("Enter")
    site.wait_rows()
    wanted = seeded.where(lambda one: "timeout" in one.text and "503" in one.text)
    expect_total(site, len(wanted))
    assert site.rows()[0] == wanted[-1].text
    marks = site.page.locator(".grid-item mark").all_inner_texts()
    assert set(marks) == {"timeout", "503"}


def is_error(line: Line) -> bool:
    """As the level says."""
    return line.level == "error"


def test_counts_are_those_of_a_slow_look(site: Site, seeded: Seeded) -> None:
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    expect_total(site, len(seeded.lines))
    assert values_of(site, "app") == seeded.counts("app")
    assert values_of(site, "detected_level") == seeded.counts("level")
    assert values_of(site, "status") == seeded.counts("status")
    legend = {
        item.inner_text().split()[0]: number(item.locator(".num").inner_text())
        for item in site.page.locator(".legend-item").all()
    }
    assert legend == seeded.counts("level")
    site.page.get_by_role("button", name="Table", exact=True).first.click()
    cells = site.page.locator(".bar-table td").all_inner_texts()
    assert sum(number(cell) for cell in cells if cell) == len(seeded.lines)


def test_a_value_is_only_not_or_and_taken_back(site: Site, seeded: Seeded) -> None:
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    values_of(site, "app")
    value(site, "app", "payments").click()
    expect(site.page.locator(".chips")).to_contain_text('app="payments"')
    expect_total(site, seeded.counts("app")["payments"])
    assert values_of(site, "app") == seeded.counts("app")  # the others can still be chosen
    value(site, "app", "worker").click(modifiers=["Shift"])
    expect(site.page.locator(".chips")).to_contain_text('app=~"payments|worker"')
    expect_total(site, seeded.counts("app")["payments"] + seeded.counts("app")["worker"])
    value(site, "status", "503").click(modifiers=["Alt"])
    expect(site.page.locator(".chips")).to_contain_text('status!="503"')
    left = seeded.where(lambda one: one.app in ("payments", "worker") and one.status != 503)
    expect_total(site, len(left))
    assert shown_query(site) == '{env="prod", app=~"payments|worker"} | json | status!="503"'
    site.page.locator(".chips .icon").last.click()
    expect(site.page.locator(".chips")).not_to_contain_text("status")
    site.page.go_back()
    expect(site.page.locator(".chips")).to_contain_text('status!="503"')


def test_a_drag_over_the_bars_zooms_and_back_goes_back(site: Site, seeded: Seeded) -> None:
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    before = len(seeded.lines)
    expect_total(site, before)
    expect(site.page.locator(".legend-item")).to_have_count(4)
    box = site.page.locator(".bars canvas").bounding_box()
    assert box is not None
    middle = box["y"] + 30
    site.page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    site.page.mouse.down()
    site.page.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=4)
    site.page.mouse.up()
    site.until(f"!location.hash.includes('{seeded.start_ns}')")
    hash_ = site.page.evaluate("location.hash")
    start, end = (int(n) for n in re.findall(r"(?:from|to)=(\d+)", hash_))
    assert abs((end - start) / (seeded.end_ns - seeded.start_ns) - 0.2) < 0.02
    wanted = seeded.where(lambda one: start <= one.ts_ns < end)
    site.until(f"document.querySelector('.told').innerText.includes('{len(wanted)}')")
    site.page.go_back()
    site.until(f"location.hash.includes('{seeded.start_ns}')")
    site.wait_rows()
    expect_total(site, before)


def test_details_filter_and_show_what_was_around(site: Site, seeded: Seeded) -> None:
    site.open(q='{app="payments"} |= "timeout"', **seeded.range)
    site.wait_rows(4)
    wanted = seeded.where(lambda one: one.app == "payments" and is_error(one))[::-1]
    site.page.locator(".grid-item").nth(2).locator(".cell-line").click()
    details = site.page.locator(".details")
    expect(details.locator(".whole")).to_contain_text('"msg": "upstream timeout"')
    fields = details.locator(".field-table")
    expect(fields).to_contain_text("duration_ms")
    expect(fields).to_contain_text(str(wanted[2].duration_ms))
    site.page.keyboard.press("c")
    rows = details.locator(".context-row")
    expect(rows).to_have_count(21)
    own = [line.text for line in seeded.where(lambda one: one.app == "payments")]
    at = own.index(wanted[2].text)
    assert rows.locator(".cell-line").all_inner_texts() == own[at - 10 : at + 11][::-1]
    expect(details.locator(".context-row[aria-current]")).to_contain_text(wanted[2].text)
    details.get_by_role("button", name="+10", exact=True).last.click()
    expect(rows).to_have_count(31)
    details.get_by_role("button", name="Only this status", exact=True).click()
    expect(site.page.locator(".chips")).to_contain_text(f'status="{wanted[2].status}"')
    same = [one for one in wanted if one.status == wanted[2].status]
    expect_total(site, len(same))


def test_a_copied_link_shows_the_same_to_somebody_else(
    site: Site, seeded: Seeded, browser: Browser
) -> None:
    site.open(q='{env="prod"} |= "timeout"', **{"from": "now-2h", "v": "table"})
    site.wait_rows(5)
    before = site.settled_rows(".table-row")
    site.page.locator(".table-row").nth(3).click()
    site.page.locator(".details").wait_for()
    site.page.get_by_role("button", name="Link", exact=True).last.click()
    expect(site.page.locator(".toast")).to_contain_text("link to this line")
    link = site.page.evaluate("navigator.clipboard.readText()")
    assert "now" not in link
    site.api.push({"app": "api", "env": "prod"}, '{"msg": "timeout, later"}')
    with window(browser, site.running, site.tenant) as other:
        other.page.goto(link)
        other.wait_rows(5)
        expect(other.page.locator(".details")).to_be_visible()
        seen = other.settled_rows(".table-row")
        assert seen == before[: len(seen)]  # the details take the place of some
        assert len(seen) > 5
        assert other.heard() == []


def test_more_lines_come_while_one_scrolls(site: Site) -> None:
    seeded = seed(site.api, 2_500)
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    expect(site.page.locator(".told")).to_contain_text("1,000 newest of 2,500")
    site.page.locator(".grid").focus()
    site.page.keyboard.press("End")
    expect(site.page.locator(".told")).to_contain_text("2,000 newest of 2,500")
    site.page.keyboard.press("G")
    expect(site.page.locator(".told")).to_have_text(re.compile("^2,500 lines"))
    site.page.keyboard.press("G")
    last = site.page.locator(".grid-item .cell-line").last
    expect(last).to_have_text(seeded.lines[0].text)


def test_everything_that_matches_is_downloaded(site: Site, seeded: Seeded) -> None:
    site.open(q='{env="prod"} |= "timeout"', dir="forward", **seeded.range)
    site.wait_rows()
    site.page.keyboard.press("d")
    with site.page.expect_download() as found:
        site.page.get_by_text("the lines alone").click()
    text = found.value.path().read_text()
    assert text == "".join(f"{one.text}\n" for one in seeded.where(is_error))
    assert re.fullmatch(r"[\w.-]+\.txt", found.value.suggested_filename)


def test_an_empty_answer_says_why(site: Site, seeded: Seeded) -> None:
    site.open(q='{app="paymnts"}', **seeded.range)
    empty = site.page.locator(".empty")
    expect(empty).to_contain_text('app has no value "paymnts"; nearest are payments')
    site.open(q='{app="payments"} |= "nowhere to be found"', **seeded.range)
    expect(empty).to_contain_text("the filters let none of them through")
    empty.get_by_role("button").click()
    site.wait_rows()
    old = {"from": str(seeded.start_ns - 10**13), "to": str(seeded.start_ns - 10**12)}
    site.open(q='{app="payments"}', **old)
    expect(empty).to_contain_text("Their newest line is of")
    empty.get_by_role("button", name="Go there").click()
    site.wait_rows()


def test_a_wrong_query_is_marked_and_the_last_lines_stay(site: Site, seeded: Seeded) -> None:
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    rows = site.settled_rows()
    site.editor()
    site.page.keyboard.press("/")
    site.page.keyboard.press("End")
    site.page.keyboard.type(" | json | status >= ")
    told = site.page.locator(".ask-note")
    expect(told).to_contain_text("parse error")
    site.page.keyboard.press("Enter")
    expect(site.page.locator(".notice[data-kind=error]")).to_contain_text("parse error")
    kept = site.settled_rows()
    assert (kept, len(kept) > 10) == (rows[: len(kept)], True)


def test_hits_of_a_second_search(site: Site, seeded: Seeded) -> None:
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    site.page.keyboard.press("s")
    site.page.keyboard.type("upstream")
    newest = seeded.lines[-1000:]
    count = sum("upstream" in one.text for one in newest)
    expect(site.page.locator(".find [role=status]")).to_have_text(str(count))
    site.page.keyboard.press("Enter")
    expect(site.page.locator(".find [role=status]")).to_have_text(f"1/{count}")
    site.page.keyboard.press("Escape")
    expect(site.page.locator(".find [role=status]")).to_have_count(0)


def test_a_server_that_stops_and_comes_back(site: Site, seeded: Seeded) -> None:
    """The page says so, keeps what it shows, and asks again by itself."""
    site.open(q='{env="prod"}', **seeded.range)
    rows = site.settled_rows()
    site.context.set_offline(True)
    site.page.get_by_role("button", name="Run again").click()
    banner = site.page.locator(".banner")
    expect(banner).to_contain_text("does not answer")
    kept = site.settled_rows()
    assert (kept, len(kept) > 10) == (rows[: len(kept)], True)
    site.context.set_offline(False)
    expect(banner).to_have_count(0)
    site.told.clear()  # Chromium reports what it could not fetch
    expect(site.page.locator(".notice[data-kind=error]")).to_have_count(0)


def test_numbers_beyond_floats_are_shown_as_they_are(site: Site) -> None:
    line = '{"id": 9007199254740993123, "small": 1e-400, "deep": {"n": 12345678901234567890}}'
    site.api.push({"app": "big"}, line)
    site.open(q='{app="big"}')
    site.wait_rows()
    site.page.locator(".cell-line").first.click()
    details = site.page.locator(".details")
    for text in ("9007199254740993123", "1e-400", "12345678901234567890"):
        expect(details.locator(".whole")).to_contain_text(text)
    expect(details.locator(".field-table")).to_contain_text("12345678901234567890")


def test_a_saved_search_is_there_for_everybody(
    site: Site, seeded: Seeded, browser: Browser
) -> None:
    site.open(q='{app="worker"} |= "done"', v="table", **seeded.range)
    site.wait_rows()
    site.page.get_by_role("button", name="History").click()
    site.page.get_by_label("Name of this search").fill("work <b>done")
    site.page.get_by_role("button", name="Save", exact=True).click()
    expect(site.page.locator(".saved")).to_contain_text("work <b>done")
    with window(browser, site.running, site.tenant) as other:
        other.open()
        other.page.get_by_role("button", name="History").click()
        other.page.locator(".saved button").first.click()
        other.wait_rows()
        assert shown_query(other) == '{app="worker"} |= "done"'
        expect(other.page.locator(".table-head")).to_be_visible()
        other.page.get_by_role("button", name="History").click()
        other.page.get_by_role("button", name="Delete work").click()
        expect(other.page.locator(".saved")).to_have_count(0)
        assert other.heard() == []


def test_a_brush_over_numbers_filters(site: Site, seeded: Seeded) -> None:
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    box_of(site, "duration_ms").locator(".facet-name").click()
    spread = box_of(site, "duration_ms").locator(".spread")
    spread.wait_for()
    box_of(site, "duration_ms").get_by_label("From", exact=True).fill("1000")
    box_of(site, "duration_ms").get_by_role("button", name="Only", exact=True).click()
    expect(site.page.locator(".chips")).to_contain_text("duration_ms >= 1000")
    expect_total(site, len(seeded.where(lambda one: one.duration_ms >= 1000)))
