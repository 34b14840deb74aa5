"""Is every kernel there in the end, the needed ones first, whoever fails to compile it?"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import pytest

from narfi.core.kernels import sorting
from narfi.core.kernels.code_store import CodeStore
from narfi.core.kernels.compiler import CompilerProcess
from narfi.core.kernels.jit import Kernel, kernels
from narfi.core.kernels.kept_code import KeptCode
from narfi.core.kernels.modules import import_all
from narfi.core.kernels.warming import Warming
from narfi.core.patience import wanted_while

TEXT = """
from numba import njit

@njit(nogil=True)
def one(a):
    return a + 1

@njit(nogil=True)
def two(a):
    return a + a + 2

@njit(nogil=True)
def three(a):
    return a + a + a + 3

@njit(nogil=True)
def wrong(a):
    return a.no_such_thing
"""
"""Functions, the longer ones later; `f(1)` is 2, 4, 6."""
NAMES = ("one", "two", "three")


def made(store: CodeStore, *names: str, early: str = "") -> dict[str, Kernel]:
    """Kernels of that text, which keep their code there; new ones, as in a new process."""
    module = ModuleType("made_for_a_test")
    exec(TEXT, vars(module))
    found = {}
    for name in names:
        function = vars(module)[name]
        function._cache = KeptCode(function, store)
        found[name] = Kernel(function, numba.int64(numba.int64), name == early, name == early)
    return found


class Other:
    """A compiler that keeps what it compiles in the same place, one each time it is let."""

    def __init__(self, store: CodeStore) -> None:
        self._kernels = {each.name: each for each in made(store, *NAMES, "wrong").values()}
        self.asked: list[str] = []
        self.go_on = threading.Semaphore(0)
        self.is_dead = False

    def compile(self, name: str) -> bool:
        """As the other process does; dead when it fails."""
        self.asked.append(self._kernels[name].function.py_func.__name__)
        assert self.go_on.acquire(timeout=60)
        if self.is_dead:
            return False
        try:
            self._kernels[name].prepare()
        except numba.errors.TypingError:
            self.is_dead = True
        return not self.is_dead

    def kill(self) -> None:
        """Answers false from now on."""
        self.is_dead = True
        self.go_on.release(100)

    close = kill


@contextmanager
def warming(
    wanted: dict[str, Kernel], start: Callable[[], Any], compilers: int = 1
) -> Iterator[Warming]:
    """Begun, and closed at the end."""
    begun = Warming(list(wanted.values()), start, compilers)
    begun.begin()
    try:
        yield begun
    finally:
        begun.close()


def test_what_is_needed_early_comes_first_and_the_longest_next(tmp_path: Path) -> None:
    store = CodeStore([tmp_path])
    other, wanted = Other(store), made(store, *NAMES, early="one")
    with warming(wanted, lambda: other) as begun:
        assert next(begun.early()) == (0, 1)
        other.go_on.release()
        assert list(begun.early())[-1] == (1, 1)
        assert wanted["one"].function(1) == 2
        other.go_on.release(2)
        assert list(begun.all())[-1] == (3, 3)
    assert other.asked == ["one", "three", "two"]
    assert begun.compiled == 3
    assert wanted["one"].function.stats.cache_misses == {}, "it was compiled elsewhere"
    with pytest.raises(TypeError, match="No matching definition"):
        wanted["one"].function("text")


def test_what_is_kept_needs_no_compiler(tmp_path: Path) -> None:
    store = CodeStore([tmp_path])
    for each in made(store, *NAMES).values():
        each.prepare()
    wanted = made(store, *NAMES)
    with warming(wanted, lambda: pytest.fail("nobody is needed")) as begun:
        assert list(begun.all()) == [(3, 3)]
        assert begun.compiled == 0
        assert wanted["three"].function(1) == 6
        with pytest.raises(TypeError, match="No matching definition"):
            wanted["three"].function("text")


def test_what_is_kept_and_not_needed_first_is_loaded_by_who_calls_it(tmp_path: Path) -> None:
    store = CodeStore([tmp_path])
    for each in made(store, *NAMES).values():
        each.prepare()
    wanted = made(store, *NAMES, early="one")
    with warming(wanted, lambda: pytest.fail("nobody is needed")) as begun:
        assert [each.is_loaded for each in wanted.values()] == [True, False, False]
        results: list[int] = []
        callers = [
            threading.Thread(target=lambda: results.append(wanted["two"].function(1)))
            for _ in range(8)
        ]
        for caller in callers:
            caller.start()
        begun.load_rest()
        for caller in callers:
            caller.join(60)
        assert results == [4] * 8
        assert all(each.is_loaded for each in wanted.values())
        for each in wanted.values():
            assert each.function.stats.cache_misses == {}, "it was loaded, not compiled"
            with pytest.raises(TypeError, match="No matching definition"):
                each.function("text")


def test_a_call_has_its_kernel_compiled_next_and_waits(tmp_path: Path) -> None:
    store, results = CodeStore([tmp_path]), list[int]()
    other, wanted = Other(store), made(store, *NAMES)
    with warming(wanted, lambda: other) as begun:
        callers = [
            threading.Thread(target=lambda: results.append(wanted["one"].function(1)))
            for _ in range(3)
        ]
        for caller in callers:
            caller.start()
        while begun._waiting[:1] != [wanted["one"]]:  # the first caller has said what it wants
            pass
        assert results == []
        other.go_on.release(2)
        for caller in callers:
            caller.join(60)
        assert results == [2, 2, 2]
        assert other.asked[:2] == ["three", "one"], "what was begun is ended before"


def test_one_whose_compiler_died_is_compiled_here(tmp_path: Path) -> None:
    store = CodeStore([tmp_path])
    other, wanted = Other(store), made(store, *NAMES)
    other.kill()
    with warming(wanted, lambda: other) as begun:
        assert list(begun.all())[-1] == (3, 3)
    assert len(other.asked) == 1, "it is not asked again"
    assert [wanted[name].function(1) for name in NAMES] == [2, 4, 6]


def no_process() -> Any:
    """The system has no room for another one."""
    raise BlockingIOError("no process")


def test_without_another_process_and_without_a_folder_it_compiles_here(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    store = CodeStore([tmp_path / "file"])

    def let_go() -> Other:
        other = Other(store)
        other.go_on.release(3)
        return other

    for start in (no_process, let_go):
        wanted = made(store, *NAMES)
        with warming(wanted, start, compilers=2) as begun:
            assert list(begun.all())[-1] == (3, 3)
        assert [wanted[name].function(1) for name in NAMES] == [2, 4, 6]


def test_an_error_of_the_compiler_is_told_to_who_needs_the_kernel_alone(tmp_path: Path) -> None:
    store = CodeStore([tmp_path])
    other, wanted = Other(store), made(store, "wrong", "one", early="one")
    other.go_on.release(2)
    with warming(wanted, lambda: other) as begun:
        assert list(begun.early())[-1] == (1, 1)
        with pytest.raises(numba.errors.TypingError, match="no_such_thing"):
            list(begun.all())
        with pytest.raises(numba.errors.TypingError, match="no_such_thing"):
            wanted["wrong"].function(1)
        assert wanted["one"].function(1) == 2


def test_a_call_waits_while_its_work_is_wanted(tmp_path: Path) -> None:
    """A query at its time-out gives its thread back; others go on waiting."""
    store, looks = CodeStore([tmp_path]), list[int]()
    other, wanted = Other(store), made(store, "one")
    found: list[int] = []

    def check() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise TimeoutError("of the query")

    with warming(wanted, lambda: other) as begun:
        patient = threading.Thread(target=lambda: found.append(wanted["one"].function(1)))
        patient.start()
        with pytest.raises(TimeoutError, match="of the query"), wanted_while(check):
            wanted["one"].function(1)
        assert patient.is_alive()
        other.go_on.release()
        assert list(begun.all())[-1] == (1, 1)
        patient.join(60)
    assert found == [2]
    assert len(looks) == 3


def test_giving_up_ends_the_wait(tmp_path: Path) -> None:
    store, errors = CodeStore([tmp_path]), list[str]()
    other, wanted = Other(store), made(store, *NAMES)

    def call() -> None:
        try:
            wanted["one"].function(1)
        except RuntimeError as error:
            errors.append(str(error))

    with warming(wanted, lambda: other) as begun:
        caller = threading.Thread(target=call)
        caller.start()
        begun.give_up()
        caller.join(60)
        assert errors == ["one is not compiled, and will not be"]
        assert list(begun.all()) == []


def test_the_other_process_compiles_what_it_knows_and_may_die() -> None:
    names = [each.name for each in kernels() if each.name.startswith(f"{sorting.__name__[-7:]}.")]
    compiler = CompilerProcess()
    try:
        assert names
        assert all(compiler.compile(name) for name in names)
        assert not compiler.compile("of another version")
        assert compiler.compile(names[0]), "it goes on"
        os.kill(compiler._process.pid, signal.SIGKILL)
        assert not compiler.compile(names[0])
    finally:
        compiler.close()
    assert compiler._process.returncode == -signal.SIGKILL


def test_names_tell_kernels_apart() -> None:
    import_all()
    names = [each.name for each in kernels()]
    assert len(set(names)) == len(names)
    assert "\n" not in "".join(names)
