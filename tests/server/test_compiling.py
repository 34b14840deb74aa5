"""Are kernels compiled by a child, once, and by the server itself where that does not work?"""

import subprocess
from pathlib import Path

import pytest

from narfi.core.kernels import jit
from narfi.server import compiling


@pytest.fixture
def unmarked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody has noted that the kernels were compiled (they were, so the child only loads)."""
    place = tmp_path / "complete"
    monkeypatch.setattr(compiling, "mark", lambda: place)
    monkeypatch.setattr(jit, "mark", lambda: place)
    return place


def test_a_child_compiles_and_later_starts_need_none(
    unmarked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    compiling.compile_kernels(told.append)
    assert any(text.startswith("compiling kernels, first start only (1/") for text in told)
    assert unmarked.exists()
    told.clear()
    monkeypatch.setattr(subprocess, "Popen", lambda *_a, **_k: pytest.fail("no child is needed"))
    compiling.compile_kernels(told.append)
    assert told[-1].startswith("loading kernels")


def test_without_a_child_the_server_compiles(
    unmarked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    told: list[str] = []
    compiling.compile_kernels(told.append)
    assert told[-1].startswith("loading kernels")
    assert unmarked.exists()


def test_a_child_that_fails_is_no_fault(unmarked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "CHILD", "raise SystemExit(3)")
    compiling.compile_kernels(lambda _: None)
    assert unmarked.exists()
