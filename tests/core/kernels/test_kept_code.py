"""Is compiled code used for its own source only, and does no lost or damaged file stop a start?"""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from narfi.core.kernels.code_store import ENDING, KEPT, CodeStore
from narfi.core.kernels.jit import kernels
from narfi.core.kernels.kept_code import KeptCode
from narfi.core.kernels.modules import import_all
from narfi.core.kernels.source import UnknownValueError, source_digest

PLAIN = """
import numpy as np
from numba import njit
STEP = 3
TABLE = np.array([1, 2, 4], np.int64)

@njit(nogil=True)
def inner(a):
    return a + STEP

@njit(nogil=True)
def outer(a):
    '''What it says of itself.'''
    return inner(a) + TABLE[1] * 2
"""
"""`outer(1)` is 8."""


def module(text: str) -> ModuleType:
    """A module of that text, which lies in no file."""
    made = ModuleType("made_for_a_test")
    exec(text, vars(made))
    return made


def run(text: str, store: CodeStore) -> tuple[int, int]:
    """What `outer(1)` gives when its code is kept there, and how many functions were compiled."""
    made = module(text)
    functions: list[Any] = [f for f in vars(made).values() if isinstance(f, Dispatcher)]
    for function in functions:
        function._cache = KeptCode(function, store)
    made.outer.compile("int64(int64)")
    return made.outer(1), sum(sum(f.stats.cache_misses.values()) for f in functions)


def test_code_is_found_again(tmp_path: Path) -> None:
    store = CodeStore([tmp_path])
    assert run(PLAIN, store) == (8, 2)
    assert run(PLAIN, store) == (8, 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def inner", "\n\n# moved down and told about\ndef inner"),
        ("What it says", "What else it says"),
        ("import numpy", "UNUSED = 5\nimport numpy"),
    ],
)
def test_what_the_compiler_does_not_see_changes_nothing(tmp_path: Path, old: str, new: str) -> None:
    store = CodeStore([tmp_path])
    run(PLAIN, store)
    assert run(PLAIN.replace(old, new), store) == (8, 0)


@pytest.mark.parametrize(
    ("old", "new", "value", "compiled"),
    [
        ("* 2", "* 3", 10, 1),  # a constant of its own; what it calls is as it was
        ("* 2", "- 2", 4, 1),
        ("a + STEP", "a - STEP", 2, 2),  # what it calls
        ("STEP = 3", "STEP = 4", 9, 2),
        ("[1, 2, 4]", "[1, 3, 4]", 10, 1),  # a table
        ("np.int64)", "np.int32)", 8, 1),
        ("(nogil=True)\ndef inner", "(nogil=True, boundscheck=True)\ndef inner", 8, 2),
    ],
)
def test_a_changed_source_is_compiled_anew(
    tmp_path: Path, old: str, new: str, value: int, compiled: int
) -> None:
    store, changed = CodeStore([tmp_path]), PLAIN.replace(old, new)
    assert changed != PLAIN
    run(PLAIN, store)
    assert run(changed, store) == (value, compiled)
    assert run(PLAIN, store) == (8, 0), "both are kept"


def test_a_name_that_nothing_is_known_of_is_refused() -> None:
    with pytest.raises(UnknownValueError, match="'STEP', which is a list"):
        source_digest(module(PLAIN.replace("STEP = 3", "STEP = [3]")).inner)


def test_another_signature_and_another_processor_are_other_code(tmp_path: Path) -> None:
    function = module(PLAIN).outer
    kept, context = KeptCode(function, CodeStore([tmp_path])), function.targetctx
    name = kept.name(numba.int64(numba.int64), context)
    assert name == kept.name(numba.int64(numba.int64), context)
    assert name != kept.name(numba.int32(numba.int32), context)
    magic = context.codegen().magic_tuple
    try:
        vars(context.codegen())["magic_tuple"] = lambda: (*magic()[:1], "skylake", "+avx2")
        assert name != kept.name(numba.int64(numba.int64), context)
    finally:
        del vars(context.codegen())["magic_tuple"]
    assert magic()[1:] == ("generic", ""), "what is compiled here runs everywhere"


def damage_nothing(_: bytes) -> bytes:
    """No byte is left."""
    return b""


def damage_end(data: bytes) -> bytes:
    """The second half was never written."""
    return data[: len(data) // 2]


def damage_bit(data: bytes) -> bytes:
    """A bit in the middle is another."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [damage_nothing, damage_end, damage_bit])
def test_damaged_code_is_compiled_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    store = CodeStore([tmp_path])
    run(PLAIN, store)
    for file in tmp_path.iterdir():
        file.write_bytes(damage(file.read_bytes()))
    assert run(PLAIN, store) == (8, 2)
    assert run(PLAIN, store) == (8, 0)


def unwritable(folder: Path) -> Path:
    """A folder in which nothing can be made, for root neither."""
    folder.write_text("a file")
    return folder / "compiled"


def test_what_the_first_folder_lacks_goes_to_the_next_that_takes_it(tmp_path: Path) -> None:
    cache = tmp_path / "user" / "narfi"
    store = CodeStore([unwritable(tmp_path / "package"), cache])
    assert run(PLAIN, store) == (8, 2)
    assert len(list(cache.iterdir())) == 2, "made when it is needed"
    assert run(PLAIN, store) == (8, 0)


def test_shipped_code_is_used_where_nothing_can_be_written(tmp_path: Path) -> None:
    run(PLAIN, CodeStore([tmp_path / "shipped"]))
    store = CodeStore([tmp_path / "shipped", unwritable(tmp_path / "cache")])
    assert run(PLAIN, store) == (8, 0)


def test_with_no_folder_at_all_it_compiles(tmp_path: Path) -> None:
    store = CodeStore([unwritable(tmp_path / "a"), unwritable(tmp_path / "b")])
    assert run(PLAIN, store) == (8, 2)
    assert run(PLAIN, store) == (8, 2)


def test_whoever_reads_while_others_write_gets_all_or_nothing(tmp_path: Path) -> None:
    store, codes, found = CodeStore([tmp_path]), [bytes([k]) * 300_000 for k in range(4)], []
    writers = [
        threading.Thread(target=lambda c=c: [store.put("x", c) for _ in range(30)]) for c in codes
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        found.append(store.find("x"))
    assert {code for code in found if code is not None} <= set(codes)
    assert store.find("x") in codes
    assert [file.name for file in tmp_path.iterdir()] == ["x" + ENDING], (
        "nothing half written stays"
    )


def test_the_oldest_of_very_many_files_go(tmp_path: Path) -> None:
    store = CodeStore([tmp_path, tmp_path / "absent"])
    for k in range(KEPT + 5):
        store.put(f"name{k:05}", b"code")
    store.forget_old()
    assert len(list(tmp_path.iterdir())) == KEPT


def test_every_kernel_says_what_it_depends_on() -> None:
    import_all()
    digests = {source_digest(each.function) for each in kernels()}
    assert len(digests) == len({id(each.function) for each in kernels()}) > 40


def test_digests_are_the_same_in_every_process() -> None:
    code = (
        "from narfi.core.kernels.modules import import_all; import_all()\n"
        "from narfi.core.kernels.jit import kernels\n"
        "from narfi.core.kernels.source import source_digest\n"
        "print(''.join(source_digest(each.function) for each in kernels()))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(printed) == 1


def test_tables_are_told_by_their_bytes() -> None:
    """And not by what is printed of them, which leaves out the middle of long ones."""

    def function() -> Any:
        return LONG

    LONG[500] = 1
    before = source_digest(numba.njit(function))
    LONG[500] = 2
    assert isinstance(function, FunctionType)
    assert source_digest(numba.njit(function)) != before


LONG = np.zeros(5000, np.int64)
