"""How is the image made and run where there is no Docker? Its steps, in a folder instead of a root.

`/opt/narfi` and `/state` of the Dockerfile become folders of the test. A container is a process of
its own namespaces: process 1, another user, every disk read-only but for the data folder.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.dockerfile import FILE, ROOT, is_sent, stages_of

USER = 65532
_ENTER = """
set -eu
mount --bind "$STATE" "$STATE"
mount -o remount,ro,bind /
mount -t tmpfs -o ro none /dev/shm
exec "$@"
"""
_READS = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
"""Python and packages may lie in a folder of root's; it gives no right to write anything."""


@dataclass(frozen=True)
class Image:
    """What the first stage made."""

    root: Path

    @property
    def python(self) -> Path:
        """The interpreter of `/opt/narfi`."""
        return self.root / "opt/narfi/bin/python"

    @property
    def variables(self) -> dict[str, str]:
        """ENV of the last stage, with its folders here."""
        found = stages_of(FILE.read_text())[1][-1].pairs("ENV")
        state = self.root / "state/var/lib/narfi"
        return {
            **found,
            "PATH": f"{self.python.parent}:/usr/bin:/bin",
            "NARFI_DATA_DIR": str(state),
        }


def build(root: Path, *, from_registry: bool) -> Image:
    """Do what COPY and RUN of the first stage say.

    Without the registry the packages are those of the tests, and kernels that are compiled already
    are taken as they are.
    """
    stage = stages_of(FILE.read_text())[1][0]
    source = root / "src"
    source.mkdir()
    for one in stage.instructions:
        if one.word == "COPY":
            *what, target = one.arguments
            for name in what:
                _copy(name, source / target / ("" if target != name else "."), from_registry)
        elif one.word == "RUN":
            steps = one.rest.replace("/opt/narfi", str(root / "opt/narfi"))
            steps = steps.replace("/state", str(root / "state"))
            if not from_registry and "pins.txt" in steps:
                _without_registry(root / "opt/narfi")
                continue
            environment = {**os.environ, **stage.pairs("ENV"), "PYTHON": sys.executable}
            steps = steps.replace("python -m venv", '"$PYTHON" -m venv')
            subprocess.run(["sh", "-ec", steps], cwd=source, env=environment, check=True)
    return Image(root)


def _copy(name: str, target: Path, strict: bool) -> None:
    """A file or folder, of which `.dockerignore` leaves things out."""
    origin = ROOT / name
    if origin.is_file():
        shutil.copyfile(origin, target / Path(name).name if target.is_dir() else target)
        return

    def ignored(folder: str, names: list[str]) -> list[str]:
        place = Path(folder).relative_to(ROOT)
        compiled = [] if strict else ["compiled"]
        return [n for n in names if n not in compiled and not _is_sent(place / n)]

    shutil.copytree(origin, target, ignore=ignored, copy_function=shutil.copyfile)


def _is_sent(path: Path) -> bool:
    in_compiled = "compiled" in path.parts
    return in_compiled or is_sent(str(path))


TRIMMED = ("llvmlite", "numba", "numpy", "numpy.libs", "pyarrow")
"""Packages of which `trim.sh` deletes parts; one of these has to work afterwards."""


def _without_registry(venv: Path) -> None:
    """An environment that finds the tests' packages; those that are trimmed are its own."""
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    old = [str(venv / "bin/pip"), "uninstall", "--quiet", "--yes", "setuptools"]
    subprocess.run(old, check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    others = [folder for folder in sys.path if folder.endswith("-packages")]
    (packages / "others.pth").write_text("\n".join(others))
    for name in TRIMMED:
        (found,) = {folder for other in others for folder in Path(other).glob(name)}
        shutil.copytree(found, packages / name, copy_function=_linked)


def _linked(source: str, target: str) -> None:
    """A second name of a file: to delete it takes nothing away from the first."""
    try:
        os.link(source, target)
    except OSError:  # on another disk
        shutil.copyfile(source, target)


def can_isolate() -> bool:
    """Whether this user may make namespaces."""
    tools = all(shutil.which(tool) for tool in ("unshare", "setpriv"))
    command = ["unshare", "--mount", "--pid", "--fork", "mount", "-o", "remount,ro,bind", "/"]
    return tools and subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def container(
    image: Image, arguments: list[str], variables: Mapping[str, str], log: Path
) -> Iterator["Container"]:
    """`narfi ARGUMENTS` as process 1, until the `with` ends."""
    state = image.root / "state/var/lib/narfi"
    os.chown(state, USER, USER)
    isolation = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    user = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", *_READS]
    narfi = [str(image.python.with_name("narfi")), *arguments]
    command = [*isolation, "sh", "-c", _ENTER, "enter", *user, *narfi]
    environment = {**image.variables, "STATE": str(state), **variables}
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command, stdout=sink, stderr=sink, env=environment, cwd=image.root
        )
    try:
        yield Container(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Container:
    """A process in its namespaces."""

    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Of process 1, as it is called outside."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0])
