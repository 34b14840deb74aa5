"""Do the manifests fit Kubernetes' schemas, hang together, and work: pods in, entries out?

The configurations in `deploy/` are run against a Kubernetes API and a push server of the tests.
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from narfi.cli.main import app
from promtail_agent.agent import Agent
from promtail_agent.config_file import load_agent_config
from tests.promtail_agent.conftest import PushServer, wait_until
from tests.promtail_agent.discovery.kubernetes_api import KubernetesApi, pod

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFEST = DEPLOY / "kubernetes/agent.yaml"
EXAMPLES = sorted((DEPLOY / "examples").glob("*.yaml"))
DOCUMENTS = list(yaml.safe_load_all(MANIFEST.read_text()))
BY_KIND: dict[str, Any] = {document["kind"]: document for document in DOCUMENTS}
EVENTS: dict[str, Any] = {
    document["kind"]: document
    for document in yaml.safe_load_all((DEPLOY / "kubernetes/events.yaml").read_text())
}
SPEC = BY_KIND["DaemonSet"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("kind", sorted(BY_KIND))
@pytest.mark.parametrize("version", ["1.25", "latest"])
def test_kubernetes_schemas(kind: str, version: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the validator's own imports
        import kubernetes_validate

        wanted = kubernetes_validate.latest_version() if version == "latest" else version
        kubernetes_validate.validate(BY_KIND[kind], wanted, strict=True)


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_kubernetes_schemas_of_the_reader_of_events(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import kubernetes_validate

        kubernetes_validate.validate(EVENTS[kind], "1.25", strict=True)


def test_the_reader_of_events_may_read_events_alone(tmp_path: Path) -> None:
    """At work before a real API server: `make kubernetes`."""
    role, binding = EVENTS["ClusterRole"], EVENTS["ClusterRoleBinding"]
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]}
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    account = EVENTS["ServiceAccount"]["metadata"]["name"]
    assert [one["name"] for one in binding["subjects"]] == [account]
    spec = EVENTS["Deployment"]["spec"]
    assert spec["replicas"] == 1
    assert spec["template"]["spec"]["serviceAccountName"] == account
    file = tmp_path / "agent.yaml"
    file.write_text(EVENTS["ConfigMap"]["data"]["agent.yaml"])
    (job,) = load_agent_config(file).scrape_configs
    assert job.kubernetes_events is not None


def test_a_misspelt_key_would_be_found() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import kubernetes_validate

        wrong = {**BY_KIND["ConfigMap"], "dta": {}}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, "1.25", strict=True)


def test_everything_that_is_mounted_or_named_is_there() -> None:
    (container,) = SPEC["containers"]
    volumes = {volume["name"]: volume for volume in SPEC["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert volumes["config"]["configMap"]["name"] == BY_KIND["ConfigMap"]["metadata"]["name"]
    labels = BY_KIND["DaemonSet"]["spec"]["template"]["metadata"]["labels"]
    assert labels == BY_KIND["DaemonSet"]["spec"]["selector"]["matchLabels"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    config = yaml.safe_load(BY_KIND["ConfigMap"]["data"]["agent.yaml"])
    assert config["server"]["http_listen_port"] in ports.values()
    for document in DOCUMENTS:
        if document["kind"] not in ("Namespace", "ClusterRole", "ClusterRoleBinding"):
            assert document["metadata"]["namespace"] == "narfi"


def test_state_is_on_the_node_and_writable() -> None:
    (container,) = SPEC["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    writable = {path for path, mount in mounts.items() if not mount.get("readOnly")}
    assert writable == {"/var/lib/narfi-agent"}
    config = yaml.safe_load(BY_KIND["ConfigMap"]["data"]["agent.yaml"])
    for path in (config["positions"]["filename"], config["spool"]["directory"]):
        assert Path(path).parent == Path("/var/lib/narfi-agent")
    volumes = {volume["name"]: volume for volume in SPEC["volumes"]}
    host = volumes[mounts["/var/lib/narfi-agent"]["name"]]["hostPath"]
    assert not host["path"].startswith(("/run", "/tmp"))  # would be gone after a restart


def test_security_tolerations_and_resources() -> None:
    (container,) = SPEC["containers"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"]["drop"] == ["ALL"]
    assert {t["effect"] for t in SPEC["tolerations"]} == {"NoSchedule", "NoExecute"}
    assert all(t["operator"] == "Exists" for t in SPEC["tolerations"])
    assert container["resources"]["limits"]["memory"] == "256Mi"  # 150 MB are promised
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


def test_rbac_allows_what_discovery_asks_and_no_more() -> None:
    binding, role = BY_KIND["ClusterRoleBinding"], BY_KIND["ClusterRole"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    account = BY_KIND["ServiceAccount"]["metadata"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    ]
    assert SPEC["serviceAccountName"] == account["name"]
    expected = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    assert role["rules"] == [expected]


def test_the_command_line_exists() -> None:
    (container,) = SPEC["containers"]
    assert container["args"][0] == "agent"  # behind the image's entry point
    shown = CliRunner().invoke(app, ["agent", "--help"], terminal_width=200).output
    assert [a for a in container["args"][1:] if a.startswith("--") and a not in shown] == []
    (variable,) = container["env"]
    assert variable["name"] == "HOSTNAME"
    assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples_are_accepted(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTNAME", "node-1")
    assert load_agent_config(file, expand_env=True).scrape_configs


# At work


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """The API of a cluster; this is its node-1."""
    monkeypatch.setenv("HOSTNAME", "node-1")
    found = KubernetesApi()
    yield found
    found.close()


@pytest.fixture
def server() -> Iterator[PushServer]:
    """Who takes the entries."""
    found = PushServer()
    yield found
    found.close()


def here(config: dict[str, Any], folder: Path, api: KubernetesApi, url: str) -> Path:
    """The file of a configuration whose job of pods reads this folder and this API."""
    text = yaml.safe_dump({**config, "scrape_configs": config["scrape_configs"][:1]})
    text = text.replace("/var/log/pods", f"{folder}/pods")
    changed = yaml.safe_load(text)
    changed["server"] = {"disable": True}
    changed["clients"] = [{**changed["clients"][0], "url": url, "batchwait": "50ms"}]
    changed["positions"] = {"filename": f"{folder}/positions.yaml"}
    if "spool" in changed:
        changed["spool"]["directory"] = f"{folder}/spool"
    (discovery,) = changed["scrape_configs"][0]["kubernetes_sd_configs"]
    discovery["api_server"] = api.url
    file = folder / "agent.yaml"
    file.write_text(yaml.safe_dump(changed))
    return file


CONFIGURATIONS: dict[str, Callable[[], Any]] = {
    "daemonset": lambda: yaml.safe_load(BY_KIND["ConfigMap"]["data"]["agent.yaml"]),
    "promtail-compatible": lambda: yaml.safe_load(
        (DEPLOY / "examples/promtail-compatible.yaml").read_text()
    ),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_pods_of_a_node(name: str, api: KubernetesApi, server: PushServer, tmp_path: Path) -> None:
    """A pod that was there, one that comes, a static one; each with its labels."""

    def log(folder: str, container: str, *texts: str) -> None:
        file = tmp_path / "pods" / folder / container / "0.log"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as out:
            out.writelines(f"2025-10-09T08:00:00.5Z stdout F {text}\n" for text in texts)

    owners = [{"kind": "ReplicaSet", "name": "shop-7d4f9c0a1", "controller": True}]
    plain = {"kubernetes.io/x": "y"}
    api.put(pod("shop-7d4f9c0a1-x2", uid="u1", labels=plain, owners=owners))
    api.put(pod("other", uid="u3", node="node-2"))
    log("shop_shop-7d4f9c0a1-x2_u1", "main", "there before")
    log("shop_other_u3", "main", "of another node, by a shared disk")
    agent = Agent(load_agent_config(here(CONFIGURATIONS[name](), tmp_path, api, server.url), True))
    agent.start()
    try:
        wait_until(lambda: "there before" in server.lines(), 20)
        hashed = {"kubernetes.io/config.hash": "cafe"}
        static = pod("etcd-node-1", uid="u4", namespace="kube-system", annotations=hashed)
        api.put(static)
        log("kube-system_etcd-node-1_cafe", "main", "of a static pod")
        api.put(pod("late", uid="u2", labels={"app": "web"}))
        log("shop_late_u2", "main", "came later", "password=secret GET /healthz")
        wait_until(lambda: {"came later", "of a static pod"} <= set(server.lines()), 20)
    finally:
        agent.stop()
    labels = {line: text for text, _, line in server.entries}
    assert not any("another node" in line for line in labels)
    first = labels["there before"]
    for pair in ('app="shop"', 'namespace="shop"', 'job="shop/shop"', 'container="main"'):
        assert pair in first
    assert 'pod="shop-7d4f9c0a1-x2"' in first
    assert 'app="web"' in labels["came later"]
    assert 'namespace="kube-system"' in labels["of a static pod"]
    if name == "promtail-compatible":
        assert not any("healthz" in line for line in labels)  # dropped, as it says
