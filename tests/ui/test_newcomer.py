"""Does somebody who was never here find, in five minutes and without LogQL, what went wrong?

The walk of docs/page.md, against what `make run` starts: real programs, the agent, the server.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.server import Running
from tests.ui.browsing import Site, window

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
START_S = 300
PAGE = re.compile(r"open (http://\S+)/ui/ in a browser")
LOGQL = re.compile(r"[{}|=~]")


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """The address that `make run` tells, once all lines of the programs are there."""
    command = [sys.executable, str(ROOT / "examples/demo/demo.py"), "--keep-running"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, env=os.environ
    )
    assert process.stdout is not None
    told, found = list[str](), list[str]()
    is_there = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line.decode(errors="replace"))
            if match := PAGE.search(told[-1]):
                found.append(match[1])
                is_there.set()
        is_there.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        is_there.wait(START_S)
        assert found, "".join(told)[-3000:]
        yield found[0]
    finally:
        process.terminate()
        process.wait(60)
        reader.join(10)


class Newcomer:
    """Types words and clicks; never LogQL."""

    def __init__(self, site: Site) -> None:
        self.site, self.page = site, site.page

    def types(self, text: str) -> None:
        """Into whatever has the focus."""
        assert not LOGQL.search(text), "a newcomer knows no LogQL"
        self.page.keyboard.type(text)

    def lines(self) -> int:
        """How many match, as the page says."""
        told = "document.querySelector('.told')?.innerText ?? ''"
        pattern = r"/^[\d,]+( newest of [\d,]+)? lines?\b/"
        self.site.until(f"{pattern}.test({told}) && !/running/.test({told})")
        found = re.match(r"(?:[\d,]+ newest of )?([\d,]+)", self.site.total())
        assert found is not None
        return int(found[1].replace(",", ""))


def test_five_minutes(browser: Browser, demo: str) -> None:
    port = urlsplit(demo).port
    running = Running(demo, f"127.0.0.1:{port}", ROOT, None)  # type: ignore[arg-type]
    with window(browser, running, "") as site:
        me = Newcomer(site)
        page = site.page
        page.goto(f"{demo}/")
        expect(page.locator("h2", has_text="Biggest services")).to_be_visible()
        expect(page.locator(".card.service").first).to_contain_text("lines")

        page.get_by_role("button", name="Everything").click()  # what is there?
        site.wait_rows()
        everything = me.lines()
        assert everything >= 1_200, site.total()

        site.editor()  # words, not a language
        page.keyboard.press("/")
        page.keyboard.press("Control+A")
        me.types("error")
        expect(page.locator(".ask-note")).to_contain_text("runs as")
        page.keyboard.press("Enter")
        site.until("decodeURIComponent(location.hash).includes('error')")
        site.wait_rows()
        errors = me.lines()
        assert 0 < errors < everything

        container = page.locator(".facet", has=page.get_by_text("container", exact=True))
        if container.locator(".value").count() == 0:
            container.locator(".facet-name").click()
        counts = container.locator(".value-count")
        deadline = time.monotonic() + 60
        while sum(int(one) for one in counts.all_inner_texts()) != errors:
            assert time.monotonic() < deadline, counts.all_inner_texts()
            page.wait_for_timeout(50)
        value = container.locator(".value-main").first
        told = value.locator(".value-count").inner_text()
        value.click()  # only this program
        expect(page.locator(".chip-box")).not_to_have_count(1)
        narrowed = me.lines()
        assert told == str(narrowed)
        page.go_back()
        assert me.lines() == errors

        page.locator(".row-click").first.click()  # one line, and what was around it
        page.get_by_role("button", name="Context", exact=True).click()
        expect(page.locator(".context-row").first).to_be_visible()
        page.get_by_role("button", name="More like this").click()
        site.until("decodeURIComponent(location.hash).includes('|>')")
        assert 0 < me.lines() <= errors

        page.keyboard.press("d")  # and all of it as a file
        with page.expect_download() as found:
            page.get_by_text("the lines alone").click()
        assert found.value.path().read_text().count("\n") >= 1
        expect(page.locator(".export-state")).to_contain_text("Exported")

        link = page.url  # for somebody else
        with window(browser, running, "") as other:
            other.page.goto(link)
            other.wait_rows()
            assert other.settled_rows()[:3] == site.settled_rows()[:3]
        assert site.heard() == []
