"""`file_sd_configs`: targets in JSON or YAML files that others write (reference/agent.md §8.4).

Files are read again when they change; a file that cannot be read keeps its last targets.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import field_validator

from promtail_agent.config_base import Section
from promtail_agent.discovery.base import Target, read_groups
from promtail_agent.durations import Interval

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
_SUFFIXES = (".json", ".yml", ".yaml")


class FileSdConfig(Section):
    """Which files; the last part of a path may have one `*`."""

    files: tuple[str, ...]
    refresh_interval: Interval = 300.0
    """Accepted; files are looked at every second."""

    @field_validator("files")
    @classmethod
    def _patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("file service discovery config must contain at least one path name")
        for name in value:
            path = Path(name)
            if path.suffix not in _SUFFIXES or path.name.count("*") > 1 or "*" in str(path.parent):
                raise ValueError(f'path name "{name}" is not valid for file discovery')
        return value


class FileDiscovery:
    """Asked by the reading thread, it looks at the files' times."""

    def __init__(self, config: FileSdConfig) -> None:
        self._config = config
        self._known: dict[str, tuple[int, int]] = {}  # path to change time and size
        self._of_file: dict[str, list[Target]] = {}
        self._targets: list[Target] = []
        self._look_at_s = 0.0

    def start(self) -> None:
        """Nothing has to be begun."""

    def targets(self) -> Sequence[Target]:
        """Of all files, after a look where the last is some time ago."""
        now_s = time.monotonic()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            if self._look():
                self._targets = [t for file in sorted(self._of_file) for t in self._of_file[file]]
        return self._targets

    def close(self) -> None:
        """Nothing has to be ended."""

    def _look(self) -> bool:
        """Whether anything changed."""
        found: dict[str, tuple[int, int]] = {}
        for name in self._config.files:
            for path in Path(name).parent.glob(Path(name).name):
                try:
                    status = path.stat()
                except OSError:
                    continue
                found[str(path)] = (status.st_mtime_ns, status.st_size)
        changed = False
        for gone in self._known.keys() - found.keys():
            self._of_file.pop(gone, None)
            changed = True
        for file, state in found.items():
            if self._known.get(file) != state:
                changed |= self._read(file)
        self._known = found
        return changed

    def _read(self, file: str) -> bool:
        try:
            document = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
            self._of_file[file] = read_groups(document or [], {"__meta_filepath": file})
        except (OSError, ValueError, yaml.YAMLError) as error:
            _log.warning("targets of a file cannot be read path=%s error=%s", file, error)
            return False
        return True
