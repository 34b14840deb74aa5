"""What does the page show when its server goes, comes back, or breaks off within an answer?"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect

from benchmarks.server import start, stop
from tests.served import Api
from tests.ui.browsing import Site, window
from tests.ui.conftest import CONFIG
from tests.ui.seeded import seed

LINES, MORE_LINES = 2_500, 3_500
BROKE = "The connection broke before the answer was whole"


class Server:
    """One that can be ended, and started again where it was."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._config = folder, folder / "narfi.yaml"
        self._config.write_text(CONFIG)
        self.running = start(folder / "data", self._config, folder / "log")

    def end(self, *, kill: bool) -> None:
        """By its pid; a kill leaves it no time for anything."""
        if kill:
            self.running.process.kill()
            self.running.process.wait()
        else:
            stop(self.running)

    def come_back(self) -> None:
        """With the same data, at the same address."""
        http, grpc = (urlsplit(f"//{one}").port for one in (self._at, self.running.grpc))
        assert http is not None
        assert grpc is not None
        folder = self._folder
        self.running = start(folder / "data", self._config, folder / "log", ports=(http, grpc))

    @property
    def _at(self) -> str:
        return self.running.url.removeprefix("http://")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test alone."""
    found = Server(tmp_path)
    yield found
    found.end(kill=False)


def scrolled_down(site: Site) -> None:
    """The end of the second page of lines is seen, the third one is there, nothing is under way."""
    site.wait_rows()
    expect(site.page.locator(".told")).to_contain_text("1,000 newest of")
    site.page.locator(".grid").focus()
    site.page.keyboard.press("End")
    expect(site.page.locator(".told")).to_contain_text("2,000 newest of")
    site.page.keyboard.press("End")
    expect(site.page.locator(".told")).to_contain_text("3,000 newest of")


@pytest.mark.parametrize("kill", [False, True])
def test_a_restart_under_an_open_page(
    browser: Browser, server: Server, tenant: str, kill: bool
) -> None:
    with window(browser, server.running, tenant) as site:
        seeded = seed(site.api, MORE_LINES)
        site.open(q='{env="prod"}', **seeded.range)
        scrolled_down(site)
        before = site.settled_rows()
        server.end(kill=kill)
        site.page.get_by_role("button", name="Run again").wait_for()
        site.page.get_by_label("Find a field").fill("status")
        banner = site.page.locator(".banner")
        site.page.locator(".facet-name").first.click()
        expect(banner).to_contain_text("does not answer")
        kept = site.settled_rows()  # the banner takes the place of some
        assert (kept, len(kept) > 10) == (before[: len(kept)], True)
        server.come_back()
        expect(banner).to_have_count(0)
        site.told.clear()  # Chromium reports what it could not fetch
        assert site.settled_rows() == before, "the lines that were there, at the same place"
        expect(site.page.locator(".notice[data-kind=error]")).to_have_text([])
        expect(site.page.locator(".told")).to_contain_text("3,000 newest of")
        site.page.keyboard.press("Escape")
        site.page.locator(".grid").focus()
        site.page.keyboard.press("End")
        expect(site.page.locator(".told")).to_have_text(re.compile(f"^{MORE_LINES:,} lines"))
        assert site.heard() == []


def test_a_tail_goes_on_after_a_restart(browser: Browser, server: Server, tenant: str) -> None:
    with window(browser, server.running, tenant) as site:
        api = Api(server.running.url, tenant, server.running.grpc)
        site.open("live", q='{app="a"}')
        site.wait_following()
        api.push({"app": "a"}, *(f"line {n} of before" for n in range(5)))
        expect(site.page.locator(".live-line")).to_have_count(5)
        server.end(kill=True)
        expect(site.page.locator(".live-bar")).to_contain_text("lost the server")
        server.come_back()
        api = replace(api, url=server.running.url)
        api.push({"app": "a"}, *(f"line {n} of after" for n in range(5)))
        expect(site.page.locator(".live-line")).to_have_count(10)
        assert site.page.locator(".live-line").all_inner_texts() == [
            f"line {n} of {when}" for when in ("before", "after") for n in range(5)
        ]


def test_an_answer_that_breaks_within_a_line_is_gone_on_with(site: Site) -> None:
    """A proxy that ends the answer cleanly: the browser alone would not see that it is cut."""
    seeded = seed(site.api, LINES)
    breaks = iter((True, True))

    def cut(route: Route) -> None:
        if "cursor" not in route.request.url or not next(breaks, False):
            route.continue_()
            return
        answer = route.fetch()
        body = answer.body()
        at = body.rindex(b"\n", 0, len(body) * 2 // 3) + 40
        route.fulfill(status=200, headers={"Content-Type": "application/x-ndjson"}, body=body[:at])

    site.page.route("**/narfi/api/v1/lines?*", cut)
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    expect(site.page.locator(".told")).to_contain_text("1,000 newest of")
    site.page.locator(".grid").focus()
    site.page.keyboard.press("End")
    told = site.page.locator(".notice[data-kind=error]")
    expect(told).to_contain_text(BROKE)
    told.get_by_role("button", name="Go on").click()
    expect(told).to_contain_text(BROKE)
    told.get_by_role("button", name="Go on").click()
    expect(told).to_have_count(0)
    expect(site.page.locator(".told")).to_contain_text("2,000 newest of")
    site.page.locator(".grid").focus()
    for _ in range(3):
        site.page.keyboard.press("End")
        site.page.wait_for_timeout(100)
    expect(site.page.locator(".told")).to_have_text(re.compile(f"^{LINES:,} lines"))
    site.page.keyboard.press("End")
    expect(site.page.locator(".grid-item .cell-line").last).to_have_text(seeded.lines[0].text)
    assert site.page.locator(".grid").get_attribute("aria-rowcount") == str(LINES)


def test_who_is_at_the_end_before_a_page_is_whole_gets_the_next(site: Site) -> None:
    """Nothing moves any more then: the end of the page itself has to ask."""
    seeded = seed(site.api, LINES)
    site.page.route("**/narfi/api/v1/lines?*", lambda route: _slowly(site, route))
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    expect(site.page.locator(".told")).to_have_text(re.compile(f"^{LINES:,} lines"))


def _slowly(site: Site, route: Route) -> None:
    """Go to the end as soon as there are rows, and stay there."""
    site.page.evaluate(
        "setInterval(() => { const one = document.querySelector('.grid');"
        " if (one) one.scrollTop = one.scrollHeight; }, 5)"
    )
    route.continue_()
