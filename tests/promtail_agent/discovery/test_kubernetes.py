"""Are the pods of this node known, whatever happens to the API? Against a server that speaks it."""

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from narfi.core.relabel import RelabelRule
from promtail_agent.discovery import kubernetes_access
from promtail_agent.discovery.kubernetes import KubernetesDiscovery, KubernetesSdConfig
from promtail_agent.discovery.kubernetes_pods import pod_targets
from promtail_agent.errors import ConfigError
from promtail_agent.targets.files import file_target
from tests.promtail_agent.discovery.kubernetes_api import KubernetesApi, pod

Eventually = Callable[..., None]
Find = Callable[..., KubernetesDiscovery]
META = "__meta_kubernetes_"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """An API server; this is its node-1."""
    monkeypatch.setenv("HOSTNAME", "node-1")
    monkeypatch.setattr("promtail_agent.discovery.kubernetes.MIN_BACKOFF_S", 0.02)
    found = KubernetesApi()
    yield found
    found.close()


@pytest.fixture
def find(api: KubernetesApi) -> Iterator[Find]:
    """Starts discoveries."""
    running: list[KubernetesDiscovery] = []

    def start(**config: Any) -> KubernetesDiscovery:
        settings = {"role": "pod", "api_server": api.url, **config}
        found = KubernetesDiscovery(KubernetesSdConfig.model_validate(settings))
        running.append(found)
        found.start()
        return found

    yield start
    for one in running:
        one.close()


def names(discovery: KubernetesDiscovery) -> list[str]:
    """Pods of its targets."""
    return sorted(target[f"{META}pod_name"] for target in discovery.targets())


def test_pods_of_this_node_come_change_and_go(
    api: KubernetesApi, find: Find, eventually: Eventually
) -> None:
    api.put(pod("a"))
    api.put(pod("elsewhere", node="node-2"))
    found = find()
    eventually(lambda: names(found) == ["a"])
    api.put(pod("b"))
    api.put(pod("elsewhere-too", node="node-2"))
    eventually(lambda: names(found) == ["a", "b"])
    changed = pod("b", labels={"app": "b", "tier": "new"})
    api.put(changed)
    eventually(lambda: [t.get(f"{META}pod_label_tier") for t in found.targets()] == [None, "new"])
    api.delete("uid-a")
    eventually(lambda: names(found) == ["b"])
    assert api.lists == 1
    assert api.asked[0] == (
        "/api/v1/pods",
        {"fieldSelector": "spec.nodeName=node-1", "limit": "500"},
    )
    assert api.asked[1][1]["allowWatchBookmarks"]


def test_lists_come_in_pages(api: KubernetesApi, find: Find, eventually: Eventually) -> None:
    for number in range(7):
        api.put(pod(f"p{number}"))
    api.page = 3
    found = find()
    eventually(lambda: len(found.targets()) == 7)
    assert [query.get("continue") for _, query in api.asked[:3]] == [None, "3", "6"]


def test_a_broken_watch_goes_on_where_it_was(
    api: KubernetesApi, find: Find, eventually: Eventually
) -> None:
    found = find()
    eventually(lambda: len(api.watches) == 1)
    api.put(pod("a"))
    eventually(lambda: names(found) == ["a"])
    api.cut_watches()
    eventually(lambda: len(api.watches) == 2)
    api.put(pod("b"))
    eventually(lambda: names(found) == ["a", "b"])
    assert api.watches == ["100", "101"]
    assert api.lists == 1


def test_bookmarks_move_the_version_on(
    api: KubernetesApi, find: Find, eventually: Eventually
) -> None:
    find()
    eventually(lambda: len(api.watches) == 1)
    api.bookmark()
    api.cut_watches()
    eventually(lambda: len(api.watches) >= 2)

    def is_known() -> bool:
        """The bookmark may be lost with a connection; then the next watch gets it."""
        if "110" not in api.watches:
            time.sleep(0.5)
            api.cut_watches()
        return "110" in api.watches

    eventually(is_known)
    assert api.lists == 1


def test_a_version_that_is_gone_lists_anew(
    api: KubernetesApi, find: Find, eventually: Eventually
) -> None:
    api.put(pod("a"))
    found = find()
    eventually(lambda: names(found) == ["a"])
    eventually(lambda: len(api.watches) == 1)
    api.delete("uid-a")
    api.put(pod("b"))
    api.compact()
    api.cut_watches()
    eventually(lambda: names(found) == ["b"])
    eventually(lambda: api.lists == 2)


def test_gone_as_an_event_lists_anew(
    api: KubernetesApi, find: Find, eventually: Eventually
) -> None:
    found = find()
    eventually(lambda: len(api.watches) == 1)
    api.fail_watches(410)
    eventually(lambda: api.lists == 2)
    api.put(pod("a"))
    eventually(lambda: names(found) == ["a"])


def test_targets_stay_while_the_api_fails(
    api: KubernetesApi, find: Find, eventually: Eventually
) -> None:
    api.put(pod("a"))
    found = find()
    eventually(lambda: names(found) == ["a"])
    before = found.targets()
    api.refuse_lists, api.refuse_watches = 3, 2
    api.cut_watches()
    eventually(lambda: api.refuse_lists == 0, 20)
    assert found.targets() == before
    api.put(pod("b"))
    eventually(lambda: names(found) == ["a", "b"])


def test_a_rotated_token_is_used(
    api: KubernetesApi, find: Find, eventually: Eventually, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("one")
    api.token = "one"
    api.put(pod("a"))
    found = find(bearer_token_file=str(token))
    eventually(lambda: names(found) == ["a"])
    api.token = "two"
    token.write_text("two")
    api.cut_watches()
    api.put(pod("b"))
    eventually(lambda: names(found) == ["a", "b"])


def test_namespaces_and_selectors(api: KubernetesApi, find: Find, eventually: Eventually) -> None:
    api.put(pod("a", namespace="one"))
    api.put(pod("b", namespace="two"))
    api.put(pod("c", namespace="three"))
    of_two = find(namespaces={"names": ["one", "two"]})
    eventually(lambda: names(of_two) == ["a", "b"])
    selectors = [{"role": "pod", "label": "app=c", "field": "status.phase=Running"}]
    of_label = find(selectors=selectors)
    eventually(lambda: names(of_label) == ["c"])
    api.put(pod("d", labels={"app": "c"}))
    eventually(lambda: names(of_label) == ["c", "d"])


def test_closing_does_not_wait_for_the_watch(
    api: KubernetesApi, find: Find, eventually: Eventually
) -> None:
    import time

    found = find()
    eventually(lambda: len(api.watches) == 1)
    begin_s = time.monotonic()
    found.close()
    assert time.monotonic() - begin_s < 8  # the watch takes ten seconds


# Meta labels


def test_meta_labels_of_a_pod() -> None:
    made = pod(
        "api-7d4f9-x2",
        labels={"app.kubernetes.io/name": "api", "pod-template-hash": "7d4f9"},
        annotations={"kubernetes.io/config.hash": "h"},
        owners=[{"kind": "ReplicaSet", "name": "api-7d4f9", "controller": True}],
        containers=[
            {"name": "main", "image": "img:1", "ports": [{"name": "http", "containerPort": 80}]},
            {"name": "side", "image": "img:2"},
        ],
        init=[{"name": "setup", "image": "img:3"}],
    )
    targets = {t[f"{META}pod_container_name"]: t for t in pod_targets(made)}
    assert set(targets) == {"main", "side", "setup"}
    main = targets["main"]
    assert main == {
        "__address__": "10.0.0.7:80",
        f"{META}namespace": "shop",
        f"{META}pod_name": "api-7d4f9-x2",
        f"{META}pod_uid": "uid-api-7d4f9-x2",
        f"{META}pod_ip": "10.0.0.7",
        f"{META}pod_host_ip": "192.168.0.1",
        f"{META}pod_node_name": "node-1",
        f"{META}pod_phase": "Running",
        f"{META}pod_ready": "true",
        f"{META}pod_controller_kind": "ReplicaSet",
        f"{META}pod_controller_name": "api-7d4f9",
        f"{META}pod_deployment_name": "api",
        f"{META}pod_label_app_kubernetes_io_name": "api",
        f"{META}pod_labelpresent_app_kubernetes_io_name": "true",
        f"{META}pod_label_pod_template_hash": "7d4f9",
        f"{META}pod_labelpresent_pod_template_hash": "true",
        f"{META}pod_annotation_kubernetes_io_config_hash": "h",
        f"{META}pod_annotationpresent_kubernetes_io_config_hash": "true",
        f"{META}pod_container_name": "main",
        f"{META}pod_container_id": "containerd://abc",
        f"{META}pod_container_image": "img:1",
        f"{META}pod_container_init": "false",
        f"{META}pod_container_port_name": "http",
        f"{META}pod_container_port_number": "80",
        f"{META}pod_container_port_protocol": "TCP",
    }
    assert targets["side"]["__address__"] == "10.0.0.7"
    assert targets["setup"][f"{META}pod_container_init"] == "true"


def test_jobs_and_readiness() -> None:
    owners = [{"kind": "Job", "name": "backup-29000000", "controller": True}]
    (target,) = pod_targets(pod("x", owners=owners, conditions=[]))
    assert target[f"{META}pod_job_name"] == "backup-29000000"
    assert target[f"{META}pod_cronjob_name"] == "backup"
    assert target[f"{META}pod_ready"] == "unknown"


def test_a_pod_without_an_address_gives_nothing() -> None:
    assert pod_targets(pod("x", ip="")) == []
    (target,) = pod_targets(
        pod("x", ip="fd00::7", containers=[{"name": "c", "ports": [{"containerPort": 8}]}])
    )
    assert target["__address__"] == "[fd00::7]:8"


def test_the_standard_path_convention() -> None:
    rules = yaml.safe_load(f"""
- source_labels: [{META}pod_node_name]
  target_label: __host__
- {{action: labelmap, regex: {META}pod_label_(.+)}}
- {{source_labels: [{META}namespace], target_label: namespace}}
- source_labels: [{META}pod_uid, {META}pod_container_name]
  separator: /
  replacement: /var/log/pods/*$1/*.log
  target_label: __path__
""")
    (labels,) = pod_targets(pod("api", uid="0a1b"))
    target, reason = file_target(labels, [RelabelRule.model_validate(rule) for rule in rules])
    assert reason == "wrong_host"
    import os

    before = os.environ.get("HOSTNAME")
    os.environ["HOSTNAME"] = "node-1"
    try:
        target, reason = file_target(labels, [RelabelRule.model_validate(rule) for rule in rules])
    finally:
        os.environ.pop("HOSTNAME") if before is None else os.environ.update(HOSTNAME=before)
    assert target is not None
    assert target.pattern == "/var/log/pods/*0a1b/main/*.log"
    assert target.labels == (("app", "api"), ("namespace", "shop"))


# Ways to an API


def kubeconfig(folder: Path, server: str, user: dict[str, Any]) -> Path:
    """A kubeconfig of one cluster."""
    data = base64.b64encode(b"not a certificate").decode()
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "ns"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": server}},
            {"name": "other", "cluster": {"server": "x", "certificate-authority-data": data}},
        ],
        "users": [{"name": "u", "user": user}],
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    return file


def test_a_kubeconfig(
    api: KubernetesApi, find: Find, eventually: Eventually, tmp_path: Path
) -> None:
    api.token = "of the user"
    api.put(pod("a", namespace="ns"))
    api.put(pod("b", namespace="other"))
    file = kubeconfig(tmp_path, api.url, {"token": "of the user"})
    found = find(api_server="", kubeconfig_file=str(file), namespaces={"own_namespace": True})
    eventually(lambda: names(found) == ["a"])


def test_the_service_account_of_a_pod(
    api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificates: Any
) -> None:
    monkeypatch.setattr(kubernetes_access, "SERVICE_ACCOUNT", tmp_path)
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_bytes(certificates.authority.read_bytes())
    (tmp_path / "namespace").write_text("agents\n")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    config = KubernetesSdConfig.model_validate({"role": "pod"})
    access = kubernetes_access.find_access("", "", config)
    assert access.server == "https://[fd00::1]:443"
    assert access.namespace == "agents"
    assert access.settings.bearer_token_file == str(tmp_path / "token")
    assert access.settings.tls_config.ca_file == str(tmp_path / "ca.crt")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"role": "service"}, "role service is not supported"),
        ({"role": "pod", "selectors": [{"role": "node"}]}, "only selectors of role pod"),
        ({"role": "pod", "api_server": "x", "nope": 1}, "nope"),
    ],
)
def test_configurations_that_are_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        KubernetesSdConfig.model_validate(config)


def test_no_way_to_an_api_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for config, told in (
        ({"role": "pod"}, "needs to run in a pod"),
        ({"role": "pod", "kubeconfig_file": str(tmp_path / "none")}, "cannot be used"),
    ):
        with pytest.raises(ConfigError, match=told):
            KubernetesDiscovery(KubernetesSdConfig.model_validate(config))
