"""Are packs found by name and folder, and mistakes told by file, line and key?"""

from pathlib import Path

import pytest

from promtail_agent.errors import ConfigError
from promtail_agent.packs.load import Shelf
from promtail_agent.packs.manifest import StreamFormat
from promtail_agent.packs.pack import takes

PACK = "name: shop\ntitle: Shop\nstreams:\n  - {component: web, format: plain}\n"
STAGES = "- logfmt: {mapping: {level: }}\n"


def write(folder: Path, files: dict[str, str]) -> None:
    """Files by their names."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_later_folders_win_and_a_path_is_a_folder(tmp_path: Path) -> None:
    for place in ("a", "b"):
        text = PACK.replace("Shop", place)
        write(tmp_path / place, {"shop/pack.yaml": text, "shop/stages/plain.yaml": STAGES})
    shelf = Shelf([tmp_path / "a", tmp_path / "b"])
    assert shelf.find("shop").manifest.title == "b"
    assert shelf.find("./a/shop", tmp_path).manifest.title == "a"
    assert shelf.names() == ["shop"]
    with pytest.raises(ConfigError, match='there is no pack "other"'):
        shelf.find("other")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("shop/pack.yaml", PACK + "lables: {}\n", "pack.yaml:5: lables: unknown key"),
        ("shop/pack.yaml", PACK.replace("title: Shop\n", ""), "title: this key is required"),
        ("shop/pack.yaml", PACK.replace("plain", "other"), 'format "other": there is no'),
        ("shop/pack.yaml", PACK.replace("web", "'a b'"), r'4: streams\[0\].component: "a b" is no'),
        ("shop/pack.yaml", PACK + "match: [{}]\n", r"pack.yaml:5: match\[0\]: a clause of"),
        ("shop/pack.yaml", PACK + "extends: shop\n", 'extends: there is no pack "shop"'),
        ("shop/stages/plain.yaml", "- logfmt: {}\n- nothing: {}\n", "plain.yaml:2: .*Unknown"),
        ("shop/stages/plain.yaml", "- logfmt: {}\n", r"plain.yaml:1: \[0\].logfmt"),
        ("shop/stages/plain.yaml", "- include: plain\n", "format plain includes itself"),
        ("shop/stages/plain.yaml", "stages: []\n", "plain.yaml:1: a format is a list"),
        ("shop/stages/plain.yaml", "- logfmt: {mapping: {a: }, soruce: b}\n", "soruce: not a key"),
    ],
)
def test_mistakes(file: str, text: str, told: str, tmp_path: Path) -> None:
    write(tmp_path, {"shop/pack.yaml": PACK, "shop/stages/plain.yaml": STAGES, file: text})
    with pytest.raises(ConfigError, match=told):
        Shelf([tmp_path]).find("shop")


def test_formats_are_shared_and_extended(tmp_path: Path) -> None:
    child = "name: mine\ntitle: Mine\nextends: shop\nlabels: {log: [b]}\nstreams:\n"
    child += "  - {component: web, format: mine}\n"
    write(
        tmp_path,
        {
            "shop/pack.yaml": PACK + "labels: {log: [a]}\nfields: {x: text}\n",
            "common/plain.yaml": "- include: more\n" + STAGES,
            "common/more.yaml": "- decolorize: {}\n",
            "mine/pack.yaml": child,
            "mine/stages/mine.yaml": "- static_labels: {log: b}\n",
        },
    )
    pack = Shelf([tmp_path]).find("mine")
    names = [[next(iter(s)) for s in branch.stages] for b in pack.branches("web") for branch in b]
    assert names == [["decolorize", "logfmt"], ["static_labels"]]
    assert pack.labels == {"log": ("a", "b")}
    assert pack.fields == {"x": "text"}


@pytest.mark.parametrize(
    ("word", "text", "fits"),
    [
        ("web", "web", True),
        ("web", "web2", False),
        ("*", "", True),
        ("job-*", "job-", True),
        ("job-*", "job", False),
        ("*-gc", "x-gc", True),
        ("*a*b*", "xaxbx", True),
        ("*a*b*", "xbxax", False),
        ("a*a", "a", False),
        ("a*b*c", "abc", True),
        ("a*bb*b", "abb", False),
    ],
)
def test_words_with_stars(word: str, text: str, fits: bool) -> None:
    assert takes(StreamFormat(component=(word,), format="x"), text) is fits
