"""A real browser at the page of a real server: what it is given, and what it must never say."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from benchmarks.server import Running
from tests.served import Api

ROOT = Path(__file__).parents[2]
AXE = ROOT / "ui/node_modules/axe-core/axe.min.js"
CHROMIUM = shutil.which("chromium") or ""
NO_CHROMIUM = "no chromium: `make programs` unpacks Debian's into .clients/bin"
WAIT_MS = 60_000
"""A machine that does other things meanwhile is slow, not wrong."""
LOOK_MS, SAME_LOOKS = 50, 5
"""So often the same is seen before it is taken for what stays."""
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
FAILED_REQUEST = "Failed to load resource"
"""What Chromium itself says of an answer that is no 2xx: the page shows those."""

WATCH = """
window.__violations = [];
window.__ran = [];
document.addEventListener('securitypolicyviolation', (event) =>
  window.__violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@dataclass
class Site:
    """The page of a server, for one tenant, in one window."""

    running: Running
    tenant: str
    page: Page
    context: BrowserContext
    told: list[str] = field(default_factory=list)
    opened: int = 0

    @property
    def api(self) -> Api:
        """The same tenant without the page."""
        return Api(self.running.url, self.tenant, self.running.grpc)

    def address(self, page: str = "logs", /, **parameters: str) -> str:
        """Of a page with its parameters."""
        given = {"tenant": self.tenant, **parameters}
        pairs = "&".join(f"{name}={quote(value)}" for name, value in given.items() if value)
        return f"{self.running.url}/ui/#/{page}?{pairs}"

    def open(self, page: str = "logs", /, **parameters: str) -> None:
        """Go there, as if the address was typed; the document is loaded anew.

        Each time it is another one: of the same its fragment alone would change, and by way of an
        empty page Chromium starts a process for each: 0.8 s of CPU, not 0.4.
        """
        address = self.address(page, **parameters)
        self.page.goto(address.replace("#", f"?{self.opened}#", 1) if self.opened else address)
        self.opened += 1

    def editor(self) -> None:
        """Wait for the editor that takes the place of the plain box."""
        self.page.wait_for_selector(".ask-editor:not([hidden])")

    def rows(self) -> list[str]:
        """The lines that are seen, in their order."""
        return self.page.locator(".grid-item .cell-line").all_inner_texts()

    def settled_rows(self, of: str = ".grid-item .cell-line") -> list[str]:
        """The same when nothing is on its way and they stay as they are.

        Until then there may be fewer: those beyond the edge of what is seen come with the next
        page of lines, and when the list becomes higher.
        """
        look = f"""[[...document.querySelectorAll('{of}')].map((one) => one.innerText),
          document.querySelector('.told')?.innerText.includes('running') ?? true]"""
        deadline = time.monotonic() + WAIT_MS / 1000
        before: list[str] | None = None
        same = 0
        while same < SAME_LOOKS:
            assert time.monotonic() < deadline, f"rows never stay: {before}"
            found, is_running = self.page.evaluate(look)
            same = same + 1 if found == before and not is_running else 0
            before = found
            self.page.wait_for_timeout(LOOK_MS)
        return before or []

    def wait_following(self) -> None:
        """Until the page of live lines follows: what is pushed from now on is new to it."""
        badge = self.page.locator(".live-bar .badge").first
        expect(badge).to_have_text("following")  # whole: "not following" is no such state

    def wait_rows(self, count: int = 1) -> None:
        """Until there are lines."""
        self.until(f"document.querySelectorAll('.grid-item').length >= {count}")

    def until(self, expression: str) -> None:
        """Look until something is true; the policy forbids Playwright's own way to wait."""
        deadline = time.monotonic() + WAIT_MS / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            self.page.wait_for_timeout(30)

    def drawn(self) -> None:
        """Wait until what changed is laid out and drawn: the second frame after it begins."""
        self.page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def total(self) -> str:
        """What the line above the lines says of them."""
        return self.page.locator(".told").inner_text()

    def heard(self) -> list[str]:
        """Errors of the console, and everything that the policy forbade; nothing may be there."""
        found: list[str] = self.page.evaluate("[...window.__violations, ...window.__ran]")
        return [*self.told, *found]

    def axe(self, *rules_asked: str) -> list[str]:
        """What axe-core finds serious or critical, by all of its rules or by some."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        rules: dict[str, object] = {"resultTypes": ["violations"], "iframes": False}
        if rules_asked:
            rules["runOnly"] = {"type": "rule", "values": rules_asked}
        found = self.page.evaluate(f"axe.run(document, {json.dumps(rules)})")
        return [
            f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:300]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"][:5]
        ]

    def shot(self, name: str) -> None:
        """Keep a picture where NARFI_TEST_SHOTS names a folder: for people."""
        if folder := os.environ.get("NARFI_TEST_SHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"))


@contextmanager
def window(
    browser: Browser,
    running: Running,
    tenant: str,
    *,
    width: int = 1440,
    height: int = 900,
    theme: str = "light",
) -> Iterator[Site]:
    """A new visitor, with nothing of others."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,  # type: ignore[arg-type]
        timezone_id="UTC",
        locale="en-GB",
        accept_downloads=True,
    )
    context.set_default_timeout(WAIT_MS)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=running.url)
    context.add_init_script(WATCH)
    page = context.new_page()
    site = Site(running, tenant, page, context)

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and FAILED_REQUEST not in message.text:
            site.told.append(f"{message.type}: {message.text}")

    page.on("console", said)
    page.on("pageerror", lambda error: site.told.append(f"not caught: {error}"))
    try:
        yield site
    finally:
        context.close()
