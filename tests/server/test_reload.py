"""Does a running server take what can change, keep what it has of a bad one, and say the rest?"""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.server import Running, start, stop
from narfi.access.secret import new_token
from narfi.core.log import level_name, set_level
from narfi.core.settings import Settings, load_settings
from narfi.core.tenant import TenantId
from narfi.server.part_checks import look
from narfi.server.reload import LAST_OK, Reloader, changes
from narfi.server.tls import CertificateError, Certificates
from narfi.server.wiring import Server, build
from tests.servers.certificates import make_certificates
from tests.written import whole_lines

A = TenantId("a")


@dataclass
class Place:
    """A server without listeners, and its file."""

    file: Path
    reloader: Reloader

    @property
    def server(self) -> Server:
        """The server."""
        return self.reloader.server

    def write(self, **content: Any) -> None:
        """The file's new content."""
        self.file.write_text(
            yaml.safe_dump({"data_dir": str(self.file.parent / "data"), **content})
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """With tokens, one limit, and a level."""
    file = tmp_path / "narfi.yaml"
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text("tokens: []")
    found = Place(file, None)  # type: ignore[arg-type]

    def load() -> Settings:
        return load_settings(file, {}, {})

    auth = {"enabled": True, "tokens_file": str(tokens)}
    found.write(limits={"max_line_size": "1KB"}, auth=auth, log={"level": "info"})
    settings, level = load(), level_name()
    server = build(settings)
    found.reloader = Reloader(server=server, certificates=None, load=load, in_force=settings)
    yield found
    server.stop()
    set_level(level)


def auth_of(place: Place) -> dict[str, Any]:
    """The section as it is."""
    found: dict[str, Any] = yaml.safe_load(place.file.read_text())["auth"]
    return found


def test_limits_overrides_level_and_tokens_change(place: Place) -> None:
    token = new_token()
    (place.file.parent / "tokens.yaml").write_text(
        yaml.safe_dump(
            {"tokens": [{"name": "x", "token": token.text, "tenants": "*", "scopes": "read"}]}
        )
    )
    listed = place.server.tokens.listed
    assert listed is not None
    assert len(listed) == 0
    place.write(
        limits={"max_line_size": "2KB", "retention_period": "30d"},
        overrides={"a": {"max_line_size": "3KB", "retention_period": "2d"}},
        auth=auth_of(place),
        log={"level": "debug"},
    )
    outcome = place.reloader.reload("test")
    assert outcome.error is None
    assert outcome.changed == (
        "limits.max_line_size",
        "limits.retention_period",
        "log.level",
        "overrides.a",
    )
    assert outcome.needs_restart == ()
    limits, retention = place.server.limits, place.server.retention
    assert limits(A).max_line_size == 3072
    assert limits(TenantId("b")).max_line_size == 2048
    assert retention(A).period_ns < retention(TenantId("b")).period_ns
    assert level_name() == "debug"
    assert len(listed) == 1
    assert place.reloader.in_force.limits["retention_period"] == "30d"
    assert place.server.queries.limits([A]).max_line_size == 3072, "all who ask see it"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"limits": {"max_lin_size": 1}}, "unknown limit"),
        ({"limits": {"max_line_size": "many"}}, "not a size"),
        (
            {"overrides": {"a": {"retention_stream": [{"selector": "{a", "period": "24h"}]}}},
            "invalid",
        ),
        ({"log": {"level": "loud"}}, "log.level"),
        ({"unknown": 1}, "unknown key"),
    ],
)
def test_a_bad_one_changes_nothing(place: Place, content: dict[str, Any], told: str) -> None:
    good = {"limits": {"max_line_size": "9KB"}, "auth": auth_of(place)}
    place.write(**{**good, **content})
    outcome = place.reloader.reload("test")
    assert outcome.error is not None
    assert told in outcome.error
    assert place.server.limits(A).max_line_size == 1024
    assert LAST_OK._value.get() == 0
    (part,) = [p for p in look(place.server, place.reloader) if p.part == "configuration"]
    assert part.state == "degraded"
    assert told in part.what
    assert "narfi check-config" in part.step
    place.write(**good)
    assert place.reloader.reload("test").error is None
    assert LAST_OK._value.get() == 1
    assert place.server.limits(A).max_line_size == 9 * 1024


def test_bad_tokens_change_no_limits_either(place: Place) -> None:
    (place.file.parent / "tokens.yaml").write_text("tokens: [{name: x}]")
    place.write(limits={"max_line_size": "9KB"}, auth=auth_of(place))
    outcome = place.reloader.reload("test")
    assert outcome.error is not None
    assert "tokens.yaml" in outcome.error
    assert place.server.limits(A).max_line_size == 1024


def test_what_needs_a_restart_is_named_until_then(place: Place) -> None:
    auth = auth_of(place)
    place.write(auth=auth, querier={"query_threads": 7}, server={"hosts": "x"}, tenancy="header")
    outcome = place.reloader.reload("test")
    assert outcome.changed == ("limits.max_line_size",)
    assert outcome.needs_restart == ("querier.query_threads", "server.hosts", "tenancy")
    assert place.reloader.in_force.querier.query_threads == 4
    (part,) = [p for p in look(place.server, place.reloader) if p.part == "configuration"]
    assert "querier.query_threads, server.hosts, tenancy" in part.what
    place.write(auth=auth, querier={"query_threads": 7}, limits={"max_line_size": "5KB"})
    again = place.reloader.reload("test")
    assert again.changed == ("limits.max_line_size",)
    assert again.needs_restart == ("querier.query_threads",)
    place.file.write_text("a: [")
    assert place.reloader.reload("test").needs_restart == ("querier.query_threads",)


def test_secrets_are_named_and_never_shown(place: Place) -> None:
    token = new_token()
    given = {"name": "x", "token": token.text, "tenants": "*", "scopes": "read"}
    place.write(auth={**auth_of(place), "tokens": [given]})
    outcome = place.reloader.reload("test")
    assert "auth.tokens" in outcome.changed
    assert token.text not in repr(outcome)
    assert token.text not in json.dumps(place.reloader.state())


def test_without_tokens_their_settings_need_a_restart(tmp_path: Path) -> None:
    before = Settings(limits={}, overrides={}, data_dir=tmp_path)
    after = before.model_copy(
        update={"auth": before.auth.model_copy(update={"tokens_file": tmp_path})}
    )
    assert list(changes(before, after)) == ["auth.tokens_file"]
    server = build(before)
    try:
        one = Reloader(server=server, certificates=None, load=lambda: after, in_force=before)
        assert one.reload("test").needs_restart == ("auth.tokens_file",)
    finally:
        server.stop()


def test_other_certificates(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first, second = (make_certificates(folder) for folder in folders)
    tls = Settings(limits={}, overrides={}).server.tls
    one = tls.model_copy(update={"cert_file": first.cert, "key_file": first.key})
    certificates = Certificates(one)
    before = certificates._pair
    use = certificates.prepared(
        one.model_copy(update={"cert_file": second.cert, "key_file": second.key})
    )
    assert certificates._pair is before
    use()
    assert certificates._pair.chain == second.cert.read_bytes()
    wrong = one.model_copy(update={"cert_file": second.cert, "key_file": first.key})
    with pytest.raises(CertificateError):
        certificates.prepared(wrong)
    assert certificates._pair.chain == second.cert.read_bytes()


@pytest.mark.slow
def test_a_real_server_hears_signals_and_requests(tmp_path: Path) -> None:
    config = tmp_path / "narfi.yaml"
    config.write_text("limits: {max_line_size: 1KB}\n")
    running = start(tmp_path / "data", config, tmp_path / "log")
    try:
        config.write_text("limits: {max_line_size: 2KB}\nquerier: {query_threads: 7}\n")
        assert reload(running) == (
            200,
            "success",
            ["limits.max_line_size"],
            ["querier.query_threads"],
        )
        assert "max_line_size: 2KB" in get(running, "/config")
        first, second = (request_id(running) for _ in range(2))
        config.write_text("log: {requests: all}\n")
        assert reload(running)[2] == ["limits.max_line_size", "log.requests"]
        third = request_id(running)
        until(lambda: any(third in line for line in whole_lines(tmp_path / "log")))
        told = "".join(whole_lines(tmp_path / "log"))
        assert not [one for one in (first, second) if one in told]
        config.write_text("limits: {max_line_size: ten}\n")
        code, status, *_ = reload(running)
        assert (code, status) == (400, "failed")
        config.write_text("limits: {max_line_size: 4KB}\n")
        os.kill(running.process.pid, signal.SIGHUP)
        until(lambda: "max_line_size: 4KB" in get(running, "/config"))
        assert "narfi_config_last_reload_successful 1.0" in get(running, "/metrics")
        told = json.loads(get(running, "/narfi/api/v1/status"))["configuration"]
        assert told["last_reload"]["by"] == "signal SIGHUP"
    finally:
        assert stop(running) == 0


def request_id(running: Running) -> str:
    """Of a request that is well."""
    with urllib.request.urlopen(f"{running.url}/loki/api/v1/labels", timeout=60) as answer:
        return str(answer.headers["X-Request-Id"])


def until(there: Callable[[], bool]) -> None:
    """Wait, for a minute at most."""
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end
        time.sleep(0.1)


def get(running: Running, path: str) -> str:
    """The body."""
    with urllib.request.urlopen(running.url + path, timeout=60) as answer:
        return str(answer.read().decode())


def reload(running: Running) -> tuple[int, str, list[str], list[str]]:
    """Status, and what the answer says."""
    request = urllib.request.Request(f"{running.url}/-/reload", b"", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            body, code = json.load(answer), int(answer.status)
    except urllib.error.HTTPError as error:
        body, code = json.load(error), error.code
    return code, body["status"], body["changed"], body["needs_restart"]
