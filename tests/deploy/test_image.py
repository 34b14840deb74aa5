"""Does what the Dockerfile makes work? Its steps are done, and the server is run as a container."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks.server import free_port, start, stop
from tests.deploy.dockerfile import FILE
from tests.deploy.image import USER, Image, build, can_isolate, container
from tests.served import Api

pytestmark = pytest.mark.slow
USER_LINE = "\t".join([str(USER)] * 4)
STRICT = os.environ.get("NARFI_TEST_DEPLOY") == "strict"
"""Packages come from the registry, and all kernels are compiled: `make image`."""


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Built once; not below pytest's folder, which only its user may enter."""
    with tempfile.TemporaryDirectory(prefix="narfi-image-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield build(Path(folder), from_registry=STRICT)


def script(
    name: str, address: str, *arguments: str, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One of the image's two, as its first line says."""
    command = [sys.executable, "-IS", str(FILE.parent / name), *arguments]
    environment = {"NARFI_SERVER__HTTP": address, **(variables or {})}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until HEALTHCHECK's command is content."""
    deadline = time.monotonic() + 180
    while script("ready.py", address).returncode:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def test_nothing_that_builds_is_left(image: Image) -> None:
    assert not image.python.with_name("pip").exists()
    (packages,) = (image.root / "opt/narfi").glob("lib/python*/site-packages")
    names = {found.name.split("-")[0] for found in packages.iterdir()}
    assert "narfi" in names
    assert names.isdisjoint({"pip", "setuptools"})


def test_kernels_are_inside(image: Image) -> None:
    (packages,) = (image.root / "opt/narfi").glob("lib/python*/site-packages")
    assert len(list((packages / "narfi/core/kernels/compiled").iterdir())) > 50


@pytest.mark.skipif(not can_isolate(), reason="this user may not make namespaces")
def test_a_container(image: Image, tmp_path: Path) -> None:
    """As process 1, as another user, with nothing to write to but the data folder."""
    address = f"127.0.0.1:{free_port()}"
    variables = {"NARFI_SERVER__HTTP": address, "NARFI_SERVER__GRPC": f"127.0.0.1:{free_port()}"}
    log = tmp_path / "log"
    api = Api(f"http://{address}", "fake", "")
    assert script("ready.py", address).returncode == 1
    with container(image, ["serve", "--insecure"], variables, log) as first:
        wait_for(address, first.process, log)
        assert "compiled=0" in log.read_text()
        status = Path(f"/proc/{first.pid}/status").read_text()
        assert f"Uid:\t{USER_LINE}" in status
        assert "NSpid:" in status
        assert status.split("NSpid:")[1].split("\n")[0].split()[-1] == "1"
        api.push({"app": "kept"}, "flushed")
        assert script("drain.py", address, "0").stdout == "flushed\n"
        api.push({"app": "kept"}, "in the journal")
        os.kill(first.pid, signal.SIGTERM)
        assert first.process.wait(30) == 0
    with container(image, ["serve", "--insecure"], variables, log) as second:
        wait_for(address, second.process, log)
        found = api.get("/loki/api/v1/query_range", query='{app="kept"}').json
        lines = [line for stream in found["data"]["result"] for _, line in stream["values"]]
        assert sorted(lines) == ["flushed", "in the journal"]
        os.kill(second.pid, signal.SIGTERM)
        assert second.process.wait(30) == 0


def test_probes_and_drain_of_a_server_that_asks_for_tokens(tmp_path: Path) -> None:
    """With the Secret that the chart's README describes: probes need none, drain signs in."""
    for name in ("write", "metrics", "admin"):
        (tmp_path / name).write_text(f"{name}-token-of-at-least-32-characters\n")
    readme = (FILE.parents[1] / "helm/narfi/README.md").read_text()
    tokens = readme.split("```yaml\n# tokens.yaml\n")[1].split("```")[0]
    file = tmp_path / "tokens.yaml"
    file.write_text(tokens.replace("/etc/narfi-tokens", str(tmp_path)))
    settings = {"AUTH__ENABLED": "true", "AUTH__TOKENS_FILE": str(file)}
    server = start(tmp_path / "data", log=tmp_path / "log", settings=settings)
    try:
        address = server.url.removeprefix("http://")
        api = Api(server.url, "fake", "")
        assert api.get("/ready").status == 200  # the chart's probes
        assert api.get("/metrics").status == 401
        assert script("ready.py", address).returncode == 0
        assert script("drain.py", address).stdout == "not flushed: status 401\n"
        own = {"DRAIN_TOKEN_FILE": str(tmp_path / "admin")}
        assert script("drain.py", address, variables=own).stdout == "flushed\n"
        signed = {"Authorization": "Bearer metrics-token-of-at-least-32-characters"}
        assert api.get("/metrics", signed).status == 200
    finally:
        stop(server)


def test_drain_never_fails(tmp_path: Path) -> None:
    """A hook that fails only makes noise: the journal has what was not flushed."""
    done = script("drain.py", f"0.0.0.0:{free_port()}")
    assert done.returncode == 0
    assert done.stdout.startswith("not flushed")


def test_an_open_address_is_asked_on_loopback() -> None:
    assert script("ready.py", f"[::]:{free_port()}").stdout.startswith("no answer")
    assert script("ready.py", "192.0.2.1:1", f"127.0.0.1:{free_port()}").returncode == 1
