"""How does a test start a command of Narfi without the seconds that its imports take? By a fork.

A server reads its modules and kernels before it does anything: three seconds of CPU; the agent and
other commands take a second; some hundred times in a run of the tests. `Popen` stands for
`subprocess.Popen`: `python -m narfi.cli …` is done by a child of a process with all that loaded. It
is a process of its own with its own arguments, environment, folder and files; it can be killed,
waited for and talked to like any other. Everything else is started as always, and so are commands
whose interpreter would be another one than that of the tests (`_same_interpreter`). A shell starts
forks by what `shell_command` gives.

Only tests that `allow` it get it (`tests/distribution.py` names them): what is asked of a start, of
modules, threads or memory is asked of a start that nothing was saved in.
"""

import contextlib
import gc
import importlib
import inspect
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from narfi.core.kernels.modules import import_all
from narfi.core.kernels.warming import warm_up
from narfi.core.memory import give_back_early, leave_libraries_out

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "narfi.cli")
MAIN = "narfi.cli.main"
MODULES = (
    MAIN,
    "narfi.cli.agent",
    "narfi.cli.check_config",
    "narfi.cli.inspect",
    "narfi.cli.serve",
    "narfi.server.lifecycle",
)
"""What commands import when they are called."""
FROM_A_SHELL = Path(__file__).with_name("forked_command.py")
LONGEST = 1 << 17
"""Bytes of a request: arguments and environment."""
SAME = ("PYTHON", "NUMBA_", "LD_", "OPENBLAS_", "OMP_", "MALLOC_", "GRPC_", "HOME", "XDG_")
"""Beginnings of variables that are read while Python and its modules are loaded."""
_LOADED = {name: text for name, text in os.environ.items() if name.startswith(SAME)}
"""Of the tests themselves, before any of them changed one for a while."""
_Plain = subprocess.Popen

_allowed = False


def allow(allowed: bool) -> None:
    """Whether commands that are started from now on may be forked."""
    global _allowed
    _allowed = allowed


def shell_command() -> str:
    """What a shell starts as `narfi`, with arguments behind it."""
    if not (_allowed and subprocess.Popen is Popen):
        return shlex.join(COMMAND)
    return shlex.join([sys.executable, "-IS", str(FROM_A_SHELL), _nursery().address])


class Popen(_Plain):  # type: ignore[type-arg] # as the tests use it: of bytes and of text
    """A process that is forked where it may be; else one as always."""

    _forked = False

    def _execute_child(self, *arguments: Any) -> None:
        """Where `subprocess.Popen` forks and executes."""
        plain = super()._execute_child  # type: ignore[misc]
        given = inspect.signature(plain).bind(*arguments).arguments
        environment = dict(os.environ if given["env"] is None else given["env"])
        folder = Path(os.fsdecode(given["cwd"] or "."))
        if not (_allowed and _is_plain(given) and _same_interpreter(environment, folder)):
            plain(*arguments)
            return
        files = (given["p2cread"], given["c2pwrite"], given["errwrite"])
        self._forked = True
        self.pid = _nursery().fork(
            list(map(os.fsdecode, given["args"][len(COMMAND) :])),
            environment,
            folder.absolute(),
            [own if file == -1 else file for own, file in enumerate(files)],
        )
        self._child_created = True
        self._close_pipe_fds(*(given[name] for name in _PIPES))  # type: ignore[attr-defined]

    def _internal_poll(self, *arguments: Any, **options: Any) -> int | None:
        """The exit status, if it has ended."""
        if not self._forked:
            found: int | None = super()._internal_poll(*arguments, **options)  # type: ignore[misc]
            return found
        if self.returncode is None:
            self.returncode = _nursery().status(self.pid)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        """Return when it ended."""
        if not self._forked:
            found: int = super()._wait(timeout)  # type: ignore[misc]
            return found
        if self._internal_poll() is None:
            process = os.pidfd_open(self.pid)
            try:
                if not select.select([process], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            finally:
                os.close(process)
            self._internal_poll()
        return self.returncode


_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


def _is_plain(given: Mapping[str, Any]) -> bool:
    """Whether it is a command of Narfi without options that only `exec` knows."""
    wanted = ("preexec_fn", "executable", "shell", "pass_fds", "start_new_session")
    users = [given.get(name) for name in ("uid", "gid", "gids")]
    return (
        isinstance(given["args"], list | tuple)
        and tuple(given["args"][: len(COMMAND)]) == COMMAND
        and not any(given[name] for name in wanted)
        and given.get("process_group", -1) == -1
        and users == [None] * len(users)
        and given["umask"] < 0
    )


def _same_interpreter(environment: Mapping[str, str], folder: Path) -> bool:
    """Whether Python would load the same modules there, in the same way."""
    loaded = {name: text for name, text in os.environ.items() if name.startswith(SAME)}
    wanted = {name: text for name, text in environment.items() if name.startswith(SAME)}
    other = (folder / "narfi").exists() and folder.absolute() != ROOT
    return wanted == loaded == _LOADED and not other


class Nursery:
    """The process that forks, of one process of pytest; what it forked ends with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="narfi-forks-", dir="/tmp")
        self.address = f"{self._folder.name}/socket"
        """Where others than this process ask: short, as addresses of sockets must be."""
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # a pool of threads would not survive a fork
        single = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with other, door:
            door.bind(self.address)
            door.listen()
            files = [other.fileno(), door.fileno()]
            self._process = _Plain(
                [sys.executable, "-m", "tests.servers.forking", *map(str, files)],
                env={**os.environ, **single},
                cwd=ROOT,
                pass_fds=files,
            )

    def fork(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        files: Sequence[int],
    ) -> int:
        """Run a command with these files as its standard ones; its pid."""
        request = {"arguments": arguments, "environment": environment, "folder": str(folder)}
        return int(self._ask(request, files))

    def status(self, pid: int) -> int | None:
        """The exit status, or minus the signal, of one that ended; None while it runs."""
        found = self._ask({"pid": pid})
        return None if found is None else int(found)

    def _ask(self, request: Mapping[str, Any], files: Sequence[int] = ()) -> Any:
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], files)
            answer = self._socket.recv(LONGEST)
        assert answer, "the process that forks commands ended"
        return json.loads(answer)


_made: list[Nursery] = []
_making = threading.Lock()


def _nursery() -> Nursery:
    """That of this process, made when it is needed first."""
    with _making:
        if not _made:
            _made.append(Nursery())
        return _made[0]


class _Children:
    """What was forked."""

    def __init__(self) -> None:
        self._alive: set[int] = set()
        self._ended: dict[int, int] = {}  # two threads may ask at once how a command ended

    def add(self, pid: int) -> None:
        """It was forked now."""
        self._alive.add(pid)

    def status(self, pid: int) -> int | None:
        """As `Nursery.status`."""
        if pid in self._alive:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._alive.remove(pid)
                self._ended[pid] = os.waitstatus_to_exitcode(status)
        return self._ended.get(pid)

    def kill(self) -> None:
        """End all that run."""
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)


def _fork_on_demand(tests: socket.socket, door: socket.socket) -> list[str] | None:
    """Answers requests of the tests and of shells that come to the door.

    Returns in each child, with its arguments, and when the tests end with None.
    """
    children, asking = _Children(), {tests, door}
    while True:
        for one in select.select(asking, [], [])[0]:
            if one is door:
                asking.add(door.accept()[0])
                continue
            message, files, _, _ = socket.recv_fds(one, LONGEST, 3)
            if not message and one is tests:
                children.kill()
                return None
            if not message:
                asking.remove(one)
                one.close()
                continue
            request = json.loads(message)
            if "pid" in request:
                answer = children.status(request["pid"])
            else:
                answer = os.fork()
                if answer == 0:
                    for each in asking:
                        each.close()
                    _become(request, files)
                    arguments: list[str] = request["arguments"]
                    return arguments
                children.add(answer)
                for file in files:
                    os.close(file)
            one.send(json.dumps(answer).encode())


def _become(request: Mapping[str, Any], files: Sequence[int]) -> None:
    """Take up the files, the folder and the environment of a command."""
    for own, file in enumerate(files):
        os.dup2(file, own)
    for file in files:
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()


def _load() -> None:
    """Import what the commands do, as `serve` does it, and load the kernels."""
    give_back_early()
    finders = list(sys.meta_path)
    leave_libraries_out()
    for name in MODULES:
        importlib.import_module(name)
    import_all()
    warm_up()
    sys.meta_path[:] = finders  # `serve` says it again, and other commands have a use for them
    gc.freeze()


def _run() -> None:
    """In the process that forks, and in each of its children."""
    tests, door = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    _load()
    arguments = _fork_on_demand(tests, door)
    if arguments is not None:
        sys.argv = [str(ROOT / "narfi" / "cli" / "__main__.py"), *arguments]
        sys.modules["__main__"].__package__ = "narfi.cli"  # of which usage texts tell
        importlib.import_module(MAIN).main()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _run()
