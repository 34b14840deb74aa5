"""Does the apache pack tell what a real httpd does, and what is wrong with it?"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks.server import free_port
from tests.packs.real.upstream import Page, upstream
from tests.packs.real.watching import Program, Watched, eventually, status

MODULES = ("mpm_event", "authz_core", "dir", "proxy", "proxy_http")
CONFIG = """
{modules}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/httpd.pid
DefaultRuntimeDir {folder}
StartServers 1
ThreadsPerChild 2
ServerLimit 1
MinSpareThreads 1
MaxSpareThreads 2
MaxRequestWorkers 2
ErrorLog {folder}/error.log
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\"" combined
CustomLog {folder}/access.log combined
DocumentRoot {folder}/html
<Directory {folder}/html>
    Require all granted
</Directory>
ProxyPass /api/ http://127.0.0.1:{behind}/api/ retry=0
"""


def test_apache(
    program: Callable[[str], str], watch: Callable[[str], Watched], tmp_path: Path
) -> None:
    port, behind, pack = free_port(), free_port(), watch("apache")
    binary = program("apache2")
    shipped = Path(binary).parents[1] / "root/usr/lib/apache2/modules"
    modules = "\n".join(f"LoadModule {m}_module {shipped}/mod_{m}.so" for m in MODULES)
    (tmp_path / "html").mkdir()
    (tmp_path / "html/index.html").write_text("here\n")
    config = tmp_path / "httpd.conf"
    config.write_text(CONFIG.format(modules=modules, folder=tmp_path, port=port, behind=behind))
    command = [binary, "-D", "FOREGROUND", "-f", str(config)]
    files = {"access": tmp_path / "access.log", "error": tmp_path / "error.log"}
    url = f"http://127.0.0.1:{port}"

    def ends() -> dict[tuple[str, ...], float]:
        return pack.values("Answers by status", "status")

    with ExitStack() as running, ExitStack() as behind_it:
        behind_it.enter_context(upstream(behind, {"/api/slow": Page(b"late", seconds=3)}))
        httpd = running.enter_context(Program(command=command, log=tmp_path / "httpd.out"))
        running.enter_context(pack.following(tmp_path, files))
        httpd.wait(f"{url}/index.html")
        asked = [status(f"{url}/index.html") for _ in range(29)]
        asked += [status(f"{url}/missing") for _ in range(5)]
        assert asked == [200] * 29 + [404] * 5
        eventually(ends, {("200",): 30, ("404",): 5})
        assert pack.answers()["Failing paths"] == 0
        assert pack.alerts() == set()

        with ThreadPoolExecutor(4) as many:
            assert list(many.map(status, [f"{url}/api/slow"] * 4)) == [200] * 4
        held = {"ApacheNoWorkers"}
        eventually(pack.alerts, held)

        behind_it.close()
        assert [status(f"{url}/api/items") for _ in range(30)] == [503] * 30
        held |= {"ApacheServerErrors"}
        eventually(pack.alerts, held)
        assert pack.values("Failing paths", "path") == {("/api/items",): 30}
