"""The processes of a cluster that is torn apart: forked servers over one bucket and one database.

Bucket and database are behind proxies that can fail. Every process is ended by the pid that was
forked here.
"""

import os
import random
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.server import free_port
from tests.faults.cluster_load import exchange
from tests.faults.forked import Nursery
from tests.faults.phases import Phases

TTL_S = 3.0
"""Of leases: short, so that a paused ingester loses its journal soon."""
START_S = 120.0
"""A machine under load starts a forked server in a second; this is for one that hangs."""
SETTINGS = {
    "ingester": {
        "journal": "objects",
        "lease_ttl": f"{TTL_S:g}s",
        "flush_bytes": "64KB",
        "flush_age": "2s",
        "shape_min_lines": 16,
        "block_format": 3,
    },
    "compactor": {"interval": "500ms", "orphan_grace": "60s", "min_free_disk": 0},
    "limits": {
        "ingestion_rate_mb": 10000.0,
        "ingestion_burst_size_mb": 10000.0,
        "reject_old_samples": False,
        "max_global_streams_per_user": 0,
        "max_entries_limit_per_query": 0,
    },
}


@dataclass(slots=True)
class Member:
    """One process, and what it does, as its counters say."""

    pid: int
    port: int
    phases: Phases
    paused: bool = False


class Processes:
    """By name; events come from one thread, ports may be asked for by any."""

    def __init__(
        self, folder: Path, nursery: Nursery, roles: Mapping[str, str], storage: str, catalog: str
    ) -> None:
        """`roles`: of each name, parted by commas."""
        self._folder, self._nursery, self._roles = folder, nursery, roles
        self._places = {"storage": {"url": storage}, "catalog": {"url": catalog}}
        self._members: dict[str, Member] = {}
        self.refused_starts = 0

    def names(self, role: str) -> Sequence[str]:
        """Of those that have the role."""
        return [name for name, roles in self._roles.items() if role in roles]

    def alive(self, name: str) -> Member | None:
        """The process, when there is one."""
        return self._members.get(name)

    def port(self, name: str) -> int | None:
        """Where it listens; None when there is none."""
        member = self._members.get(name)
        return None if member is None else member.port

    def start(self, name: str) -> None:
        """Begin a process; it is not waited for."""
        assert name not in self._members
        port, phases = free_port(), Phases(self._folder / f"{name}.phases")
        phases.clear()
        config = self._folder / f"{name}.yaml"
        roles = self._roles[name].split(",")
        config.write_text(yaml.safe_dump({**SETTINGS, **self._places, "roles": roles}))
        arguments = ["--config", str(config), "--data-dir", str(self._folder / name)]
        arguments += ["--http", f"127.0.0.1:{port}", "--grpc", f"127.0.0.1:{free_port()}"]
        pid = self._nursery.fork(arguments, self._log(name), self._folder / f"{name}.phases")
        self._members[name] = Member(pid, port, phases)

    def kill(self, name: str) -> bool:
        """End it at once; false when it ended by itself just before."""
        member = self._members.pop(name)
        os.kill(member.pid, signal.SIGKILL)
        return self._nursery.wait(member.pid) == -signal.SIGKILL

    def pause(self, name: str) -> None:
        """It does nothing until it may go on."""
        os.kill(self._members[name].pid, signal.SIGSTOP)
        self._members[name].paused = True

    def go_on(self, name: str) -> None:
        """After a pause."""
        member = self._members.get(name)
        if member is not None and member.paused:
            os.kill(member.pid, signal.SIGCONT)
            member.paused = False

    def ask_to_end(self, name: str) -> None:
        """It is waited for by whoever looks for those that ended."""
        os.kill(self._members[name].pid, signal.SIGTERM)

    def ended(self) -> dict[str, int]:
        """Those that ended by themselves since this was asked: the status by name."""
        found: dict[str, int] = {}
        for name, member in list(self._members.items()):
            status = self._nursery.ended(member.pid)
            if status is not None:
                del self._members[name]
                found[name] = status
        return found

    def is_taken_over(self, name: str) -> bool:
        """Whether it says that another ingester has its journal."""
        member = self._members.get(name)
        if member is None or member.paused:
            return False
        status, text = exchange(member.port, "GET", "/ready", timeout_s=2.0)
        return status == 503 and b"taken over" in text

    def is_ready(self, name: str) -> bool:
        """Whether it serves."""
        port = self.port(name)
        return port is not None and exchange(port, "GET", "/ready", timeout_s=5.0)[0] == 200

    def log(self, name: str) -> str:
        """The end of what it said."""
        return self._log(name).read_text(errors="replace")[-4000:]

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def inside(
    processes: Processes, names: Sequence[str], steps: Sequence[str], most_s: float
) -> str | None:
    """Wait until one of these is inside one of the steps; its name, None when none is in time."""
    deadline = time.monotonic() + most_s
    chance = random.Random()
    while time.monotonic() < deadline:
        for name in chance.sample(list(names), len(names)):
            member = processes.alive(name)
            if member is not None and member.phases.under_way().intersection(steps):
                return name
        time.sleep(0.0005)
    return None
