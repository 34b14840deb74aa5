"""Can everybody use the page: without a mouse, without seeing colours, on a phone?"""

from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.browsing import AXE, Site, window
from tests.ui.seeded import Seeded, seed

PAGES = ("logs", "patterns", "metrics", "live", "explain", "sql", "deletes", "rules", "status")
THEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
COLOURS = {"light": (), "dark": ("color-contrast", "link-in-text-block")}
"""Rules of axe-core that look at colours; none: all of its rules."""
WIDTHS, HEIGHT = (390, 768, 1440, 2560), 900
STATES = {
    "first": {},
    "lines": {"q": '{env="prod"}'},
    "table": {"q": '{env="prod"} |= "timeout"', "v": "table"},
    "empty": {"q": '{env="none"}'},
}


@pytest.fixture
def seeded(site: Site) -> Seeded:
    """Lines of this test's tenant."""
    return seed(site.api, 600)


def needs_axe() -> None:
    """It is a package of Node, as what the page is built with."""
    if not AXE.exists():
        pytest.skip("no ui/node_modules/axe-core: `make ui` installs it")


def test_axe_finds_nothing_serious_on_any_page(
    browser: Browser, site: Site, seeded: Seeded
) -> None:
    """In both themes: the page changes with the system's, and nothing but its colours."""
    needs_axe()
    found: dict[str, list[str]] = {}

    def look(state: str) -> None:
        for theme in THEMES:
            other.page.emulate_media(color_scheme=theme)
            other.drawn()
            other.until(f"matchMedia('(prefers-color-scheme: {theme})').matches")
            found[f"{state} {theme}"] = other.axe(*COLOURS[theme])
            other.shot(f"{state}-{theme}")

    with window(browser, site.running, site.tenant) as other:
        names = _pages(other)
        for state, parameters in STATES.items():
            other.open(**seeded.range, **parameters)
            other.page.wait_for_timeout(700)
            if state == "lines":
                other.editor()
                other.page.locator(".grid-item").nth(2).click()
                other.page.locator(".details .field-table").wait_for()
            look(state)
        for name in names[1:]:
            other.open(name, **seeded.range)
            other.page.locator("main h1").first.wait_for(state="attached")
            other.page.wait_for_timeout(400)
            look(name)
        other.open(**seeded.range)
        other.page.keyboard.press("?")
        other.page.locator("dialog").wait_for()
        look("keys")
    assert {name: some for name, some in found.items() if some} == {}
    assert set(names) <= set(PAGES)


def test_a_failing_request_is_found_without_a_mouse(site: Site, seeded: Seeded) -> None:
    site.open(**seeded.range)
    site.editor()
    site.page.keyboard.press("/")
    site.page.keyboard.type("timeout")
    site.page.keyboard.press("Enter")
    site.wait_rows(3)
    site.page.keyboard.press("Escape")
    active = site.page.locator(".grid-item[aria-selected=true]")
    site.page.keyboard.press("j")
    expect(active).to_have_attribute("id", "line-0")
    site.page.keyboard.press("j")
    expect(active).to_have_attribute("id", "line-1")
    expect(site.page.locator(".grid")).to_have_attribute("aria-activedescendant", "line-1")
    site.page.keyboard.press("Enter")
    expect(site.page.locator(".details")).to_be_visible()
    site.page.keyboard.press("c")
    expect(site.page.locator(".context-row[aria-current]")).to_be_visible()
    site.page.keyboard.press("y")
    assert "timeout" in site.page.evaluate("navigator.clipboard.readText()")
    site.page.keyboard.press("Escape")
    expect(site.page.locator(".details")).to_have_count(0)
    site.page.keyboard.press("2")
    expect(site.page.locator(".table-head")).to_be_visible()
    site.page.locator(".head-name").nth(1).focus()
    site.page.keyboard.press("]")
    site.until("decodeURIComponent(location.hash).includes('c=time,service,level,line')")
    site.page.keyboard.press("1")
    site.page.keyboard.press("f")
    site.page.keyboard.type("status")
    box = site.page.locator(".facet")
    expect(box).to_have_count(1)
    box.locator(".value-main").first.wait_for()
    box.locator(".value-main").first.focus()
    site.page.keyboard.press("-")
    expect(site.page.locator(".chips")).to_contain_text("status!=")


def test_keys_of_one_letter_can_be_switched_off(site: Site, seeded: Seeded) -> None:
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    site.page.keyboard.press("?")
    dialog = site.page.locator("dialog")
    dialog.get_by_label("Keys of one letter act").click()
    site.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    site.page.keyboard.press("2")
    assert "v=table" not in site.page.evaluate("location.hash")
    site.page.keyboard.press("ArrowDown")
    expect(site.page.locator(".grid-item[aria-selected=true]")).to_have_count(1)


def test_nothing_is_wider_than_the_window(browser: Browser, site: Site, seeded: Seeded) -> None:
    """As it was opened on a phone, as its window becomes larger, and small again."""

    def look(state: str) -> None:
        for width in (*WIDTHS, WIDTHS[0]):
            other.page.set_viewport_size({"width": width, "height": HEIGHT})
            other.until(f"innerWidth === {width}")
            other.drawn()
            other.shot(f"{state}-{width}")
            assert overflow(other) == 0, (state, width)

    with window(
        browser, site.running, site.tenant, width=WIDTHS[0], height=HEIGHT, theme="dark"
    ) as other:
        names = _pages(other)
        for state, parameters in STATES.items():
            other.open(**seeded.range, **parameters)
            other.page.wait_for_timeout(500)
            look(f"logs-{state}")
        other.open(q='{env="prod"}', **seeded.range)
        other.wait_rows()
        other.page.locator(".grid-item").nth(1).click()
        other.page.locator(".details .field-table").wait_for()
        look("logs-details")
        for name in names[1:]:
            other.open(name, q='{env="prod"}', **seeded.range)
            other.page.locator("main h1").first.wait_for(state="attached")
            other.page.wait_for_timeout(300)
            look(name)


def _pages(site: Site) -> list[str]:
    """Names of all pages, as the navigation has them."""
    site.open()
    site.page.locator("nav a").first.wait_for()
    addresses = [one.get_attribute("href") or "" for one in site.page.locator("nav a").all()]
    return [address[2:].split("?")[0] for address in addresses]


def overflow(site: Site) -> int:
    """Pixels that stick out."""
    found: int = site.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return max(0, found)


def test_targets_are_large_enough(site: Site, seeded: Seeded) -> None:
    """24 pixels each way (WCAG 2.2, 2.5.8)."""
    site.open(q='{env="prod"}', **seeded.range)
    site.wait_rows()
    site.page.locator(".value-main").first.wait_for()
    small = site.page.evaluate(
        """[...document.querySelectorAll('button, select, input, nav a')]
        .filter((one) => one.offsetParent && !one.closest('label'))
        .map((one) => [one.className || one.tagName, one.textContent, one.getBoundingClientRect()])
        .filter(([, , box]) => box.width && (box.height < 24 || box.width < 24))
        .map(([name, text, box]) => `${name} ${text} ${box.width}x${box.height}`)"""
    )
    assert small == []
