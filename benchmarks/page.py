"""How fast is the page over millions of lines? What a browser shows when, by the clock, and frames.

`python -m benchmarks.page --prepare FOLDER` makes a data folder of so many lines once (minutes);
`python -m benchmarks.page FOLDER` serves it and opens the page in Chromium, where nothing was asked
before and again: first paint, first lines, histogram and fields with their values. Then it holds
50,000 lines and turns the mouse wheel over them: intervals between frames (what a frame was late
by is what somebody sees), and the CPU time of the page's thread for each. On an idle machine.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.data import SPAN_NS, prepare
from benchmarks.push import push
from benchmarks.run import CONFIG, END_NS
from benchmarks.server import Running, serving

LINE_BYTES = 215
"""Of a line of `benchmarks.data`, about."""
LINES = 5_000_000
MANY = 50_000
QUERY = '{namespace=~".+"}'
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
WAIT_S = 60
FRAME_MS = 1000 / 60
LATE_MS = 1.5 * FRAME_MS
"""A frame that came after so long was missed by somebody."""
WHEEL_S, WHEEL_PIXELS, WHEEL_EVERY_S = 10, 120, 1 / 60
BARS: Mapping[str, float] = {
    "first contentful paint": 200,
    "first lines": 400,
    "histogram": 800,
    "fields with values": 800,
}
"""ms, of section 9 of the page's reference: two idle cores."""

LOOK = """
window.__seen = {};
const look = () => {
  const seen = (name, there) => {
    if (!(name in window.__seen) && there) window.__seen[name] = performance.now();
  };
  seen('first lines', document.querySelector('.grid-item'));
  const bars = document.querySelector('.histogram');
  seen('histogram', bars && !bars.dataset.stale && bars.querySelector('.legend-item'));
  const list = document.querySelector('.facets-list');
  seen('fields with values', list && !list.dataset.stale && list.querySelector('.value'));
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
FRAMES = """
window.__frames = [];
const frame = (at) => {
  window.__frames.push(at);
  if (!window.__stop) requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


@dataclass(frozen=True, slots=True)
class Opened:
    """When what was there, in ms after the address was entered."""

    ms: Mapping[str, float]


def address(running: Running) -> str:
    """Of the Logs page over all lines."""
    given = {"q": QUERY, "from": str(END_NS - SPAN_NS), "to": str(END_NS + 10**9)}
    pairs = "&".join(f"{name}={quote(value)}" for name, value in given.items())
    return f"{running.url}/ui/#/logs?{pairs}"


@contextmanager
def visitor(browser: Browser) -> Iterator[Page]:
    """A new one, who has nothing in the browser's cache."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        yield context.new_page()
    finally:
        context.close()


def until(page: Page, expression: str) -> Any:
    """What becomes true; the page's policy forbids Playwright's own way to wait."""
    deadline = time.monotonic() + WAIT_S
    while not (found := page.evaluate(expression)):
        if time.monotonic() > deadline:
            raise SystemExit(f"never true: {expression}")
        page.wait_for_timeout(30)
    return found


def opened(browser: Browser, running: Running) -> Opened:
    """Open the page and wait until all is there."""
    with visitor(browser) as page:
        page.add_init_script(LOOK)
        page.goto(address(running))
        until(page, "Object.keys(window.__seen).length >= 3")
        seen = dict(page.evaluate("window.__seen"))
        seen["first contentful paint"] = page.evaluate(FIRST_PAINT)
    return Opened(seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrolled:
    """Intervals between frames while the wheel turned, and what a frame cost the page's thread."""

    intervals_ms: np.ndarray[Any, np.dtype[np.float64]]
    cpu_ms: float
    heap_bytes: int
    rows: int


def scrolled(browser: Browser, running: Running) -> Scrolled:
    """Hold many lines, then turn the wheel over them for ten seconds."""
    with visitor(browser) as page:
        page.goto(address(running))
        until(page, "document.querySelector('.grid-item')")
        grid = "document.querySelector('.grid')"
        down = f"(() => {{ const one = {grid}; one.scrollTop = one.scrollHeight; }})()"
        held = f"Number({grid}.getAttribute('aria-rowcount'))"
        deadline = time.monotonic() + WAIT_S
        while page.evaluate(held) < MANY and time.monotonic() < deadline:
            page.evaluate(down)
            page.wait_for_timeout(20)
        page.evaluate("(() => { document.querySelector('.grid').scrollTop = 100_000; })()")
        page.wait_for_timeout(1000)
        box = page.locator(".grid").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def metrics() -> dict[str, float]:
            found = session.send("Performance.getMetrics")["metrics"]
            return {one["name"]: one["value"] for one in found}

        page.evaluate(FRAMES)
        before, began, turns = metrics(), time.monotonic(), 0
        while time.monotonic() - began < WHEEL_S:
            page.mouse.wheel(0, WHEEL_PIXELS)
            turns += 1
            page.wait_for_timeout(max(0, (began + turns * WHEEL_EVERY_S - time.monotonic()) * 1000))
        after = metrics()
        at = page.evaluate("(() => { window.__stop = true; return window.__frames; })()")
        intervals = np.diff(np.array(at))
        return Scrolled(
            intervals_ms=intervals,
            cpu_ms=(after["TaskDuration"] - before["TaskDuration"]) * 1e3 / len(intervals),
            heap_bytes=int(after["JSHeapUsedSize"]),
            rows=page.evaluate(held),
        )


def tell_opened(name: str, found: Opened) -> None:
    """A line for each moment."""
    for what, bar in BARS.items():
        value = found.ms.get(what)
        told = "–" if value is None else f"{value:.0f}"
        print(f"| {what}, {name} | {told} ms | {bar:.0f} ms |")


def tell_scrolled(found: Scrolled) -> None:
    """Lines of the table."""
    late = int((found.intervals_ms > LATE_MS).sum())
    per_s = 1000 / found.intervals_ms.mean()
    p50, p99 = np.percentile(found.intervals_ms, (50, 99))
    print(f"| lines held | {found.rows:,} | {MANY:,} |")
    print(f"| frames a second while the wheel turns | {per_s:.1f} | 60 |")
    print(f"| between frames: median, p99, longest | {p50:.1f}, {p99:.1f}, "
          f"{found.intervals_ms.max():.1f} ms | {FRAME_MS:.1f} ms |")  # fmt: skip
    print(f"| frames that came late | {late} of {len(found.intervals_ms)} | 0 |")
    print(f"| CPU of the page's thread for a frame | {found.cpu_ms:.1f} ms | 8 ms |")
    print(f"| heap with them | {found.heap_bytes / 2**20:.0f} MiB | 60 MiB |")


def fill(folder: Path, lines: int) -> None:
    """A data folder of so many lines, flushed and merged."""
    with tempfile.TemporaryDirectory() as bodies:
        made = prepare(Path(bodies), lines * LINE_BYTES, END_NS)
        with serving(folder, CONFIG) as running:
            report = push(running.url, made, pid=running.process.pid, data_dir=folder)
    print(f"{report.lines:,} lines in {folder}")


def main() -> None:
    """Prepare, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prepare", action="store_true", help="make the data folder")
    parser.add_argument("--lines", type=int, default=LINES)
    given = parser.parse_args()
    if given.prepare:
        fill(given.folder, given.lines)
        return
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("no chromium: `make programs` unpacks Debian's into .clients/bin")
    print("| what | measured | bar |\n|---|---|---|")
    with (
        serving(given.folder, CONFIG) as running,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS)) as browser,
    ):
        tell_opened("asked for the first time", opened(browser, running))
        tell_opened("again", opened(browser, running))
        tell_scrolled(scrolled(browser, running))


if __name__ == "__main__":
    main()
