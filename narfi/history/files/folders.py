"""Which logs are in a folder of containers? Each with its rotated files, oldest first, and labels.

`/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restart>.log` (CRI), and
`/var/lib/docker/containers/<id>/<id>-json.log` (Docker). Rotated files may be compressed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from narfi.history.errors import SourceError
from narfi.history.files.file_source import Family
from narfi.history.files.forms.parts import CriLines, DockerLines

_CRI = re.compile(r"(?P<restart>\d+)\.log(?:\.(?P<rotated>\d{8}-\d{6}))?(?:\.(?:gz|zst|bz2))?")
_DOCKER = re.compile(r"[0-9a-f]+-json\.log(?:\.(?P<rotated>\d+))?(?:\.(?:gz|zst|bz2))?")
_ID_SHOWN = 12


def cri_families(folder: Path, labels: Mapping[str, str]) -> list[Family]:
    """The containers below a folder of pods, by name."""
    found: list[Family] = []
    for container in _folders(folder, depth=2):
        pod = container.parent.name.split("_")
        files = sorted(_cri_files(container), key=_cri_order)
        if len(pod) != 3 or not files:
            continue
        namespace, name, uid = pod
        own = {"namespace": namespace, "container": container.name, **labels}
        metadata = (("pod", name),)
        group = f"cri {namespace} {name} {uid} {container.name}"
        form = partial(CriLines, own, metadata)
        found.append(Family(group=group, files=files, form=form))
    return found


def _cri_files(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.iterdir() if _CRI.fullmatch(path.name) and path.is_file())


def _cri_order(path: Path) -> tuple[int, str]:
    found = _CRI.fullmatch(path.name)
    assert found is not None
    return int(found["restart"]), found["rotated"] or "~"  # the one that is written to is last


def docker_families(folder: Path, labels: Mapping[str, str]) -> list[Family]:
    """The containers below a folder of Docker's."""
    found: list[Family] = []
    for container in _folders(folder, depth=1):
        files = [p for p in container.iterdir() if _DOCKER.fullmatch(p.name) and p.is_file()]
        if not files:
            continue
        files.sort(key=_docker_order, reverse=True)
        about = _about(container / "config.v2.json")
        name = str(about.get("Name", "")).lstrip("/") or container.name[:_ID_SHOWN]
        own = {"container": name, **labels}
        metadata = (("container_id", container.name[:_ID_SHOWN]),)
        form = partial(DockerLines, own, metadata)
        found.append(Family(group=f"docker {container.name}", files=files, form=form))
    return found


def _docker_order(path: Path) -> int:
    found = _DOCKER.fullmatch(path.name)
    assert found is not None
    return int(found["rotated"] or 0)


def _about(path: Path) -> dict[str, Any]:
    """What Docker says of a container; empty where it cannot be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _folders(folder: Path, depth: int) -> list[Path]:
    """Folders so far below, in order; the folder itself where it is one of them."""
    try:
        found = [folder]
        for _ in range(depth):
            found = [path for one in found for path in sorted(one.iterdir()) if path.is_dir()]
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from error
    return found


def plain_files(paths: list[Path]) -> list[Path]:
    """Files, and those below folders, in order; raises `SourceError` where there is none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(one for one in path.rglob("*") if one.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise SourceError(f"{path} is no file")
    if not found:
        raise SourceError(f"no files in {', '.join(map(str, paths))}")
    return found
