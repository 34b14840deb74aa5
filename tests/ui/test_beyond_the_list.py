"""What can be had beyond the lines that are shown? All as a file, others like one, their time."""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.ui.browsing import Site
from tests.ui.seeded import Seeded, seed
from tests.ui.test_logs import expect_total, shown_query


@pytest.fixture
def seeded(site: Site) -> Seeded:
    """Lines of this test's tenant."""
    return seed(site.api)


def test_a_download_says_how_far_it_came(site: Site, seeded: Seeded) -> None:
    """By the server's own count, with several tenants too: the page holds no file."""
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    site.page.keyboard.press("d")
    with site.page.expect_download() as found:
        site.page.get_by_text("an object a line").click()
    last = found.value.path().read_text().splitlines()[-1]
    assert f'"rows":{len(seeded.lines)}' in last.replace(" ", "")
    told = site.page.locator(".export-state")
    expect(told).to_contain_text(f"Exported: {len(seeded.lines):,} lines")
    told.get_by_role("button").click()
    expect(told).to_have_count(0)


def test_more_lines_like_one(site: Site, seeded: Seeded) -> None:
    """The line's pattern becomes a filter behind those of the query."""
    site.open(q='{env="prod"} | json | status >= 500', **seeded.range)
    site.wait_rows()
    site.page.locator(".row-click").first.click()
    site.page.get_by_role("button", name="More like this").click()
    site.until("decodeURIComponent(location.hash).includes('|>')")
    assert "upstream timeout" in shown_query(site)
    status = re.findall(r'"status": (\d+)', shown_query(site))
    wanted = seeded.where(
        lambda one: one.status >= 500 and (not status or str(one.status) in status)
    )
    expect_total(site, len(wanted))
    assert all("upstream timeout" in line for line in site.settled_rows())


def test_the_list_says_of_which_time_it_is(site: Site) -> None:
    seeded = seed(site.api, 2_500)
    site.open(q='{env="prod"}', tz="utc", **seeded.range)
    site.wait_rows()
    bars = site.page.locator(".bars canvas")
    clock = [datetime.fromtimestamp(one.ts_ns // 10**9, UTC) for one in seeded.lines]
    for name, moment in (("from", clock[-1_000]), ("to", clock[-1])):
        told = re.compile(f"{name} {moment:%Y-%m-%d[ T]%H:%M:%S}")
        expect(bars).to_have_attribute("aria-label", told)
