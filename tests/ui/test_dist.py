"""Is `ui/dist` made of this `ui/src`? By sums without Node; with it, by building once more."""

import gzip
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UI = ROOT / "ui"
MANIFEST = json.loads((UI / "dist/manifest.json").read_text())
FIRST_MAX, ALL_MAX = 40 * 1024, 200 * 1024
"""Bytes that are packed: until first results, and of all pages."""


def sum_of(path: Path) -> str:
    """Of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_dist_is_of_these_sources() -> None:
    names = [str(p.relative_to(UI)) for p in (UI / "src").rglob("*") if p.is_file()]
    names += ["build.mjs", "package.json", "package-lock.json"]
    told = "".join(f"{name} {sum_of(UI / name)}\n" for name in sorted(names))
    found = hashlib.sha256(told.encode()).hexdigest()
    assert found == MANIFEST["source"], "ui/dist is of other sources: run `make ui`"


def test_dist_holds_what_was_built_and_no_other_file() -> None:
    found = {p.name: sum_of(p) for p in (UI / "dist").iterdir() if p.name != "manifest.json"}
    assert found == MANIFEST["files"]


def test_building_again_gives_the_same_bytes(tmp_path: Path) -> None:
    if shutil.which("node") is None or not (UI / "node_modules/esbuild").is_dir():
        pytest.skip("no Node, or ui/node_modules is not there: `make ui` makes it")
    for name in ("build.mjs", "package.json", "package-lock.json"):
        shutil.copy(UI / name, tmp_path)
    shutil.copytree(UI / "src", tmp_path / "src")
    (tmp_path / "node_modules").symlink_to(UI / "node_modules")
    subprocess.run(["node", "build.mjs"], cwd=tmp_path, check=True)
    made = {p.name: p.read_bytes() for p in (tmp_path / "dist").iterdir()}
    assert made == {p.name: p.read_bytes() for p in (UI / "dist").iterdir()}


def test_every_package_is_pinned_and_its_licence_is_told() -> None:
    package = json.loads((UI / "package.json").read_text())
    versions = {**package["dependencies"], **package["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    licences = (UI / "dist/LICENSES.txt").read_text()
    told = re.findall(r"^(\S+) \d\S*: (MIT|Apache-2\.0)$", licences, re.M)
    assert "preact" in dict(told)


def test_the_page_loads_nothing_from_elsewhere() -> None:
    """No address of another host stands where a browser would fetch it."""
    index = (UI / "dist/index.html").read_text()
    for target in re.findall(r'(?:src|href)="([^"]*)"', index):
        assert re.fullmatch(r"[\w.-]+", target)
    for style in (UI / "dist").glob("*.css"):
        assert "url(" not in style.read_text()
        assert "@import" not in style.read_text()


def packed(name: str) -> int:
    """Bytes of a file as they are sent."""
    return len(gzip.compress((UI / "dist" / name).read_bytes(), 9))


def test_first_results_need_few_bytes() -> None:
    """What index.html names; the rest comes after the first lines."""
    index = (UI / "dist/index.html").read_text()
    names = set(re.findall(r'(?:src|href)="([^"]*)"', index))
    assert packed("index.html") + sum(map(packed, names)) <= FIRST_MAX


def test_all_scripts_together() -> None:
    assert sum(packed(p.name) for p in (UI / "dist").glob("*.js")) <= ALL_MAX
