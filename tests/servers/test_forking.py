"""Is a forked command a process like any other: arguments, environment, files, signals, end?"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import start
from tests.server.test_wheel import children
from tests.servers import forking

NARFI = list(forking.COMMAND)


@pytest.fixture(autouse=True)
def _forks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands are forked, whatever tests before have left in the environment."""
    for name in [name for name in os.environ if name.startswith(forking.SAME)]:
        if name not in forking._LOADED:
            monkeypatch.delenv(name)
    for name, text in forking._LOADED.items():
        monkeypatch.setenv(name, text)
    forking.allow(True)
    yield
    forking.allow(False)


def begin(*arguments: str, **options: Any) -> forking.Popen:
    """A command that is surely forked."""
    process = forking.Popen([*NARFI, *arguments], **options)
    assert process._forked
    return process


def run(*arguments: str, **options: Any) -> tuple[int, str, str]:
    """Status, output and errors."""
    files = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with begin(*arguments, **files, **options) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["nonsense"], ["fmt", "{a"], ["check-config", "/nowhere"]]
)
def test_it_says_what_a_new_interpreter_says(arguments: list[str]) -> None:
    real = forking._Plain([*NARFI, *arguments], stdout=-1, stderr=-1, stdin=-3, text=True)
    out, err = real.communicate(timeout=120)
    assert run(*arguments, stdin=subprocess.DEVNULL) == (real.returncode, out, err)


def test_folder_and_environment_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text("log: {level: ${LEVEL}}\n")
    command = ("check-config", "some.yaml", "--expand-env")
    for level, status in (("warn", 0), ("loud", 1)):
        found = run(*command, cwd=tmp_path, env={**os.environ, "LEVEL": level})
        assert found[0] == status, found


def test_it_reads_what_is_written_to_it() -> None:
    with begin("fmt", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        out, _ = process.communicate(b'{a="b"}|="x"', timeout=120)
    assert (process.returncode, out) == (0, b'{a="b"} |= "x"\n')


@pytest.fixture
def in_a_shell(monkeypatch: pytest.MonkeyPatch) -> str:
    """What is surely forked from a shell."""
    monkeypatch.setattr(subprocess, "Popen", forking.Popen)
    command = forking.shell_command()
    assert str(forking.FROM_A_SHELL) in command
    return command


def test_a_shell_gets_one(in_a_shell: str, tmp_path: Path) -> None:
    """Its folder, environment, files and status."""
    (tmp_path / "some.yaml").write_text("log: {level: ${LEVEL}}\n")
    check = f"{in_a_shell} check-config some.yaml --expand-env >told 2>&1; echo $?"
    script = f"""
        LEVEL=warn; export LEVEL; {check}
        LEVEL=loud; {check}
        echo '{{a="b"}}|="x"' | {in_a_shell} fmt
    """
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, timeout=120)
    assert (done.stdout, done.stderr) == (b'0\n1\n{a="b"} |= "x"\n', b"")
    assert "loud" in (tmp_path / "told").read_text()


def test_a_shell_sees_which_signal_ended_it(in_a_shell: str, tmp_path: Path) -> None:
    nursery = forking._nursery()._process.pid
    before = set(children(nursery))
    reads = f"{in_a_shell} fmt; echo $?"  # until its end of the pipe is closed
    pipe, words = subprocess.PIPE, ["sh", "-c", reads]
    with subprocess.Popen(words, cwd=tmp_path, stdin=pipe, stdout=pipe) as shell:
        deadline = time.monotonic() + 60
        while not (found := set(children(nursery)) - before):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(found.pop(), signal.SIGKILL)
        assert shell.communicate(timeout=60)[0] == b"%d\n" % (128 + signal.SIGKILL)


def test_it_can_be_waited_for_and_killed_by_several(tmp_path: Path) -> None:
    running = start(tmp_path / "data", log=tmp_path / "log")
    process = running.process
    assert isinstance(process, forking.Popen)
    assert process._forked
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    found: list[int] = []
    waiting = [threading.Thread(target=lambda: found.append(process.wait(60))) for _ in range(4)]
    for thread in waiting:
        thread.start()
    process.kill()
    for thread in waiting:
        thread.join()
    assert found == [-signal.SIGKILL] * 4
    assert process.poll() == -signal.SIGKILL


@pytest.mark.parametrize(
    "options",
    [
        {"env": {**os.environ, "PYTHONUTF8": "1"}},
        {"env": {**os.environ, "NUMBA_DISABLE_JIT": "1"}},
        {"env": {**os.environ, "HOME": "/nowhere"}},
        {"start_new_session": True},
        {"preexec_fn": os.getpid},
    ],
)
def test_what_needs_another_interpreter_gets_one(options: dict[str, Any]) -> None:
    with forking.Popen([*NARFI, "--help"], stdout=subprocess.DEVNULL, **options) as process:
        assert not process._forked
        assert process.wait(120) == 0


def test_other_programs_and_other_tests_get_no_fork() -> None:
    with forking.Popen([sys.executable, "-c", ""]) as process:
        assert not process._forked
    forking.allow(False)
    with forking.Popen([*NARFI, "--help"], stdout=subprocess.DEVNULL) as process:
        assert not process._forked
