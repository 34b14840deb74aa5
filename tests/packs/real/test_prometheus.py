"""Does the prometheus pack tell what a real Prometheus does, and what is wrong with it?"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.server import free_port
from tests.packs.real.upstream import Page, upstream
from tests.packs.real.watching import Program, Watched, eventually, status

TWICE = Page(b"# TYPE load gauge\nload 1 1000000000000\nload 2 1000000000000\n")
AMBIGUOUS = 'up * on() {__name__=~"up|scrape_duration_seconds"}'


class _Configuration:
    """The file that Prometheus reads anew when it is told to."""

    def __init__(self, folder: Path, port: int) -> None:
        self._file, self._rules, self._port = (
            folder / "prometheus.json",
            folder / "rules.json",
            port,
        )
        self._sections: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(self._rules)],
            "scrape_configs": [self.scrape("self", port)],
        }
        self.rules(["up == 1"])
        self._write()

    def command(self, binary: str, data: Path) -> list[str]:
        listen = f"--web.listen-address=127.0.0.1:{self._port}"
        where = [f"--config.file={self._file}", f"--storage.tsdb.path={data}", listen]
        soon = ["--rules.alert.resend-delay=1s", "--storage.remote.flush-deadline=1s"]
        return [binary, *where, *soon, "--web.enable-lifecycle"]

    @staticmethod
    def scrape(name: str, port: int) -> dict[str, Any]:
        return {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}

    def rules(self, expressions: list[str]) -> None:
        rules = [{"record": f"r{n}", "expr": one} for n, one in enumerate(expressions)]
        self._rules.write_text(json.dumps({"groups": [{"name": "own", "rules": rules}]}))

    def alert(self, expression: str) -> None:
        rule = {"alert": "Always", "expr": expression}
        self._rules.write_text(json.dumps({"groups": [{"name": "own", "rules": [rule]}]}))

    def change(self, **sections: Any) -> None:
        self._sections |= sections
        self._write()
        assert status(f"http://127.0.0.1:{self._port}/-/reload", "POST") == 200

    def _write(self) -> None:
        self._file.write_text(json.dumps(self._sections))


def test_prometheus(
    program: Callable[[str], str], watch: Callable[[str], Watched], tmp_path: Path
) -> None:
    port, scraped, nobody = free_port(), free_port(), free_port()
    config, log = _Configuration(tmp_path, port), tmp_path / "prometheus.log"
    command, pack = config.command(program("prometheus"), tmp_path / "data"), watch("prometheus")
    with (
        upstream(scraped, {"/metrics": TWICE}),
        Program(command=command, log=log) as prometheus,
        pack.following(tmp_path, {"prometheus": log}),
    ):
        prometheus.wait(f"http://127.0.0.1:{port}/-/ready")
        eventually(lambda: status(f"http://127.0.0.1:{port}/-/ready"), 200)
        config.change()
        eventually(lambda: len(pack.lines("Configuration")), 2)
        assert status(f"http://127.0.0.1:{port}/api/v1/query?query=up") == 200
        assert pack.lines("What went wrong") == []
        assert pack.alerts() == set()

        config.rules([AMBIGUOUS])
        config.change()
        held = {"PrometheusRulesFail"}
        eventually(pack.alerts, held)
        assert pack.values("Rules that fail", "group").keys() == {("own",)}

        config.change(scrape_configs=[config.scrape("self", port), config.scrape("odd", scraped)])
        held |= {"PrometheusSamplesDropped"}
        eventually(pack.alerts, held)
        assert pack.values("Samples that are dropped", "scrape_pool").keys() == {("odd",)}

        dead = {"url": f"http://127.0.0.1:{nobody}/write", "queue_config": {"min_backoff": "1s"}}
        config.change(remote_write=[dead])
        held |= {"PrometheusRemoteWriteFails"}
        eventually(pack.alerts, held)

        config.alert("vector(1)")
        targets = [{"static_configs": [{"targets": [f"127.0.0.1:{nobody}"]}]}]
        config.change(alerting={"alertmanagers": targets})
        held |= {"PrometheusAlertsNotSent"}
        eventually(pack.alerts, held)
        assert pack.values("Trouble by part", "subsystem").keys() >= {("notifier",), ("remote",)}
