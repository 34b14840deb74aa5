"""What does each page look like? Pictures for docs/images, and for who looks whether it is sound.

`python -m tests.ui.shots FOLDER [--width N …]` starts a server, fills it, and keeps a small WebP of
each page in both themes and widths.
"""

import argparse
import base64
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.server import serving
from tests.served import Api
from tests.ui.browsing import ARGUMENTS, CHROMIUM, NO_CHROMIUM, Site, window
from tests.ui.conftest import CONFIG
from tests.ui.seeded import Seeded, seed

WIDTHS = (390, 1440)
HEIGHTS = {390: 844, 1440: 900, 2560: 1440}
QUALITY = 55
SETTLE_MS = 1_500
NGINX = '2026/11/24 09:00:0{} [error] 7#7: *1 connect() failed, upstream: "http://a:80/"'
RULES = """
name: shop
rules:
  - {alert: ManyErrors, expr: 'sum by (app) (count_over_time({env="prod"} |= "timeout" [1h])) > 5',
     labels: {severity: critical}, annotations: {summary: '{{ $labels.app }}: upstreams time out'}}
  - {record: 'app:lines:rate5m', expr: 'sum by (app) (rate({env="prod"}[5m]))'}
"""
RATE = 'sum by (app) (rate({env="prod"}[5m]))'
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "first-visit": ("logs", {}),
    "logs": ("logs", {"q": '{env="prod"}'}),
    "details": ("logs", {"q": '{env="prod"} |= "timeout"'}),
    "table": ("logs", {"q": '{env="prod"} | json', "v": "table", "c": "time,app,status,line"}),
    "patterns": ("patterns", {"q": '{env="prod"}'}),
    "metrics": ("metrics", {"q": RATE}),
    "live": ("live", {"q": '{env="prod"}'}),
    "explain": ("explain", {"q": '{env="prod"} |= "timeout" | json'}),
    "sql": ("sql", {"sql": "select shape, count(*) from logs group by all"}),
    "deletes": ("deletes", {"q": '{env="prod"} |= "timeout"'}),
    "rules": ("rules", {}),
    "status": ("status", {}),
}


def fill(api: Api) -> Seeded:
    """Lines of three services and of nginx, in blocks, and rules."""
    seeded = seed(api, 4_000)
    lines = [NGINX.format(n) for n in range(9)]
    api.push({"service_name": "nginx", "log": "error"}, *lines, ts_ns=seeded.end_ns - 10**9)
    api.send("POST", "/flush", b"", {})
    headers = {"Content-Type": "application/yaml"}
    answer = api.send("POST", "/loki/api/v1/rules/shop", RULES.encode(), headers)
    assert answer.status == 202, answer.text
    return seeded


def keep(site: Site, path: Path) -> None:
    """A WebP of what is seen."""
    session = site.context.new_cdp_session(site.page)
    asked = {"format": "webp", "quality": QUALITY}
    path.write_bytes(base64.b64decode(session.send("Page.captureScreenshot", asked)["data"]))


def show(site: Site, name: str, seeded: Seeded) -> None:
    """Open a page and wait until it has its answers."""
    page, parameters = PAGES[name]
    site.open(page, tz="utc", **parameters, **seeded.range)
    site.page.locator("main h1").first.wait_for(state="attached")
    if name == "details":
        site.wait_rows()
        site.page.locator(".row-click").nth(1).click()
        site.page.locator(".details .field-table").wait_for()
    site.page.wait_for_timeout(SETTLE_MS)


def main() -> None:
    """Keep all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, nargs="*", default=WIDTHS)
    parser.add_argument("--only", default="", help="a page")
    given = parser.parse_args()
    if not CHROMIUM:
        raise SystemExit(NO_CHROMIUM)
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        config = Path(place) / "narfi.yaml"
        config.write_text(CONFIG)
        with (
            serving(Path(place) / "data", config) as running,
            sync_playwright() as playwright,
            playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS)) as browser,
        ):
            seeded = fill(Api(running.url, "shop", running.grpc))
            for width in given.width:
                for theme in ("light", "dark"):
                    height = HEIGHTS.get(width, 900)
                    with window(
                        browser, running, "shop", theme=theme, width=width, height=height
                    ) as site:
                        for name in PAGES:
                            if given.only in name:
                                show(site, name, seeded)
                                keep(site, given.folder / f"{name}-{theme}-{width}.webp")


if __name__ == "__main__":
    main()
