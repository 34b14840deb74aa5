"""Do the pages beside Logs tell what the server holds, and do what they offer?"""

import json
import time
from collections import Counter

import pytest
from playwright.sync_api import expect

from tests.ui.browsing import WAIT_MS, Site
from tests.ui.seeded import Line, Seeded, seed

ALL = '{env="prod"}'
MINUTE_NS = 60 * 10**9
YAML = {"Content-Type": "application/yaml"}
RULES = b"""
name: shop
interval: 1s
rules:
  - alert: Errors
    expr: sum by (app) (count_over_time({env="prod"} | detected_level="error" [2h])) > 0
    labels: {severity: page}
    annotations: {summary: "{{ $labels.app }} fails"}
  - record: lines:count
    expr: sum(count_over_time({env="prod"}[1h]))
  - alert: Quiet
    expr: absent_over_time({env="none"}[1h])
    for: 1h
"""


@pytest.fixture
def seeded(site: Site) -> Seeded:
    """Lines of this test's tenant."""
    return seed(site.api, 600)


def number(text: str) -> int:
    """Without what stands between its digits, and the word behind it."""
    return int(text.split()[0].replace(",", ""))


def is_error(line: Line) -> bool:
    """As the level says."""
    return line.level == "error"


def test_patterns_have_counts_and_filter(site: Site, seeded: Seeded) -> None:
    site.open("patterns", q=ALL, **seeded.range)
    site.page.locator(".pattern").first.wait_for()
    counts = [number(text) for text in site.page.locator(".pattern-count b").all_inner_texts()]
    assert sum(counts) == len(seeded.lines)
    expect(site.page.get_by_text(f"of {len(seeded.lines)} lines")).to_be_visible()
    expect(site.page.locator(".badge").first).to_have_text("new")
    wanted = counts[0]
    site.page.get_by_role("link", name="only these").first.click()
    site.wait_rows()
    expect(site.page.locator(".told")).to_contain_text(f"{wanted} lines")


def test_patterns_that_are_gone(site: Site, seeded: Seeded) -> None:
    span = seeded.end_ns - seeded.start_ns
    later = {"from": str(seeded.end_ns), "to": str(seeded.end_ns + span)}
    site.open("patterns", q=ALL, **later)
    gone = site.page.get_by_role("button", name="gone")
    expect(gone).not_to_have_text("gone 0")
    gone.click()
    expect(site.page.locator(".pattern .badge").first).to_have_text("gone")


def test_a_metric_is_a_chart_and_numbers(site: Site, seeded: Seeded) -> None:
    later = {**seeded.range, "to": str(seeded.end_ns + MINUTE_NS)}  # the last step is behind all
    site.open("metrics", q=f"sum by (app) (count_over_time({ALL}[2h]))", **later)
    site.page.locator(".chart canvas").wait_for()
    rows = site.page.locator(".table tbody tr").all()
    last = {row.locator(".series").inner_text(): row.locator("td").nth(1) for row in rows}
    wanted = {f'app="{app}"': n for app, n in seeded.counts("app").items()}
    assert last.keys() == wanted.keys()
    for name, cell in last.items():
        assert number(cell.inner_text()) == wanted[name]
    drawn = "(() => { const c = document.querySelector('.chart canvas'); const d = "
    drawn += "c.getContext('2d').getImageData(0, 0, c.width, c.height).data; "
    drawn += "return d.some((one) => one > 0); })()"
    site.until(drawn)
    box = site.page.locator(".chart canvas").bounding_box()
    assert box is not None
    before = site.page.url
    site.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 100)
    expect(site.page.locator(".tip")).to_contain_text("app=")
    site.page.mouse.down()
    site.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 100, steps=4)
    site.page.mouse.up()
    site.until(f"location.href !== {json.dumps(before)}")
    site.page.go_back()
    assert site.page.url == before


def test_a_query_for_lines_is_no_metric(site: Site, seeded: Seeded) -> None:
    site.open("metrics", q=ALL, **seeded.range)
    site.page.get_by_role("link", name="sum(count_over_time").click()
    site.page.locator(".chart canvas").wait_for()


def test_a_pause_of_the_tail_loses_nothing(site: Site) -> None:
    site.api.push({"app": "live"}, "before")
    site.open("live", q='{app="live"}')
    site.wait_following()
    site.until("document.querySelectorAll('.live-line').length === 1")
    site.api.push({"app": "live"}, "one", "two")
    site.until("document.querySelectorAll('.live-line').length === 3")
    site.page.keyboard.press("Space")
    expect(site.page.locator(".badge", has_text="paused")).to_be_visible()
    site.api.push({"app": "live"}, *(f"held {n}" for n in range(20)))
    expect(site.page.locator(".new-lines")).to_have_text("20 new · resume")
    assert site.page.locator(".live-line").count() == 3
    site.page.locator(".new-lines").click()
    expect(site.page.get_by_text("23 came, the last 23 are shown")).to_be_visible()
    expect(site.page.locator(".live-line").last).to_have_text("held 19")


def test_an_explanation_counts_what_was_read(site: Site, seeded: Seeded) -> None:
    site.open("explain", q=f"{ALL} | json | status=503", limit="5000", **seeded.range)
    site.page.locator(".funnel").wait_for()
    rows = {
        one.locator(".funnel-name").inner_text(): number(one.locator(".num").first.inner_text())
        for one in site.page.locator(".funnel > li").all()
    }
    assert rows["In the range"] == len(seeded.lines)
    assert rows["Passed"] == len(seeded.where(lambda one: one.status == 503))
    expect(site.page.locator(".plan").first).to_contain_text("| json")
    explained = site.api.get(
        "/narfi/api/v1/explain",
        query=f"{ALL} | json | status=503",
        start=str(seeded.start_ns),
        end=str(seeded.end_ns),
    ).json
    assert explained["rules"]
    for one in [*explained["rules"], *explained["stages"]]:
        expect(site.page.locator("main")).to_contain_text(one["text"])


def test_sql_over_the_lines_of_the_range(site: Site, seeded: Seeded) -> None:
    assert site.api.send("POST", "/flush", b"", {}).status == 204
    question = "SELECT labels['app'] AS app, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1"
    site.open("sql", sql=question, **seeded.range)
    site.page.locator(".sql-grid .grid-item").first.wait_for()
    cells = site.page.locator(".sql-grid .grid-item [role=gridcell]").all_inner_texts()
    found = dict(zip(cells[::2], map(int, cells[1::2]), strict=True))
    assert found == dict(Counter(line.app for line in seeded.lines))
    site.page.get_by_label("SQL", exact=True).fill("SELECT * FROM read_csv('/etc/passwd')")
    site.page.get_by_role("button", name="Run", exact=True).click()
    expect(site.page.get_by_role("alert")).to_be_visible()


def test_a_delete_is_previewed_confirmed_and_has_a_receipt(site: Site, seeded: Seeded) -> None:
    wanted = seeded.where(is_error)
    site.open("deletes", q=f'{ALL} | detected_level="error"', **seeded.range)
    button = site.page.get_by_role("button", name=f"Delete {len(wanted)} lines")
    expect(button).to_be_disabled()
    field = site.page.get_by_label("Number of lines that are to go")
    field.fill(str(len(wanted) + 1))
    expect(button).to_be_disabled()
    field.fill(str(len(wanted)))
    button.click()
    state = site.page.locator(".table .badge")
    expect(state.first).to_be_visible()
    expect(state.first).to_have_text("removed", timeout=WAIT_MS)
    expect(site.page.locator(".table")).to_contain_text(f"{len(wanted)} lines")
    with site.page.expect_download() as download:
        site.page.get_by_role("button", name="Receipt").click()
    receipt = json.loads(download.value.path().read_text())
    assert receipt["rows"] == len(wanted)
    site.open(q=f'{ALL} | detected_level="error"', **seeded.range)
    expect(site.page.locator("main")).to_contain_text("no line", ignore_case=True)


def test_rules_and_what_fires(site: Site, seeded: Seeded) -> None:
    assert site.api.send("POST", "/loki/api/v1/rules/ns", RULES, YAML).status == 202
    site.open("rules")
    firing = site.page.get_by_role("button", name="firing")
    expect(firing).to_have_text("firing 1")
    apps = {line.app for line in seeded.where(is_error)}
    expect(site.page.locator(".alert", has_text="fails")).to_have_count(len(apps))
    expect(site.page.get_by_role("button", name="pending")).to_have_text("pending 1")
    firing.click()
    expect(site.page.locator(".rule")).to_have_count(1)
    site.page.get_by_role("link", name="See its query").click()
    site.page.locator(".chart canvas").wait_for()


def test_status_says_that_all_is_well_and_what_runs(site: Site, seeded: Seeded) -> None:
    site.open("status")
    expect(site.page.locator(".verdict")).to_contain_text("All is well")
    expect(site.page.get_by_role("region", name="Limits in use")).to_be_visible()
    expect(site.page.locator("main")).to_contain_text("Lines in blocks")
    assert site.api.get("/loki/api/v1/query_range", query=ALL).status == 200
    expect(site.page.get_by_role("region", name="Queries that ended lately")).to_contain_text(ALL)


@pytest.mark.parametrize("page", ["patterns", "metrics", "explain", "sql", "deletes", "rules"])
def test_a_refused_question_is_told_in_place(site: Site, page: str) -> None:
    now = str(time.time_ns())
    site.open(page, q="{app=", sql="SELEC", **{"from": "now-1h", "to": now})
    if page == "rules":
        expect(site.page.locator("main")).to_contain_text("There is no rule yet")
        return
    expect(site.page.get_by_role("alert").first).to_be_visible()
