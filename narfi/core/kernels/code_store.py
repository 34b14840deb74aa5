"""Where is compiled code kept, and how is it found again? In files whose names say what they are.

A name holds a digest of everything that made the code, so a file is right or is not looked for. The
first 32 bytes are the SHA-256 of the rest: a file that was torn or flipped counts as missing, and
is written anew. Files are put by renaming, so several processes may share a folder; two that
compile the same thing write the same. Folders are read in order, and the first that can be
written takes what is new: that of the package (a checkout; read-only in most installations, where
it came with the wheel), else the user's cache folder.
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

SHIPPED = Path(__file__).parent / "compiled"
"""Comes with a wheel; in a checkout it is filled by the first start."""
ENDING = ".code"
KEPT = 1000
"""Files of one folder; beyond that the oldest go, which older sources left behind."""
_DIGEST_BYTES = 32


def usual_folders() -> tuple[Path, ...]:
    """That of the package, then that of the user, where there is one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():  # unset; the standard says that others do not count
        try:
            cache = Path.home() / ".cache"
        except RuntimeError:  # a user without a home
            return (SHIPPED,)
    return SHIPPED, cache / "narfi" / "kernels"


class CodeStore:
    """Compiled code by name."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)

    def find(self, name: str) -> bytes | None:
        """The code, or None where no folder has an undamaged file."""
        for folder in self.folders:
            try:
                data = (folder / (name + ENDING)).read_bytes()
            except OSError:
                continue
            code = data[_DIGEST_BYTES:]
            if hashlib.sha256(code).digest() == data[:_DIGEST_BYTES]:
                return code
        return None

    def put(self, name: str, code: bytes) -> bool:
        """Keep code in the first folder that takes it; False where none does."""
        data = hashlib.sha256(code).digest() + code
        return any(_write(folder, name + ENDING, data) for folder in self.folders)

    def forget_old(self) -> None:
        """Delete the oldest files of folders that hold very many."""
        for folder in self.folders:
            with contextlib.suppress(OSError):  # another process deletes too, or it is read-only
                found = sorted(folder.glob("*" + ENDING), key=lambda file: file.stat().st_mtime)
                for file in found[:-KEPT]:
                    file.unlink()


def _write(folder: Path, name: str, data: bytes) -> bool:
    temporary = folder / f".{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(folder / name)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        return False
    return True
