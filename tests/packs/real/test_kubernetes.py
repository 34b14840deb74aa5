"""Do the agent and its pack see what a real API server tells: pods, events once, who did what?

The manifests of `deploy/kubernetes` are made in it as they stand, and the agent asks with the
tokens of their accounts.
"""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml

from benchmarks.server import free_port
from tests.packs.real.cluster import READER, Cluster, Json, cluster, path_of
from tests.packs.real.watching import Program, Watched, eventually

DEPLOY = Path(__file__).parents[3] / "deploy/kubernetes"
EVENTS = "/api/v1/namespaces/ci/events"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
NODE = "node-1"


def _manifests(found: Cluster) -> dict[str, Json]:
    """Make everything of both files; configurations of the agent by the name of their map."""
    configs: dict[str, Json] = {}
    for file in ("agent.yaml", "events.yaml"):
        for document in yaml.safe_load_all((DEPLOY / file).read_text()):
            found.make(path_of(document), document)
            if document["kind"] == "ConfigMap":
                name = document["metadata"]["name"]
                configs[name] = yaml.safe_load(document["data"]["agent.yaml"])
    return configs


def _pod(name: str, node: str, labels: dict[str, str], **requests: str) -> Json:
    container = {
        "name": "main",
        "image": "example.test/main:1",
        "resources": {"requests": requests},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ci", "labels": labels},
        "spec": {"nodeName": node, "containers": [container]}
        if node
        else {"containers": [container]},
    }


def _runs(found: Cluster, made: Json) -> None:
    """Say of a pod what its kubelet would."""
    name = made["metadata"]["name"]
    status = {"name": "main", "image": "x", "imageID": "x", "ready": True, "restartCount": 0}
    status |= {"containerID": f"containerd://{name}"}
    patch = {"status": {"phase": "Running", "podIP": "10.0.0.7", "containerStatuses": [status]}}
    path = f"/api/v1/namespaces/ci/pods/{name}/status"
    code, answer = found.ask("PATCH", path, patch, kind="merge-patch+json")
    assert code == 200, answer


def _write(folder: Path, made: Json, *lines: str) -> None:
    about = made["metadata"]
    place = folder / f"{about['namespace']}_{about['name']}_{about['uid']}/main"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "0.log").open("a") as log:
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        for number, line in enumerate(lines):
            log.write(f"{now}.{number:09d}Z stdout F {line}\n")


def _event(name: str, count: int = 1) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "ci"},
        "involvedObject": {"kind": "Pod", "namespace": "ci", "name": "api-0"},
        "reason": "BackOff",
        "message": "Back-off restarting failed container",
        "source": {"component": "kubelet", "host": NODE},
        "lastTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "count": count,
        "type": "Warning",
    }


def _jobs(config: Json, found: Cluster, token: Path, pods: Path) -> list[Json]:
    """The manifest's jobs, with this API server and the folder of pods."""
    text = json.dumps(config["scrape_configs"]).replace("/var/log/pods", str(pods))
    jobs: list[Json] = json.loads(text)
    where = {
        "api_server": found.url,
        "bearer_token_file": str(token),
        "tls_config": {"ca_file": str(found.ca)},
    }
    for job in jobs:
        for section in [job[k] for k in ("kubernetes_events",) if k in job]:
            section.update(where)
        for section in job.get("kubernetes_sd_configs", []):
            section.update(where)
    return jobs


def _kill(agent: Program, positions: Path) -> None:
    """Once it has noted where to go on."""
    eventually(lambda: positions.exists() and "cursor-events" in positions.read_text(), True)
    assert agent.process is not None
    agent.process.send_signal(signal.SIGKILL)
    agent.process.wait()


class Events:
    """Events as they are in the server, by name and count."""

    def __init__(self, pack: Watched) -> None:
        self._pack = pack

    def seen(self) -> Counter[str]:
        """How often each is there."""
        found: Counter[str] = Counter()
        for stream in self._pack.ask(
            '{component="events"} | object_namespace="ci" | reason="BackOff"'
        ):
            for _, line, *_ in stream["values"]:
                event = json.loads(line)
                found[f"{event['metadata']['name']}:{event['count']}"] += 1
        return found


def test_kubernetes(
    program: Callable[[str], str], watch: Callable[[str], Watched], tmp_path: Path
) -> None:
    pack, hook = watch("kubernetes"), free_port()
    with cluster(program, tmp_path / "cluster", f"http://127.0.0.1:{hook}/audit") as found:
        configs = _manifests(found)
        found.make("/api/v1/namespaces", {"metadata": {"name": "ci"}})
        for name in (NODE, "node-2"):
            found.make("/api/v1/nodes", {"metadata": {"name": name}})
        token = tmp_path / "token"

        token.write_text(found.account("narfi", "narfi-agent"))
        assert found.ask("GET", "/api/v1/pods", token=token.read_text())[0] == 200
        assert found.ask("GET", "/api/v1/events", token=token.read_text())[0] == 403
        _pods(found, pack, _jobs(configs["narfi-agent"], found, token, tmp_path / "pods"), tmp_path)

        token.write_text(found.account("narfi", "narfi-events"))
        assert found.ask("GET", "/api/v1/pods", token=token.read_text())[0] == 403
        _events(found, pack, _jobs(configs["narfi-events"], found, token, tmp_path), tmp_path)

        webhook = {"http_listen_address": "127.0.0.1", "http_listen_port": hook}
        _audit(found, pack, [{"job_name": "audit", "webhook": {"server": webhook}}], tmp_path)
        _own_logs(found, pack, tmp_path)


def _agent(pack: Watched, folder: Path, jobs: list[Json]) -> Program:
    folder.mkdir(exist_ok=True)
    agent = pack.agent(folder, jobs)
    agent.settings = {"env": {**os.environ, "HOSTNAME": NODE}}
    return agent


def _pods(found: Cluster, pack: Watched, jobs: list[Json], folder: Path) -> None:
    """Pods of this node are read, from before and from while the agent runs; others are not."""
    logs = folder / "pods"

    def made(name: str, node: str) -> Json:
        pod = found.make("/api/v1/namespaces/ci/pods", _pod(name, node, {"app": name}))
        _runs(found, pod)
        _write(logs, pod, f"{name} starts", f"{name} works")
        return pod

    def lines() -> dict[str, int]:
        counted = pack.ask('sum by (app, node) (count_over_time({namespace="ci"} [1h]))')
        return {f"{o['metric']['app']}@{o['metric']['node']}": int(o["value"][1]) for o in counted}

    before = made("shop", NODE)
    made("far", "node-2")
    with _agent(pack, folder / "pod-agent", jobs):
        eventually(lines, {f"shop@{NODE}": 2})
        made("later", NODE)
        eventually(lines, {f"shop@{NODE}": 2, f"later@{NODE}": 2})
        code, _ = found.ask("DELETE", f"/api/v1/namespaces/ci/pods/{before['metadata']['name']}")
        assert code == 200
        made("last", NODE)
        eventually(lines, {f"shop@{NODE}": 2, f"later@{NODE}": 2, f"last@{NODE}": 2})


def _events(found: Cluster, pack: Watched, jobs: list[Json], folder: Path) -> None:
    """Each event once: over a kill, over versions that are gone, and changed ones again."""
    place, events = folder / "event-agent", Events(pack)
    wanted: Counter[str] = Counter()

    def more(*names: str) -> None:
        for name in names:
            found.make(EVENTS, _event(name))
            wanted[f"{name}:1"] = 1

    more(*(f"before-{n}" for n in range(20)))
    with _agent(pack, place, jobs) as agent:
        eventually(events.seen, wanted)
        more(*(f"during-{n}" for n in range(20)))
        changed = {"count": 2}
        path = f"{EVENTS}/during-3"
        assert found.ask("PATCH", path, changed, kind="merge-patch+json")[0] == 200
        wanted["during-3:2"] = 1
        eventually(events.seen, wanted)
        _kill(agent, place / "positions.yaml")
    more(*(f"away-{n}" for n in range(20)))
    with _agent(pack, place, jobs) as agent:
        more(*(f"back-{n}" for n in range(20)))
        eventually(events.seen, wanted)
        _kill(agent, place / "positions.yaml")
    more(*(f"lost-{n}" for n in range(20)))
    found.compact()
    with _agent(pack, place, jobs) as agent:
        eventually(events.seen, wanted)
        more("last")
        eventually(events.seen, wanted)
    assert "watched version is gone, listing anew" in agent.log.read_text()
    assert set(wanted.values()) == {1}

    # The scheduler's own: a pod that fits nowhere.
    assert ("FailedScheduling",) not in pack.values("Warnings by reason", "reason")
    found.make("/api/v1/namespaces/ci/pods", _pod("huge", "", {"app": "huge"}, cpu="4000"))
    with _agent(pack, place, jobs):
        reasons = ("reason", "object_kind", "object_name")
        waits = ("FailedScheduling", "Pod", "huge")
        eventually(lambda: waits in pack.values("Warnings by object", *reasons), True)
        assert "KubernetesWarnings" in pack.alerts()


def _audit(found: Cluster, pack: Watched, jobs: list[Json], folder: Path) -> None:
    """Records by the webhook: who did what is told, and alerts hold for what they should."""
    secret = {"metadata": {"name": "db", "namespace": "ci"}, "stringData": {"password": "x"}}
    secrets = "/api/v1/namespaces/ci/secrets"
    audit = {
        "KubernetesForbidden",
        "KubernetesSecretsTouched",
        "KubernetesExec",
        "KubernetesAnonymous",
    }
    with _agent(pack, folder / "audit-agent", jobs):
        found.make("/api/v1/namespaces/ci/configmaps", {"metadata": {"name": "settings"}})
        eventually(lambda: sum('"name":"settings"' in line for line in pack.lines("Changes")), 1)
        assert pack.alerts() & audit == set()

        refused = [found.ask("GET", secrets, token=READER)[0] for _ in range(12)]
        assert refused == [403] * 12
        told = ("user", "verb", "resource")
        eventually(
            lambda: pack.values("Forbidden requests", *told), {("bob", "list", "secrets"): 12}
        )
        assert pack.alerts() & audit == {"KubernetesForbidden"}

        found.make(secrets, secret)
        assert found.ask("GET", f"{secrets}/db")[0] == 200
        read = ("alice", "get", "ci", "db")
        touched = ("user", "verb", "object_namespace", "object_name")
        eventually(lambda: pack.values("Who read or changed secrets", *touched).get(read), 1)
        eventually(
            lambda: pack.alerts() & audit, {"KubernetesForbidden", "KubernetesSecretsTouched"}
        )

        status, _ = found.ask("POST", "/api/v1/namespaces/ci/pods/last/exec?command=id&stdout=1")
        assert status >= 400  # there is no kubelet
        inside = ("user", "object_namespace", "object_name")
        who = {("alice", "ci", "last"): 1}
        eventually(lambda: pack.values("Execs into pods", *inside), who)

        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
        found.make(f"{RBAC}/clusterroles", {"metadata": {"name": "open"}, "rules": rules})
        group = {"apiGroup": "rbac.authorization.k8s.io"}
        everybody = {"kind": "Group", "name": "system:unauthenticated", **group}
        role = {"kind": "ClusterRole", "name": "open", **group}
        binding = {"metadata": {"name": "open"}, "roleRef": role, "subjects": [everybody]}
        found.make(f"{RBAC}/clusterrolebindings", binding)

        def anonymous() -> int:
            return found.ask("GET", "/api/v1/namespaces/ci/configmaps", token="")[0]

        eventually(anonymous, 200)
        eventually(lambda: pack.alerts() & audit, audit)


def _own_logs(found: Cluster, pack: Watched, folder: Path) -> None:
    """What API server and scheduler write is read: level and place of each line."""
    logs = {"kube-apiserver": found.log, "kube-scheduler": found.scheduler_log}
    with pack.following(folder, logs):
        written = {name: _klog_lines(file) for name, file in logs.items()}

        def placed() -> dict[str, bool]:
            counted = pack.ask(
                'sum by (component) (count_over_time({component=~"kube-.*"} | caller!="" [1h]))'
            )
            found = {o["metric"]["component"]: int(o["value"][1]) for o in counted}
            return {name: found.get(name, 0) >= count for name, count in written.items()}

        eventually(placed, dict.fromkeys(logs, True))
        assert "KubernetesControlPlaneFatal" not in pack.alerts()


def _klog_lines(file: Path) -> int:
    return sum(line[:1] in "IWEF" and line[1:5].isdigit() for line in file.read_text().split("\n"))
