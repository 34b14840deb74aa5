"""Is there a page for every pack, and can what it shows be used as it stands?"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from promtail_agent.config_file import load_agent_config
from promtail_agent.packs.load import Shelf

PAGES = Path(__file__).parents[2] / "docs/integrations"
TEXTS = {page.stem: page.read_text() for page in sorted(PAGES.glob("*.md"))}
NAMES = Shelf.of_environment({}).names()
HEAD = 'clients: [{url: "http://localhost:1/push"}]\n'


@pytest.mark.parametrize("name", NAMES)
def test_every_pack_has_one(name: str) -> None:
    assert any(f"narfi packs apply {name}" in t or f" {name} " in t for t in TEXTS.values())


@pytest.mark.parametrize("name", TEXTS)
def test_its_packs_are_there_and_its_configurations_can_be_used(name: str, tmp_path: Path) -> None:
    text = TEXTS[name]
    for command in re.findall(r"narfi packs (?:render|apply) ((?:[a-z][a-z-]+ )+)", text):
        assert set(command.split()) <= set(NAMES)
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        file = tmp_path / "agent.yaml"
        file.write_text(block if "clients:" in block else HEAD + block)
        assert load_agent_config(file).scrape_configs


def test_a_log_of_a_job_from_the_standard_input(tmp_path: Path) -> None:
    block = re.findall(r"```yaml\n(.*?)```", TEXTS["github-actions"], re.DOTALL)[0]
    file = tmp_path / "job.yaml"
    file.write_text(block)
    sample = Shelf.of_environment({}).find("github-actions").folder / "samples/job.log"
    command = [sys.executable, "-m", "narfi.cli", "agent", "-stdin", "-dry-run", "-output=jsonl"]
    with sample.open("rb") as lines:
        done = subprocess.run(
            [*command, f"-config.file={file}"], stdin=lines, capture_output=True, check=True
        )
    found = done.stdout.decode().splitlines()
    assert len(found) == 20
    assert '"command": "error"' in found[16]
    assert '"time": "2026-11-20T08:00:42.857642900Z"' in found[16]
    assert '"pack"' not in found[16]
