"""What follows when an operation was disturbed? It is tried again, started anew, and power goes."""

import random
from contextlib import suppress
from typing import Any

from narfi.core.errors import AppError
from tests.matrix.kinds import Kind
from tests.matrix.operations import Operation
from tests.matrix.world import DAY, World

ENDED = (AppError, OSError, MemoryError)


def disturbed(world: World, operation: Operation) -> BaseException | None:
    """Run it; the error that it ended with."""
    try:
        operation.run(world)
    except ENDED as error:
        return error
    return None


def strike(world: World, operation: Operation, kind: Kind, point: Any) -> None:
    """The kind at the point, and all that must hold then."""
    with kind.armed(world, point):
        error = disturbed(world, operation)
    assert error is None or kind.told_well(error), (point, repr(error))
    recover_and_check(world, operation, error)


def recover_and_check(world: World, operation: Operation, error: BaseException | None) -> None:
    """After the fault, after another try, after a start anew, and after power was lost."""
    world.disk.disarm()
    world.switch.disarm()
    if world.process.ended or (error is not None and operation.restarts):
        world.kill()
        world.start()
    operation.held(world, "after the fault")
    with suppress(AppError):
        operation.run(world)
    operation.held(world, "after another try")
    world.process.stop()
    world.start()
    operation.held(world, "after a start anew")
    world.clock.advance(200 * DAY)  # it is right again, or later at least
    operation.run(world)
    operation.finished(world)
    world.process.flush()
    world.process.power_off(random.Random(0))
    world.start()
    operation.held(world, "after power was lost")
    operation.finished(world)
    world.process.stop()
