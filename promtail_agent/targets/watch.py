"""Which files have changed? The system tells (inotify), so that quiet files cost nothing.

Polling stays as a net below: of network file systems nothing is told, and queues overflow. Where
watching cannot be had, polling alone does it.
"""

import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path

_log = logging.getLogger(__name__)

GATHER_MS = 50
"""Changes of so long are told at once."""
_STEP_MS = 10
_WAKE_MS = 500


class FileWatch:
    """Watches folders in a thread; `changed` gives the paths since the last call."""

    def __init__(self, wake: threading.Event) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._changed: set[str] = set()
        self._folders: frozenset[str] = frozenset()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.works = True

    def follow(self, files: Iterable[str], patterns: Iterable[str]) -> None:
        """Watch the folders of these files, and those in which new ones may appear."""
        folders = {os.path.dirname(os.path.realpath(file)) for file in files}  # noqa: PTH120
        folders |= {str(Path(file).parent) for file in files}
        folders |= {_fixed_part(pattern) for pattern in patterns}
        wanted = frozenset(f for f in folders if os.path.isdir(f))  # noqa: PTH112  pathlib raises
        if wanted == self._folders or not self.works:
            return
        self._stop.set()  # the thread of before ends by itself: reading does not wait for it
        self._folders, self._stop = wanted, threading.Event()
        arguments = (sorted(wanted), self._stop)
        self._thread = threading.Thread(target=self._run, args=arguments, name="watch", daemon=True)
        self._thread.start()

    def changed(self) -> set[str]:
        """Paths of which something was told since the last call."""
        with self._lock:
            found, self._changed = self._changed, set()
        return found

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2)
            self._thread = None

    def _run(self, folders: list[str], stop: threading.Event) -> None:
        from watchfiles import watch

        try:
            for changes in watch(
                *folders,
                watch_filter=None,
                debounce=GATHER_MS,
                step=_STEP_MS,
                rust_timeout=_WAKE_MS,
                stop_event=stop,
                recursive=False,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                with self._lock:
                    self._changed.update(path for _, path in changes)
                self._wake.set()
        except FileNotFoundError:  # a folder went meanwhile: the next search begins anew
            if self._stop is stop:
                self._folders = frozenset()
        except (OSError, RuntimeError) as error:
            self.works = False
            _log.warning("files cannot be watched, polling instead error=%s", error)


def _fixed_part(pattern: str) -> str:
    """The folder before the first wildcard."""
    path = Path(pattern)
    for parent in (path, *path.parents):
        if not any(char in str(parent) for char in "*?[{"):
            return str(parent.parent if parent == path else parent)
    return "/"
