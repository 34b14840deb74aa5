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
    assert len(found) > 150, "tests that run side by side get different ones"


def test_a_port_that_is_used_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = server.free_port()
    limits = tmp_path / "range"
    limits.write_text(f"{first + 4}\t60999\n")
    monkeypatch.setattr(server, "GIVEN_AWAY", limits)
    monkeypatch.setattr(server, "LOWEST_PORT", first)
    with socket.socket() as used:
        used.bind(("127.0.0.1", first))
        used.listen()
        assert first not in {server.free_port() for _ in range(30)}
