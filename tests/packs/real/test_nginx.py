"""Does the nginx pack tell what a real nginx does, and what is wrong with it?"""

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from benchmarks.server import free_port
from tests.packs.real.upstream import DEFAULT, upstream
from tests.packs.real.watching import Program, Watched, eventually, status

CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 12; }}
http {{
    log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status '
                     '$body_bytes_sent "$http_referer" "$http_user_agent" '
                     '$request_time $upstream_response_time';
    access_log {folder}/access.log timed;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/html;
        location /api/ {{ proxy_pass http://127.0.0.1:{upstream}; }}
    }}
}}
"""
PAGE = b"<p>here</p>\n"


def test_nginx(
    program: Callable[[str], str], watch: Callable[[str], Watched], tmp_path: Path
) -> None:
    port, behind = free_port(), free_port()
    (tmp_path / "html").mkdir()
    (tmp_path / "html/index.html").write_bytes(PAGE)
    config = tmp_path / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(CONFIG.format(user=user, folder=tmp_path, port=port, upstream=behind))
    command = [program("nginx"), "-c", str(config), "-e", str(tmp_path / "error.log")]
    files = {"access": tmp_path / "access.log", "error": tmp_path / "error.log"}
    where = ("127.0.0.1", port)
    url, pack = f"http://127.0.0.1:{port}", watch("nginx")
    with (
        Program(command=command, log=tmp_path / "nginx.out") as nginx,
        pack.following(tmp_path, files),
    ):
        nginx.wait(f"{url}/index.html")
        with upstream(behind):
            asked = [status(f"{url}/index.html") for _ in range(40)]
            asked += [status(f"{url}/api/items?n={n}") for n in range(25)]
            asked += [status(f"{url}/missing") for _ in range(5)]
        assert asked == [200] * 65 + [404] * 5
        eventually(lambda: pack.values("Answers by status", "status"), {("200",): 66, ("404",): 5})
        assert pack.values("Paths that are not there", "path") == {("/missing",): 5}
        assert pack.values("Busiest clients", "remote") == {("127.0.0.1",): 71}
        sizes = pack.values("Bytes by path", "path")
        assert sizes[("/index.html",)] == 41 * len(PAGE)
        assert sum(v for (k,), v in sizes.items() if k.startswith("/api/")) == 25 * len(DEFAULT)
        assert 0 <= pack.values("Slow requests")[()] < 30
        eventually(lambda: len(pack.lines("Errors")), 5)  # files that are not there
        assert pack.answers()["Failing paths"] == 0
        assert pack.alerts() == set()

        assert [status(f"{url}/api/items") for _ in range(30)] == [502] * 30
        eventually(lambda: pack.values("Failing paths", "path"), {("/api/items",): 30})
        eventually(lambda: sum(pack.values("Upstreams that fail", "upstream").values()), 30)
        held = {"NginxServerErrors", "NginxUpstreamDown"}
        assert pack.alerts() == held

        with ExitStack() as clients:
            for _ in range(20):  # idle ones, which nginx closes for others: a warning, no alert
                clients.enter_context(socket.create_connection(where))
            warned = '{log="error"} |= "reusing connections"'
            eventually(lambda: bool(pack.ask(warned)), True)
            assert pack.alerts() == held

        with ExitStack() as clients:
            for _ in range(20):  # begun requests, whose connections cannot be used again
                client = clients.enter_context(socket.create_connection(where))
                with suppress(ConnectionError):
                    client.sendall(b"GET / HTTP/1.1\r\n")
                time.sleep(0.1)  # nginx has read it before the next one comes
            held |= {"NginxFatal", "NginxTooManyOpenFiles"}
            eventually(pack.alerts, held)
