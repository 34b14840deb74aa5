"""Do pods of several systems get their packs in one job, discovered from an API?"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from promtail_agent.agent import Agent
from promtail_agent.config_file import load_agent_config
from promtail_agent.packs.pods import PODS_JOB
from tests.promtail_agent.discovery.kubernetes_api import KubernetesApi, pod

Eventually = Callable[..., None]
SECOND = "2026-11-20T08:00:00Z"
STAMP = "2026-11-20T08:00:01.000000001Z stdout F "


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """An API server; this is its node-1."""
    monkeypatch.setenv("HOSTNAME", "node-1")
    found = KubernetesApi()
    yield found
    found.close()


def test_one_job_for_all(
    api: KubernetesApi, server: Any, tmp_path: Path, eventually: Eventually
) -> None:
    part = "app.kubernetes.io/part-of"
    component = "app.kubernetes.io/component"
    pods = {
        "argo": ({part: "argocd", component: "server"}, '{"application":"shop","level":"info"}'),
        "core": (
            {"app": "harbor", "component": "core"},
            "2026-11-20T08:00:00Z [INFO] [/a.go:1]: x",
        ),
        "own": ({"app": "own"}, '{"application":"mine"}'),
    }
    for name, (labels, line) in pods.items():
        api.put(pod(name, labels=labels))
        folder = tmp_path / f"shop_{name}_uid-{name}" / "main"
        folder.mkdir(parents=True)
        (folder / "0.log").write_text(f"{STAMP}{line}\n")
    job = yaml.safe_load(PODS_JOB.replace("/var/log/pods", str(tmp_path)))
    job["kubernetes_sd_configs"] = [{"role": "pod", "api_server": api.url}]
    config = {
        "server": {"disable": True},
        "clients": [{"url": server.url, "batchwait": "50ms"}],
        "positions": {"filename": str(tmp_path / "positions.yaml")},
        "packs": ["argocd", "harbor", "kubernetes"],
        "scrape_configs": [job],
    }
    file = tmp_path / "agent.yaml"
    file.write_text(yaml.safe_dump(config))
    agent = Agent(load_agent_config(file))
    agent.start()
    stop = threading.Event()
    waiter = threading.Thread(target=agent.wait, args=(stop,))
    waiter.start()
    eventually(lambda: len(server.entries) == 3, 20)
    stop.set()
    waiter.join()
    agent.stop()
    found = {
        entry[2]: (entry[0], dict(m))
        for entry, m in zip(server.entries, server.metadata, strict=True)
    }
    argo, core, own = (found[line] for _, line in pods.values())
    assert argo[0] == _text("argo", "server", "argo")
    assert argo[1].items() >= {"application": "shop", "pod": "argo", "node": "node-1"}.items()
    assert core[0] == _text("harbor", "core", "harbor")
    assert core[1]["caller"] == "/a.go:1"
    assert own[0] == _text("own", "main", "own")
    assert "application" not in own[1]


def _text(app: str, component: str, service: str) -> str:
    """Labels of an entry: few, and none that is new with every pod."""
    return (
        f'{{app="{app}", component="{component}", container="main", job="shop/{app}", '
        f'namespace="shop", service_name="{service}", stream="stdout"}}'
    )
