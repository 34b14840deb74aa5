"""Is a port that a server shall bind some seconds later still free then?"""

import socket
from pathlib import Path

import pytest

from benchmarks import server


def test_no_port_is_taken_that_the_system_may_give_to_somebody_else() -> None:
    given_away = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = {server.free_port() for _ in range(200)}
    assert max(found) < given_away
    assert min(found) >= server.LOWEST_PORT


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither to one worker, of which some wait to be bound, nor to two that run side by side."""
    found = []
    for worker in ("gw0", "gw1", "gw15"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        found += [server.free_port() for _ in range(300)]
    assert len(set(found)) == len(found)


def test_a_port_that_is_used_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = server.free_port()
    limits = tmp_path / "range"
    limits.write_text(f"{first + 4 * server.WORKERS}\t60999\n")
    monkeypatch.setattr(server, "GIVEN_AWAY", limits)
    monkeypatch.setattr(server, "LOWEST_PORT", first)
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    with socket.socket() as used:
        used.bind(("127.0.0.1", first))
        used.listen()
        assert first not in {server.free_port() for _ in range(30)}
