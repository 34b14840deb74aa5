"""Who loads or compiles the kernels that a server needs, and who waits for them?

Of what is kept, that is loaded at once which a push or a simple query needs, and the rest by who
calls it first, or by `load_rest`, behind `/ready`. What is not kept is compiled by other processes,
each led by a thread here, which loads what its process has kept; what is needed first is compiled
first. A call of a kernel that is not there yet waits while its work is wanted (`patience.py`), and
has it compiled next.

A kernel is waiting → taken by one thread → done: loaded here, or with the error of its compiler.
One lock guards all that. Where nothing can be kept, or no process be had, they are compiled here.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from narfi.core.kernels.compiler import Compiler, CompilerProcess
from narfi.core.kernels.jit import CHECKS_BOUNDS, Kernel, kernels
from narfi.core.kernels.on_demand import by_function, load_now, load_when_called
from narfi.core.patience import LOOK_S, check_wanted

MOST_REST_S, REST_LOOK_S = 5.0, 0.01
"""How long first questions may put off what they do not need, and between two looks at them."""
COMPILERS = 2
"""More would not help much: a few kernels take long, and each process imports Numba first."""


class Warming:
    """Kernels on their way; `begin`, then wait for some or all, then `close`."""

    def __init__(
        self,
        wanted: Sequence[Kernel],
        start_compiler: Callable[[], Compiler] = CompilerProcess,
        compilers: int = COMPILERS,
    ) -> None:
        self._wanted = tuple(each for each in wanted if not each.is_loaded)
        self._start_compiler = start_compiler
        self._count = compilers
        self._changed = threading.Condition()
        self._rest: list[list[Kernel]] = []  # kept and not loaded, those of one function together
        self._waiting: list[Kernel] = []
        self._pending: set[Kernel] = set()
        self._errors: dict[Kernel, Exception] = {}
        self._compilers: list[Compiler] = []
        self._threads: list[threading.Thread] = []
        self.is_given_up = False
        self.compiled = 0
        """How many kernels no folder had."""

    def begin(self) -> None:
        """Load what is kept and needed first; begin to compile what is not kept.

        Raises `RuntimeError` when there can be no thread.
        """
        missing = [each for each in self._wanted if each.kept() is None]
        for mine in by_function(self._wanted):
            if any(each.is_soon or each in missing for each in mine):
                for each in mine:
                    if each not in missing:
                        each.prepare()
            else:
                load_when_called(mine)
                self._rest.append(mine)
        self.compiled = len(missing)
        # the longest first, so that no process is left with it at the end
        self._waiting = sorted(missing, key=lambda each: (not each.is_early, -each.size))
        self._pending = set(missing)
        for each in missing:
            each.function._compile_for_args = self._waiter(each.function)
        for each in self._wanted:
            self._forbid_others(each)
        for _ in range(min(self._count, len(missing))):
            thread = threading.Thread(target=self._lead, name="kernels", daemon=True)
            self._threads.append(thread)
            thread.start()

    def load_rest(self, is_asked: Callable[[], bool] = lambda: False) -> None:
        """Load what was left to be loaded when it is called; blocks, `give_up` ends it.

        Who asks a first question goes first: while `is_asked`, what it calls is loaded alone.
        """
        until_s = time.monotonic() + MOST_REST_S
        for mine in self._rest:
            while is_asked() and time.monotonic() < until_s and not self.is_given_up:
                time.sleep(REST_LOOK_S)
            if self.is_given_up:
                return
            load_now(mine)

    def early(self) -> Iterator[tuple[int, int]]:
        """(done, total) of those needed first, whenever it changes, until all are done.

        Raises what the compiler raised.
        """
        return self._progress([each for each in self._wanted if each.is_early])

    def all(self) -> Iterator[tuple[int, int]]:
        """As `early`, of all."""
        return self._progress(self._wanted)

    def give_up(self) -> None:
        """Leave what is not done; calls that wait for it fail with `RuntimeError`."""
        with self._changed:
            self.is_given_up = True
            self._changed.notify_all()
            for compiler in self._compilers:
                compiler.kill()

    def close(self) -> None:
        """Give up and wait until the threads have ended."""
        self.give_up()
        for thread in self._threads:
            thread.join()

    def _progress(self, wanted: Sequence[Kernel]) -> Iterator[tuple[int, int]]:
        done = self._done(wanted)
        while not self.is_given_up:
            for each in wanted:
                if error := self._errors.get(each):
                    raise error
            yield done, len(wanted)
            if done == len(wanted):
                return
            done = self._next_count(wanted, done)

    def _next_count(self, wanted: Sequence[Kernel], told: int) -> int:
        """How many are done, once it is not what was told."""
        with self._changed:
            self._changed.wait_for(lambda: self._done(wanted) != told or self.is_given_up)
            return self._done(wanted)

    def _done(self, wanted: Sequence[Kernel]) -> int:
        return sum(each not in self._pending for each in wanted)

    def _waiter(self, function: Any) -> Callable[..., Any]:
        """What Numba calls when a call fits no code that is there; calls what it is given back."""

        mine = {each for each in self._wanted if each.function is function}

        def wait(*_arguments: object) -> Any:
            with self._changed:
                first = [each for each in self._waiting if each in mine]
                self._waiting = first + [each for each in self._waiting if each not in mine]
                while not self._changed.wait_for(
                    lambda: not self._pending & mine or self.is_given_up, LOOK_S
                ):
                    check_wanted()
                if self._pending & mine:
                    name = function.py_func.__name__
                    raise RuntimeError(f"{name} is not compiled, and will not be")
                for each in mine & self._errors.keys():
                    raise self._errors[each]
            return function

        return wait

    def _lead(self) -> None:
        """One thread: takes kernels until there are none left."""
        compiler = self._new_compiler()
        try:
            while (taken := self._next()) is not None:
                is_kept = compiler and compiler.compile(taken.name) and taken.kept()
                if compiler and not is_kept:
                    compiler.close()
                    compiler = None
                self._prepare(taken)
        finally:
            if compiler:
                compiler.close()

    def _prepare(self, taken: Kernel) -> None:
        """Load it, or compile it here; what waits for it goes on."""
        try:
            if not self.is_given_up:
                taken.prepare()
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits is told
            self._errors[taken] = error
        with self._changed:
            if taken.is_loaded or taken in self._errors:
                self._pending.discard(taken)
            self._forbid_others(taken)
            self._changed.notify_all()

    def _new_compiler(self) -> Compiler | None:
        if CHECKS_BOUNDS:  # such code is not kept
            return None
        with contextlib.suppress(OSError), self._changed:
            if not self.is_given_up:
                self._compilers.append(self._start_compiler())
                return self._compilers[-1]
        return None

    def _next(self) -> Kernel | None:
        with self._changed:
            return None if self.is_given_up or not self._waiting else self._waiting.pop(0)

    def _forbid_others(self, each: Kernel) -> None:
        """Once all code of a function is there, a call that fits none is an error."""
        if each.is_loaded and not any(one.function is each.function for one in self._pending):
            each.function.disable_compile()


def warm_up() -> None:
    """Load or compile every kernel that is imported so far, and wait for all.

    May be called again, for kernels that were imported meanwhile.
    """
    warming = Warming(kernels())
    warming.begin()
    warming.load_rest()
    try:
        for _ in warming.all():
            pass
    finally:
        warming.close()
