"""Does the page follow thousands of lines a second for long, and count every one of them?

`make page-tail` gives it ten minutes; a run of the tests a few seconds. Somebody pauses and goes on
meanwhile. CPU is that of the page's thread; it is asserted only for ten minutes.
"""

import http.client
import os
import random
import re
import threading
import time

import pytest
from playwright.sync_api import expect

from tests.served import Api
from tests.ui.browsing import Site
from tests.ui.test_budget import Meter, say

SECONDS = float(os.environ.get("NARFI_TEST_TAIL", "8"))
IS_LONG = SECONDS >= 300
PER_SECOND, PER_PUSH = 2_000, 100
RING = 10_000
MOST_CPU = 0.3
"""Of a core."""
MOST_GROWTH = 1.25
"""Of the heap, from the first tenth to the end."""
QUERY = '{app="tail"}'


class Pushing(threading.Thread):
    """Numbered lines at a steady rate."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api, self.pushed = api, 0
        self.failure: Exception | None = None

    def run(self) -> None:
        """Until the time is over; what is late is sent at once."""
        began = time.monotonic()
        try:
            while (now := time.monotonic() - began) < SECONDS:
                if self.pushed > now * PER_SECOND:
                    time.sleep(0.01)
                    continue
                numbers = range(self.pushed, self.pushed + PER_PUSH)
                self._api.push({"app": "tail"}, *(f"line {number}" for number in numbers))
                self.pushed += PER_PUSH
        except (OSError, AssertionError, http.client.HTTPException) as error:
            self.failure = error


def number(text: str) -> int:
    """The first of a text as the page writes it."""
    found = re.search(r"[\d,]+", text)
    assert found is not None, text
    return int(found[0].replace(",", ""))


@pytest.mark.slow
def test_every_line_is_counted_through_pauses(site: Site) -> None:
    site.open("live", q=QUERY)
    bar = site.page.locator(".live-bar")
    site.wait_following()
    pushing, random_ = Pushing(site.api), random.Random(5)
    meter = Meter(site)
    pushing.start()
    before, began, pauses, heaps = meter.read(), time.monotonic(), 0, []
    while pushing.is_alive():
        site.page.wait_for_timeout(1000 * random_.uniform(0.5, 3))
        site.page.keyboard.press("Space")
        pauses += 1
        heaps.append(meter.read()["JSHeapUsedSize"])
    pushing.join()
    assert pushing.failure is None
    after, wall = meter.read(), time.monotonic() - began
    if "paused" in bar.inner_text():
        site.page.keyboard.press("Space")
    wanted = f"{pushing.pushed:,} came"
    expect(bar).to_contain_text(wanted)
    dropped = bar.locator(".badge", has_text="dropped")
    lost = number(dropped.inner_text()) if dropped.count() else 0
    shown = site.page.locator(".live-grid").get_attribute("aria-rowcount")
    expect(site.page.locator(".live-line").last).to_have_text(f"line {pushing.pushed - 1}")
    assert int(shown or 0) == min(pushing.pushed, RING)
    cpu = (after["TaskDuration"] - before["TaskDuration"]) / wall
    tenth = max(1, len(heaps) // 10)
    growth = min(heaps[-tenth:]) / max(1, min(heaps[:tenth]))
    say("lines pushed, and counted by the page", pushing.pushed, "", pushing.pushed)
    say("of them let go while it was paused", lost, "", 0)
    say("pauses and resumes", pauses, "", 0)
    say("lines a second (wall)", pushing.pushed / wall, "", PER_SECOND)
    say("CPU of the page's thread, of a core", 100 * cpu, "%", 100 * MOST_CPU)
    say("heap at the end, of that at first", growth, "", MOST_GROWTH)
    if IS_LONG:
        assert cpu <= MOST_CPU
        assert growth <= MOST_GROWTH


@pytest.mark.slow
def test_no_line_is_twice_or_out_of_its_place(site: Site) -> None:
    """What is held when all came: the last lines, each once, in order."""
    site.open("live", q=QUERY)
    site.wait_following()
    count = 3_000
    for first in range(0, count, 500):
        site.api.push({"app": "tail"}, *(f"line {n}" for n in range(first, first + 500)))
        site.page.keyboard.press("Space")
    if "paused" in site.page.locator(".live-bar").inner_text():
        site.page.keyboard.press("Space")
    expect(site.page.locator(".live-bar")).to_contain_text(f"{count:,} came")
    expect(site.page.locator(".live-line").last).to_have_text(f"line {count - 1}")
    seen = list[str]()
    for top in range(0, count * 20, 400):
        site.page.locator(".live-grid").evaluate("(one, top) => { one.scrollTop = top; }", top)
        site.page.wait_for_timeout(40)
        seen += site.page.locator(".live-line").all_inner_texts()
    assert list(dict.fromkeys(seen)) == [f"line {n}" for n in range(count)]
