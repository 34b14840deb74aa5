"""Does memory of libraries go back to the system, and only what the files hold anyway?"""

import ctypes
import mmap
import os
import random
from pathlib import Path

import pytest

import narfi.core.file_pages
from narfi.core.file_pages import _clean, give_back_file_pages

SIZE = 8 << 20
MAPS = """\
7f0000000000-7f0000003000 r-xp 00000000 fe:00 12 /lib/clean code.so
Size:                 12 kB
Rss:                   8 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
7f0000003000-7f0000004000 r--p 00003000 fe:00 12 /lib/relocated.so
Rss:                   4 kB
Anonymous:             4 kB
7f0000004000-7f0000005000 rw-p 00004000 fe:00 12 /lib/written.so
Rss:                   4 kB
Anonymous:             0 kB
7f0000005000-7f0000006000 r--s 00000000 fe:00 13 /data/shared
Rss:                   4 kB
Anonymous:             0 kB
7f0000006000-7f0000007000 r--p 00000000 00:00 0
Rss:                   4 kB
Anonymous:             0 kB
7f0000007000-7f0000008000 r-xp 00000000 00:00 0 [vdso]
Rss:                   4 kB
Anonymous:             0 kB
7f0000008000-7f0000009000 r--p 00000000 fe:00 12 /lib/untouched.so
Rss:                   0 kB
Anonymous:             0 kB
"""


def test_only_pages_that_the_file_holds_are_given_back() -> None:
    assert _clean(MAPS) == [(0x7F0000000000, 0x3000, 8192)]


def resident(file: Path) -> int:
    """Resident bytes of a mapped file."""
    found, mine = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            mine = words[-1] == str(file)
        elif words[0] == "Rss:" and mine:
            found += int(words[1]) * 1024
    return found


def test_what_is_given_back_can_be_read_again(tmp_path: Path) -> None:
    file, content = tmp_path / "file", random.Random(1).randbytes(SIZE)
    file.write_bytes(content)
    with file.open("rb") as opened:
        flags, access = mmap.MAP_PRIVATE, mmap.PROT_READ
        mapped = mmap.mmap(opened.fileno(), SIZE, flags, access)
    assert mapped[:] == content
    assert resident(file) == SIZE
    assert give_back_file_pages() >= SIZE
    assert resident(file) == 0
    assert mapped[:] == content
    assert resident(file) == SIZE


def test_what_the_process_wrote_stays(tmp_path: Path) -> None:
    """As a library does with its relocations: written, then made read-only."""
    file = tmp_path / "file"
    file.write_bytes(bytes(SIZE))
    with file.open("rb") as opened:
        mapped = mmap.mmap(opened.fileno(), SIZE, access=mmap.ACCESS_COPY)
    mapped[5:8] = b"abc"
    place = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
    library = ctypes.CDLL(None, use_errno=True)
    protect = library.mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    assert protect(place, SIZE, mmap.PROT_READ) == 0, os.strerror(ctypes.get_errno())
    give_back_file_pages()
    assert mapped[:9] == b"\0\0\0\0\0abc\0"


def test_where_the_system_does_not_tell_nothing_is_given_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(narfi.core.file_pages, "SMAPS", tmp_path / "missing")
    assert give_back_file_pages() == 0
