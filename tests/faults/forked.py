"""How does a test get a fresh server for the price of a fork? From a process with all loaded.

`Nursery` starts one process that imports the server and loads the kernels; it has no threads of
its own. For each server it forks: the child runs `narfi serve` with its arguments, through
`narfi.cli.main`, and dies of SIGKILL as any process does. Its pid can be killed from outside.
"""

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from narfi.cli.main import main
from narfi.core.kernels.warming import warm_up
from narfi.server import lifecycle
from tests.faults.phases import Phases

LOADED = "loaded"


class Nursery:
    """The process that forks servers; a context manager, in whose end all servers end."""

    def __enter__(self) -> "Nursery":
        """Load everything."""
        # a pool of threads would not survive a fork
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forked"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=Path(__file__).parents[2],
        )
        assert self._answer() == LOADED
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; it kills what it forked."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def fork(self, arguments: list[str], log: Path, phases: Path) -> int:
        """Run `narfi serve` with these arguments; the pid of the new process."""
        return int(self._ask({"arguments": arguments, "log": str(log), "phases": str(phases)}))

    def ended(self, pid: int) -> int | None:
        """The exit status, or minus the signal, of a server that ended; None while it runs."""
        found = self._ask({"ended": pid})
        return None if found is None else int(found)

    def wait(self, pid: int) -> int:
        """Return when the server ended; its exit status, or minus the signal."""
        return int(self._ask({"wait": pid}))

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that forks servers ended"
        return json.loads(line)


def _serve(request: dict[str, Any]) -> None:
    """In the child: become the server; never returns."""
    status = 1
    try:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        Phases(Path(request["phases"])).watch()
        sys.argv = ["narfi", "serve", *request["arguments"]]
        main()
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 0 if ending.code is None else 1
    except BaseException:  # noqa: BLE001 - the end of a process: whatever it is, it is told
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stderr.flush()
        os._exit(status)


def _await(pid: int, options: int) -> int | None:
    found, status = os.waitpid(pid, options)
    return os.waitstatus_to_exitcode(status) if found else None


def _fork_on_demand() -> None:
    """Requests come on stdin, a line each, and are answered on stdout."""
    warm_up()
    assert callable(lifecycle.serve)  # imported: children need not
    gc.freeze()
    alive: set[int] = set()
    print(json.dumps(LOADED), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "arguments" in request:
            pid = os.fork()
            if pid == 0:
                _serve(request)
            alive.add(pid)
            answer: int | None = pid
        else:
            options = os.WNOHANG if "ended" in request else 0
            pid = request.get("ended", request.get("wait"))
            answer = _await(pid, options)
            if answer is not None:
                alive.discard(pid)
        print(json.dumps(answer), flush=True)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        _await(pid, 0)


if __name__ == "__main__":
    _fork_on_demand()
