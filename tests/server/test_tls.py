"""Does the server speak TLS everywhere, take up renewed certificates, and refuse what is no TLS?"""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from structlog.testing import capture_logs
from websockets.sync.client import connect

from benchmarks.server import free_port
from narfi.core.certificate import expires_at
from narfi.core.settings import SettingsError, load_settings
from narfi.core.tls_settings import ServerTlsSettings
from narfi.core.wire.push_encode import encode_push_request
from narfi.server.part_checks import SOON_S, certificate
from narfi.server.tls import CertificateError, Certificates
from tests.servers.certificates import Certificates as Files
from tests.servers.certificates import make_certificates


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Of one authority."""
    return make_certificates(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Of another one."""
    return make_certificates(tmp_path_factory.mktemp("second"))


@dataclass(frozen=True)
class Secured:
    """A server that speaks TLS."""

    url: str
    grpc: str
    folder: Path

    def status(self, files: Files, *, with_cert: bool = True) -> int:
        """Of `/ready`, as somebody sees it who trusts an authority."""
        with httpx.Client(verify=trusting(files, with_cert=with_cert), timeout=30) as client:
            return client.get(f"{self.url}/ready").status_code


def trusting(files: Files, *, with_cert: bool = True) -> ssl.SSLContext:
    """A client's side."""
    context = ssl.create_default_context(cafile=str(files.authority))
    if with_cert:
        context.load_cert_chain(files.client_cert, files.client_key)
    return context


@contextmanager
def serving(folder: Path, files: Files, settings: Mapping[str, str]) -> Iterator[Secured]:
    """A process with copies of the files."""
    folder.mkdir(exist_ok=True)
    shutil.copy(files.cert, folder / "cert")
    shutil.copy(files.key, folder / "key")
    http, rpc = free_port(), free_port()
    command = [sys.executable, "-m", "narfi.cli", "serve", "--data-dir", str(folder / "data")]
    command += ["--http", f"127.0.0.1:{http}", "--grpc", f"127.0.0.1:{rpc}"]
    given = {"CERT_FILE": str(folder / "cert"), "KEY_FILE": str(folder / "key"), **settings}
    environment = os.environ | {f"NARFI_SERVER__TLS__{k}": v for k, v in given.items()}
    with (folder / "log").open("ab") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment)
    found = Secured(f"https://127.0.0.1:{http}", f"127.0.0.1:{rpc}", folder)
    try:
        deadline = time.monotonic() + 180
        while not _is_ready(found, files):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(server: Secured, files: Files) -> bool:
    try:
        return server.status(files) == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[Secured]:
    """Without certificates of clients."""
    with serving(tmp_path_factory.mktemp("tls") / "s", files, {}) as found:
        yield found


def push(channel: grpc.Channel, line: bytes) -> Any:
    """Over gRPC."""
    message = encode_push_request([('{app="tls"}', [(time.time_ns(), line, ())])])
    return channel.unary_unary("/logproto.Pusher/Push")(message, timeout=60)


def credentials(files: Files, *, with_cert: bool = False) -> grpc.ChannelCredentials:
    """A client's side over gRPC."""
    key, chain = (files.client_key.read_bytes(), files.client_cert.read_bytes())
    own = (key, chain) if with_cert else (None, None)
    return grpc.ssl_channel_credentials(files.authority.read_bytes(), *own)


def test_http_sockets_and_grpc(server: Secured, files: Files) -> None:
    with grpc.secure_channel(server.grpc, credentials(files)) as channel:
        assert push(channel, b"over grpc") == b""
    context = trusting(files)
    with httpx.Client(verify=context, base_url=server.url) as client:
        body = {"streams": [{"stream": {"app": "tls"}, "values": [[str(time.time_ns()), "http"]]}]}
        assert client.post("/loki/api/v1/push", json=body).status_code == 204
        answer = client.get("/loki/api/v1/query_range", params={"query": '{app="tls"}'})
        assert len(answer.json()["data"]["result"][0]["values"]) == 2
        large = client.get(
            "/loki/api/v1/query_range", params={"query": '{app="tls"}' + " " * 50000}
        )
        assert large.status_code == 200
    url = server.url.replace("https", "wss") + '/loki/api/v1/tail?query={app="tls"}'
    with connect(url, ssl=context) as tail:
        assert json.loads(tail.recv(timeout=60))["streams"]


def test_who_speaks_no_tls_or_trusts_another_is_not_served(server: Secured, others: Files) -> None:
    plain = server.url.replace("https", "http")
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{plain}/ready", timeout=60)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        server.status(others)
    with (
        grpc.insecure_channel(server.grpc) as channel,
        pytest.raises(grpc.RpcError),
    ):
        push(channel, b"plain")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_that_are_spoken(server: Secured, files: Files, version: ssl.TLSVersion) -> None:
    context = trusting(files)
    context.minimum_version = context.maximum_version = version
    assert httpx.get(f"{server.url}/ready", verify=context).status_code == 200


def test_old_versions_are_not(server: Secured, files: Files) -> None:
    context = trusting(files)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{server.url}/ready", verify=context)


def test_a_client_needs_a_certificate_where_that_is_asked(
    tmp_path: Path, files: Files, others: Files
) -> None:
    settings = {"CLIENT_CA_FILE": str(files.authority)}
    with serving(tmp_path / "s", files, settings) as server:
        for with_cert, client in ((False, files), (True, others)):
            context = ssl.create_default_context(cafile=str(files.authority))
            if with_cert:
                context.load_cert_chain(client.client_cert, client.client_key)
            with pytest.raises(httpx.HTTPError):
                httpx.get(f"{server.url}/ready", verify=context, timeout=60)
        with grpc.secure_channel(server.grpc, credentials(files, with_cert=True)) as channel:
            assert push(channel, b"known") == b""
        with (
            grpc.secure_channel(server.grpc, credentials(files)) as channel,
            pytest.raises(grpc.RpcError),
        ):
            push(channel, b"unknown")


def test_renewed_certificates_are_taken_up_without_a_restart(
    tmp_path: Path, files: Files, others: Files
) -> None:
    with serving(tmp_path / "s", files, {}) as server:
        with httpx.Client(verify=trusting(files)) as before:
            assert before.get(f"{server.url}/ready").status_code == 200
            shutil.copy(others.cert, server.folder / "cert")
            shutil.copy(others.key, server.folder / "key")
            deadline = time.monotonic() + 60
            while not _is_ready(server, others):
                assert time.monotonic() < deadline
                assert before.get(f"{server.url}/ready").status_code == 200  # stays in use
                time.sleep(0.2)
            assert before.get(f"{server.url}/ready").status_code == 200  # is open still
        with grpc.secure_channel(server.grpc, credentials(others)) as channel:
            assert push(channel, b"renewed") == b""


def test_a_certificate_that_is_over_soon_is_told(server: Secured, files: Files) -> None:
    """In the state, in its parts, and as a metric: it is good for two days."""
    ends = expires_at(files.cert.read_bytes())
    with httpx.Client(verify=trusting(files), base_url=server.url) as client:
        told = client.get("/narfi/api/v1/status").json()
        metrics = client.get("/metrics").text
    assert told["certificate"] == {"expires_ns": int(ends) * 10**9}
    (part,) = [one for one in told["parts"] if one["part"] == "certificate"]
    assert part["state"] == "degraded"
    assert re.match(r"the certificate is over in [12] days, at 20\S+Z$", part["what"])
    found = re.search(
        r'^narfi_certificate_expiry_timestamp_seconds\{certificate="server"\} (\S+)$',
        metrics,
        re.MULTILINE,
    )
    assert found is not None
    assert float(found[1]) == ends


@pytest.mark.parametrize(
    ("left_s", "state"),
    [(-1, "failing"), (0, "failing"), (1, "degraded"), (SOON_S - 1, "degraded"), (SOON_S, "ok")],
)
def test_states_of_a_certificate(left_s: float, state: str) -> None:
    assert certificate(10**9 + left_s, 10**18).state == state


def test_probes_of_the_image_speak_tls(server: Secured) -> None:
    deploy = Path(__file__).parents[2] / "deploy/docker"
    address = server.url.removeprefix("https://")
    for cert, status in (("set", 0), ("", 1)):
        environment = os.environ | {"NARFI_SERVER__TLS__CERT_FILE": cert}
        command = [sys.executable, "-IS", str(deploy / "ready.py"), address]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode == status, done.stdout
    environment |= {"NARFI_SERVER__TLS__CERT_FILE": "set", "NARFI_SERVER__HTTP": address}
    command = [sys.executable, "-IS", str(deploy / "drain.py"), "0"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.stdout == b"flushed\n"


def test_who_begins_no_handshake_is_sent_away(server: Secured) -> None:
    host, _, port = server.url.removeprefix("https://").partition(":")
    with socket.create_connection((host, int(port)), timeout=45) as client:
        assert client.recv(1) == b""  # sooner than the libraries' minute


def settings_of(folder: Path, files: Files) -> ServerTlsSettings:
    """Copies that can be changed."""
    shutil.copy(files.cert, folder / "cert")
    shutil.copy(files.key, folder / "key")
    return ServerTlsSettings(cert_file=folder / "cert", key_file=folder / "key")


def test_files_that_do_not_fit_change_nothing(tmp_path: Path, files: Files, others: Files) -> None:
    found = Certificates(settings_of(tmp_path, files))
    before = found.context().current()  # type: ignore[attr-defined]
    for change in (
        lambda: shutil.copy(others.cert, tmp_path / "cert"),  # the key is another's
        lambda: (tmp_path / "cert").write_text("nonsense"),
        lambda: (tmp_path / "cert").unlink(),
    ):
        change()
        with capture_logs() as logs:
            assert not found.refresh()
            assert not found.refresh()
        assert [log["log_level"] for log in logs] == ["error"]
        assert found.context().current() is before  # type: ignore[attr-defined]
    shutil.copy(others.cert, tmp_path / "cert")
    shutil.copy(others.key, tmp_path / "key")
    assert found.refresh()
    assert found.context().current() is not before  # type: ignore[attr-defined]


def test_what_cannot_be_used_is_one_line(tmp_path: Path, files: Files, others: Files) -> None:
    settings = settings_of(tmp_path, files)
    shutil.copy(others.key, tmp_path / "key")
    with pytest.raises(CertificateError, match=r"server\.tls: .*cert"):
        Certificates(settings)
    (tmp_path / "key").unlink()
    with pytest.raises(CertificateError, match="No such file"):
        Certificates(settings)


@pytest.mark.parametrize(
    "tls",
    [{"cert_file": "a"}, {"key_file": "a"}, {"client_ca_file": "a"}],
)
def test_settings_go_together(tls: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"server\.tls: .*need|go together"):
        load_settings(None, {}, {f"server.tls.{key}": value for key, value in tls.items()})


def test_a_key_with_a_password_does_not_ask_for_it(tmp_path: Path, files: Files) -> None:
    settings = settings_of(tmp_path, files)
    command = ["openssl", "ec", "-in", str(files.key), "-aes256", "-passout", "pass:x"]
    subprocess.run([*command, "-out", str(tmp_path / "key")], check=True, capture_output=True)
    with pytest.raises(CertificateError, match="has a password"):
        Certificates(settings)
