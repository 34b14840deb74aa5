"""Where may the server listen, and when does somebody have to sign in?"""

import socket
from typing import Any

import pytest
from structlog.testing import capture_logs

from narfi.core.auth_settings import AuthSettings
from narfi.core.settings import ServerSettings, Settings
from narfi.server.addresses import AddressError, check_addresses, is_loopback

NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "localhost.example.com": ["203.0.113.7"],
    "127.example.com": ["203.0.113.7"],
    "both.example.com": ["127.0.0.1", "203.0.113.7"],
    "here.example.com": ["127.0.0.2"],
    "link.example.com": ["fe80::1%eth0"],
}


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that asks nobody."""
    real = socket.getaddrinfo

    def look_up(host: str, port: object, **options: Any) -> list[Any]:
        if host in NAMES:
            return [(0, 0, 0, "", (place, 0)) for place in NAMES[host]]
        return real(host, None, flags=socket.AI_NUMERICHOST, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def settings(http: str = "127.0.0.1:0", grpc: str = "127.0.0.1:0", **more: Any) -> Settings:
    """Two listeners."""
    auth = AuthSettings(enabled=more.pop("auth", False))
    return Settings(
        server=ServerSettings(http=http, grpc=grpc, **more), auth=auth, limits={}, overrides={}
    )


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:0", "127.9.9.9:1", "[::1]:1", "::1:1", "localhost:1", "here.example.com:1"],
)
def test_loopback_asks_nobody(address: str) -> None:
    check_addresses(settings(address), insecure=False)
    check_addresses(settings(grpc=address), insecure=False)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0:1", "[::]:1", ":1", "192.168.0.1:1", "[fe80::1]:1"),
        *("localhost.example.com:1", "127.example.com:1", "both.example.com:1"),
        "link.example.com:1",
    ],
)
def test_what_others_can_reach_needs_a_sign_in_or_a_word(address: str) -> None:
    for found in (settings(address), settings(grpc=address)):
        with pytest.raises(AddressError, match="--insecure"):
            check_addresses(found, insecure=False)
    with capture_logs() as logs:
        check_addresses(settings(address, auth=True), insecure=False)
    assert ["tokens can be read on the way" in log["event"] for log in logs] == [True]
    for found, insecure in ((settings(address), True), (settings(address, insecure=True), False)):
        with capture_logs() as logs:
            check_addresses(found, insecure=insecure)
        assert [log["log_level"] for log in logs] == ["warning"]


@pytest.mark.parametrize("address", ["", "x", "x:", "127.0.0.1:x", "127.0.0.1:70000", "a:\u0663"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(AddressError, match="is not an address"):
        check_addresses(settings(address), insecure=True)


def test_a_name_that_leads_nowhere() -> None:
    with pytest.raises(AddressError, match="cannot be looked up"):
        is_loopback("nowhere.example.com")
