"""`file_sd_configs`: are targets followed as their files change?"""

import json
from pathlib import Path

import pytest

from promtail_agent.discovery.files import FileDiscovery, FileSdConfig


def discovery(*files: str) -> FileDiscovery:
    """A discovery that has started."""
    found = FileDiscovery(FileSdConfig(files=files))
    found.start()
    return found


def addresses(found: FileDiscovery) -> list[str]:
    """Of all targets."""
    return [target["__address__"] for target in found.targets()]


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promtail_agent.discovery.files.LOOK_EVERY_S", 0.0)


def test_json_and_yaml_of_a_pattern(tmp_path: Path) -> None:
    group = [{"targets": ["a", "b"], "labels": {"job": "j", "n": 1}}]
    (tmp_path / "one.json").write_text(json.dumps(group))
    (tmp_path / "two.yml").write_text("- targets: [c]\n  labels: {__path__: /var/log/c}\n")
    found = discovery(f"{tmp_path}/*.json", f"{tmp_path}/*.yml")
    assert list(found.targets()) == [
        {"__address__": "a", "job": "j", "n": "1", "__meta_filepath": f"{tmp_path}/one.json"},
        {"__address__": "b", "job": "j", "n": "1", "__meta_filepath": f"{tmp_path}/one.json"},
        {
            "__address__": "c",
            "__path__": "/var/log/c",
            "__meta_filepath": f"{tmp_path}/two.yml",
        },
    ]
    assert found.targets() is found.targets()


def test_changed_new_broken_and_removed_files(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    found = discovery(f"{tmp_path}/*.json")
    assert addresses(found) == []
    file.write_text('[{"targets": ["a"]}]')
    assert addresses(found) == ["a"]
    file.write_text('[{"targets": ["a", "b"]}]')
    assert addresses(found) == ["a", "b"]
    for broken in ("[{", '{"targets": []}', '[{"targets": "a"}]', '[{"nope": 1}]'):
        file.write_text(broken)
        assert addresses(found) == ["a", "b"]
    (tmp_path / "u.json").write_text('[{"targets": ["c"]}]')
    assert addresses(found) == ["a", "b", "c"]
    file.unlink()
    assert addresses(found) == ["c"]


@pytest.mark.parametrize("name", ["/a/b.txt", "/a/*/b.json", "/a/*b*.json"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not valid for file discovery"):
        FileSdConfig(files=(name,))
    with pytest.raises(ValueError, match="at least one path"):
        FileSdConfig(files=())
