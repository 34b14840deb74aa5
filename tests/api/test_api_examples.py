"""Do the commands of docs/api.md work, as somebody pastes them into a shell?"""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.served import Api

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text()
NARFI = "http://127.0.0.1:3100"
BLOCKS: list[str] = re.findall(r"^```sh\n(.*?)\n```", PAGE, re.M | re.S)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
PATHS = ("lines", "export", "context", "deletes/preview", "saved", "sql", "sql/tables")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page(api: Api, command: str, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    if "/sql" in command:
        pytest.importorskip("duckdb")
    api.push({"app": "api"}, "a timeout", "a secret", ts_ns=1_767_225_600_000_000_000)
    words = shlex.split(command)
    assert words[0] == "curl"
    assert NARFI in command
    arguments = [word.replace(NARFI, api.url) for word in words[1:]]
    headers = ["-H", f"X-Scope-OrgID: {api.tenant}", "--fail-with-body"]
    ran = subprocess.run([curl, *headers, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    if "-sGJO" in words:
        (file,) = tmp_path.iterdir()
        assert file.suffix == ".jsonl"


def test_every_endpoint_has_a_command() -> None:
    text = "\n".join(COMMANDS)
    assert [path for path in PATHS if f"/narfi/api/v1/{path}" not in text] == []
