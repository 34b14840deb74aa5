"""One server for all tests of the page, a tenant of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from benchmarks.server import Running, start, stop
from tests.ui.browsing import ARGUMENTS, CHROMIUM, NO_CHROMIUM, WAIT_MS, Site, window

expect.set_options(timeout=WAIT_MS)

CONFIG = """
tenancy: header
limits: {reject_old_samples: false, max_line_size: 0}
compactor: {interval: 1s, delete_request_cancel_period: 2s}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window.

    Of a module: while Playwright is there, its event loop runs in this thread, and tests of other
    folders that need one of their own would fail.
    """
    if not CHROMIUM:
        pytest.skip(NO_CHROMIUM)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield found
        found.close()


@pytest.fixture(scope="session")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server process."""
    folder = tmp_path_factory.mktemp("ui")
    config: Path = folder / "narfi.yaml"
    config.write_text(CONFIG)
    server = start(folder / "data", config, folder / "log")
    yield server
    stop(server)


@pytest.fixture
def tenant(request: pytest.FixtureRequest) -> str:
    """Of this test alone."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)[:100]


@pytest.fixture
def site(browser: Browser, page_server: Running, tenant: str) -> Iterator[Site]:
    """A new visitor of the page; it must not have said anything at the end."""
    with window(browser, page_server, tenant) as found:
        yield found
        assert found.heard() == []
