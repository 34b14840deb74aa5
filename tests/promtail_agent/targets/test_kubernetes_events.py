"""Is each event of a cluster there once, whatever happens to the API and to the agent?"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from promtail_agent.agent import Agent
from promtail_agent.config_file import load_agent_config
from promtail_agent.errors import ConfigError
from promtail_agent.packs.load import Shelf
from promtail_agent.targets.kubernetes_events import KubernetesEventsConfig, KubernetesEventsSource
from tests.promtail_agent.discovery.kubernetes_api import KubernetesApi

Eventually = Callable[..., None]


def event(name: str, count: int = 1, namespace: str = "ci", **more: Any) -> dict[str, Any]:
    """An event of a pod."""
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "managedFields": [{"manager": "kubelet"}],
        },
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "api-0"},
        "reason": "BackOff",
        "message": "Back-off restarting failed container",
        "source": {"component": "kubelet"},
        "lastTimestamp": "2026-11-20T08:00:05Z",
        "count": count,
        "type": "Warning",
        **more,
    }


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """An API server."""
    monkeypatch.setattr("promtail_agent.targets.kubernetes_events.MIN_BACKOFF_S", 0.02)
    found = KubernetesApi()
    yield found
    found.close()


class Watched:
    """A source, what came of it, and where it may go on."""

    def __init__(self, api: KubernetesApi, cursors: dict[str, str], **more: Any) -> None:
        config = KubernetesEventsConfig.model_validate({"api_server": api.url, **more})
        self.source = KubernetesEventsSource(config, "e", (), lambda p: cursors.get(p, ""))
        self.cursors = cursors
        self.entries: list[tuple[str, int, bytes]] = []
        self.source.start()

    def take(self) -> None:
        """Take what is there, as the reading thread does."""
        for entry in self.source.take():
            self.entries.append((entry.labels.text, entry.ts_ns, entry.line))
        for position in self.source.positions(lambda _path: None):
            self.cursors[position.path] = position.cursor

    def names(self) -> list[str]:
        """Names and counts of the events that came."""
        self.take()
        found = [json.loads(line) for _, _, line in self.entries]
        return [f"{one['metadata']['name']}:{one['count']}" for one in found]


@pytest.fixture
def watch(api: KubernetesApi) -> Iterator[Callable[..., Watched]]:
    """Starts sources."""
    running: list[Watched] = []

    def start(cursors: dict[str, str] | None = None, **more: Any) -> Watched:
        found = Watched(api, {} if cursors is None else cursors, **more)
        running.append(found)
        return found

    yield start
    for one in running:
        one.source.close()


Watch = Callable[..., Watched]


def test_listed_then_watched(api: KubernetesApi, watch: Watch, eventually: Eventually) -> None:
    api.put(event("b"))
    api.put(event("a"))
    api.put(event("b", count=2))
    api.page = 1
    found = watch()
    eventually(lambda: found.names() == ["a:1", "b:2"])  # by version
    api.put(event("c"))
    api.put(event("a", count=3))
    eventually(lambda: found.names() == ["a:1", "b:2", "c:1", "a:3"])
    api.delete("uid-c")
    api.put(event("d"))
    eventually(lambda: found.names()[-1] == "d:1")
    assert len(found.names()) == 5
    assert api.asked[0][0] == "/api/v1/events"
    labels, ts_ns, line = found.entries[0]
    assert labels == '{component="events", service_name="kubernetes"}'
    assert ts_ns == 1795161605 * 10**9
    assert b"managedFields" not in line


def test_a_broken_watch_loses_and_doubles_nothing(
    api: KubernetesApi, watch: Watch, eventually: Eventually
) -> None:
    found = watch()
    eventually(lambda: len(api.watches) == 1)
    for number in range(5):
        api.put(event(f"e{number}"))
        api.cut_watches()
    eventually(lambda: len(found.names()) == 5)
    api.bookmark()
    api.cut_watches()
    api.put(event("last"))
    eventually(lambda: found.names()[-1] == "last:1")
    assert Counter(found.names()).most_common(1)[0][1] == 1
    assert api.lists == 1


@pytest.mark.parametrize("how", ["answer", "event"])
def test_a_version_that_is_gone_lists_what_is_new(
    api: KubernetesApi, watch: Watch, eventually: Eventually, how: str
) -> None:
    api.put(event("a"))
    found = watch()
    eventually(lambda: found.names() == ["a:1"])
    eventually(lambda: len(api.watches) == 1)
    if how == "event":
        api.fail_watches(410)
    else:
        api.refuse_watches = 1
        api.cut_watches()
    eventually(lambda: api.lists == 2)
    api.put(event("b"))
    eventually(lambda: found.names() == ["a:1", "b:1"])


def test_a_restart_goes_on_at_its_version(
    api: KubernetesApi, watch: Watch, eventually: Eventually
) -> None:
    api.put(event("a"))
    first = watch()
    eventually(lambda: first.names() == ["a:1"])
    first.source.close()
    api.put(event("b"))
    second = watch(dict(first.cursors))
    eventually(lambda: second.names() == ["b:1"])
    second.source.close()
    api.put(event("c"))
    api.compact()  # its version is gone when it comes back
    third = watch(dict(second.cursors))
    eventually(lambda: third.names() == ["c:1"])


def test_an_event_that_is_read_again_is_the_same_entry(
    api: KubernetesApi, watch: Watch, eventually: Eventually
) -> None:
    api.put(event("a", eventTime="2026-11-20T08:00:05.123456Z", lastTimestamp=None))
    first, second = watch(), watch()
    eventually(lambda: first.names() == second.names() == ["a:1"])
    assert first.entries == second.entries
    assert first.entries[0][1] == 1795161605_123456000


def test_another_cluster_begins_anew(
    api: KubernetesApi, watch: Watch, eventually: Eventually
) -> None:
    api.put(event("a"))
    api.refuse_watches = 1
    found = watch({"cursor-e-all": "999999"})
    eventually(lambda: found.names() == ["a:1"])


def test_namespaces_have_their_own_cursors(
    api: KubernetesApi, watch: Watch, eventually: Eventually
) -> None:
    api.put(event("a", namespace="ci"))
    api.put(event("b", namespace="shop"))
    api.put(event("x", namespace="other"))
    found = watch(namespaces=["ci", "shop"])
    eventually(lambda: sorted(found.names()) == ["a:1", "b:1"])
    eventually(lambda: found.cursors == {"cursor-e-ci": "101", "cursor-e-shop": "102"})


def test_an_api_that_fails_is_asked_again(
    api: KubernetesApi, watch: Watch, eventually: Eventually
) -> None:
    api.refuse_lists = 2
    api.put(event("a"))
    found = watch()
    eventually(lambda: found.names() == ["a:1"])


def test_without_a_way_to_an_api() -> None:
    with pytest.raises(ConfigError, match="needs to run in a pod"):
        KubernetesEventsSource(KubernetesEventsConfig(), "e", (), lambda _path: "")


def test_an_agent_with_the_pack(
    api: KubernetesApi, server: Any, tmp_path: Path, eventually: Eventually
) -> None:
    """Stopped and started between: each event once, with the pack's labels and fields."""
    config = {
        "server": {"disable": True},
        "clients": [{"url": server.url, "batchwait": "50ms"}],
        "positions": {"filename": str(tmp_path / "positions.yaml")},
        "packs": ["kubernetes"],
        "scrape_configs": [{"job_name": "e", "kubernetes_events": {"api_server": api.url}}],
    }
    file = tmp_path / "agent.yaml"
    file.write_text(yaml.safe_dump(config))
    for number in range(3):
        api.put(event(f"e{number}"))
        agent = Agent(load_agent_config(file))
        agent.start()
        waiter = threading.Thread(target=agent.wait, args=(stop := threading.Event(),))
        waiter.start()
        wanted = number + 1
        eventually(lambda wanted=wanted: len(server.entries) == wanted)
        time.sleep(0.1)
        stop.set()
        waiter.join()
        agent.stop()
    labels = {entry[0] for entry in server.entries}
    assert labels == {'{component="events", service_name="kubernetes", type="Warning"}'}
    assert len({entry[2] for entry in server.entries}) == 3
    assert ("object_name", "api-0") in server.metadata[0]
    assert Shelf.of_environment({}).find("kubernetes").labels["type"] == ("Normal", "Warning")
