"""Does every command that the README and the pages show run as it stands there?"""

import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.push import flush
from benchmarks.server import Running, start, stop
from storage.block.layout import is_commit
from tests.served import hear_interrupts
from tests.servers.forking import shell_command

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = PAGES[0].read_text()
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).replace("\\\n", " ")
COMMANDS = [
    line.partition("  #")[0].strip().removeprefix(".venv/bin/")
    for line in SHELL.splitlines()
    if line.startswith((".venv/bin/narfi ", "narfi "))
]
ELSEWHERE = (" serve", " --tail", " import ")
"""What is not asked of a server and over: it goes on, or needs another server (`tests/history`)."""
ASKED = [command for command in COMMANDS if not any(word in command for word in ELSEWHERE)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server to which the README's curl command, and JSON lines, were pushed."""
    folder = tmp_path_factory.mktemp("readme")
    running = start(
        folder / "data", log=folder / "log", settings={"INGESTER__SHAPE_MIN_LINES": "1"}
    )
    shell(running, curl())
    for status in (200, 500):
        line = f'{{\\"status\\":{status}}}'.replace("\\", "\\\\\\")
        shell(running, curl().replace("level=info msg=hi", line).replace("hello", "json"))
    flush(running.url)
    yield running
    stop(running)


def curl() -> str:
    """The README's push."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (found,) = [line for line in SHELL.splitlines() if line.startswith("curl ")]
    return found


def shell(server: Running, command: str) -> "subprocess.CompletedProcess[str]":
    """The command in a shell, asked of this server instead of the default address."""
    text = command.replace("http://127.0.0.1:3100", server.url)
    text = re.sub(r"^narfi ", f"{shell_command()} ", text)
    environment = {**os.environ, "LOKI_ADDR": server.url, "PYTHONPATH": str(ROOT)}
    folder = server.data_dir.parent
    return subprocess.run(
        ["sh", "-ec", text],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=environment,
        cwd=folder,
    )


def test_the_readme_shows_commands() -> None:
    assert len(ASKED) >= 6


@pytest.mark.parametrize("command", ASKED)
def test_a_command_of_the_readme(server: Running, command: str) -> None:
    objects = (server.data_dir / "objects").rglob("*")
    block = next(path.parent for path in objects if is_commit(path.as_posix()))
    for shown, real in (
        ("FILE", str(ROOT / "examples/narfi.yaml")),
        ("data/objects/blocks/…", str(block)),
    ):
        command = command.replace(shown, real)
    done = shell(server, command)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_readme_follows_a_query(server: Running) -> None:
    (command,) = [command for command in COMMANDS if command.endswith("--tail")]
    arguments = [sys.executable, "-m", "narfi.cli", *shlex.split(command)[1:]]
    environment = {**os.environ, "LOKI_ADDR": server.url}
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=hear_interrupts,
    )
    assert process.stdout is not None
    assert "msg=hi" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.wait(60)
    process.stdout.close()


def _mentioned(pattern: str) -> list[str]:
    return sorted({found for page in PAGES for found in re.findall(pattern, page.read_text())})


@pytest.mark.parametrize("target", _mentioned(r"`make ([a-z0-9-]+)"))
def test_make_knows_the_task(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", _mentioned(r"python -m ([a-z_.]+)"))
def test_there_is_the_module(module: str) -> None:
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("command", _mentioned(r"`narfi ([a-z_-]+)"))
def test_narfi_knows_the_command(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "narfi.cli", command, "--help"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
