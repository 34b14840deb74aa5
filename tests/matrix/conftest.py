"""Worlds that are made once and copied for each call that is to fail."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.matrix.operations import OPERATIONS, Operation
from tests.matrix.world import Known, World

Worlds = Callable[[Operation], World]


@pytest.fixture
def worlds(tmp_path: Path) -> Worlds:
    """A new world in which the operation has something to do; the one before it goes."""
    made: dict[str, tuple[Path, Known]] = {}
    number = 0

    def next_world(operation: Operation) -> World:
        nonlocal number
        if operation.name not in made:
            world = World(tmp_path / "template" / operation.name, Known())
            operation.before(world)
            made[operation.name] = (world.root, world.close())
        template, known = made[operation.name]
        shutil.rmtree(tmp_path / str(number), ignore_errors=True)
        number += 1
        shutil.copytree(template, tmp_path / str(number))
        return World(tmp_path / str(number), known)

    return next_world


__all__ = ["OPERATIONS", "Worlds"]
