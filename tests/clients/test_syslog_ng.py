"""Does syslog-ng's HTTP output reach the push API? (`make programs` unpacks Debian's)"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import free_port
from tests.api.conftest import Api
from tests.clients.test_python_clients import PUSH, found

pytestmark = pytest.mark.skipif(
    shutil.which("syslog-ng") is None, reason="no syslog-ng (make programs)"
)

TIME = '"${R_UNIXTIME}000000000"'
CONFIG = """@version: 3.35
source s_net {{ tcp(ip("127.0.0.1") port({port})); }};
destination d_push {{
  http(
    url("{url}")
    method("POST")
    headers("Content-Type: application/json", "X-Scope-OrgID: {tenant}")
    body('{{"streams": [{{"stream": {{"app": "$PROGRAM"}}, "values": [[{time}, "$MSG"]]}}]}}')
  );
}};
log {{ source(s_net); destination(d_push); }};
"""


@pytest.fixture
def port(api: Api, tmp_path: Path) -> Iterator[int]:
    """A running syslog-ng."""
    number = free_port()
    file = tmp_path / "syslog-ng.conf"
    file.write_text(CONFIG.format(port=number, url=api.url + PUSH, tenant=api.tenant, time=TIME))
    command = ["syslog-ng", "--foreground", "--no-caps", "--stderr", "-f", str(file)]
    for flag, name in (("-R", "persist"), ("-p", "pid"), ("-c", "control")):
        command += [flag, str(tmp_path / name)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    yield number
    process.terminate()
    process.wait(60)


def test_a_message_over_tcp(api: Api, port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                now = time.strftime("%b %e %H:%M:%S")
                connection.sendall(f"<13>{now} web1 shop[9]: sent by syslog-ng\n".encode())
                break
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.1)
    ((labels, line),) = found(api, '{app="shop"}')
    assert line == "sent by syslog-ng"
    assert labels["app"] == "shop"
