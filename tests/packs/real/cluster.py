"""What is a Kubernetes without nodes? The real API server on the real etcd, and a scheduler.

There is no kubelet: nodes and pods are objects, and what their containers wrote is put beside them
by a test. Who asks is told by a token; roles are looked at as in any cluster.
"""

import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.server import free_port
from tests.packs.real.watching import Program

ADMIN, READER, SCHEDULER = "admin-token", "reader-token", "scheduler-token"
_TOKENS = f"""
{ADMIN},alice,1,"system:masters"
{READER},bob,2,"guests"
{SCHEDULER},system:kube-scheduler,3,""
"""
_POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, users: ["system:apiserver", "system:kube-scheduler"]}
  - {level: None, userGroups: ["system:serviceaccounts"]}
  - {level: None, nonResourceURLs: ["/*"]}
  - {level: Metadata}
"""
START_S = 180.0
"""The server's own start takes ten seconds of a processor."""
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running API server; requests are the administrator's unless a token is given."""

    url: str
    etcd: str
    folder: Path

    @property
    def ca(self) -> Path:
        """The certificate to trust."""
        return self.folder / "certs/apiserver.crt"

    @property
    def log(self) -> Path:
        """What the API server writes."""
        return self.folder / "apiserver.log"

    @property
    def scheduler_log(self) -> Path:
        """What the scheduler writes."""
        return self.folder / "scheduler.log"

    def ask(
        self, method: str, path: str, body: object = None, token: str = ADMIN, kind: str = "json"
    ) -> tuple[int, Json]:
        """Status and document of an answer; `kind` is that of a patch."""
        headers = {"Content-Type": f"application/{kind}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        trust = ssl.create_default_context(cafile=str(self.ca))
        try:
            with urllib.request.urlopen(request, timeout=60, context=trust) as answer:
                return answer.status, _document(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _document(error.read())

    def make(self, path: str, document: Json) -> Json:
        """Create an object, as the server has it then."""
        status, made = self.ask("POST", path, document)
        assert status == 201, made
        return made

    def compact(self) -> None:
        """Make etcd forget all versions but the newest."""
        newest = self.ask("GET", "/api/v1/namespaces")[1]["metadata"]["resourceVersion"]
        body = json.dumps({"revision": newest, "physical": True}).encode()
        with urllib.request.urlopen(f"{self.etcd}/v3/kv/compaction", body, timeout=60) as answer:
            assert answer.status == 200

    def account(self, namespace: str, name: str) -> str:
        """A token of a service account, as a pod of it has one."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        made = self.make(path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"})
        return str(made["status"]["token"])


def _document(body: bytes) -> Json:
    """The answer's document; what is no JSON (`ok`) as its message."""
    try:
        found: Json = json.loads(body)
    except ValueError:
        return {"message": body.decode()}
    return found


def path_of(document: Json) -> str:
    """Where objects of its kind are made."""
    version = document["apiVersion"]
    start = "/api/v1" if version == "v1" else f"/apis/{version}"
    namespace = document["metadata"].get("namespace")
    where = f"/namespaces/{namespace}" if namespace else ""
    kind = document["kind"].lower()
    plural = (
        f"{kind[:-1]}ies"
        if kind.endswith("y")
        else f"{kind}es"
        if kind.endswith("s")
        else f"{kind}s"
    )
    return f"{start}{where}/{plural}"


@contextmanager
def cluster(program: Callable[[str], str], folder: Path, audit_url: str) -> Iterator[Cluster]:
    """Runs the parts; audit records go to a webhook, half a second late at most."""
    folder.mkdir()
    etcd, peer, port = free_port(), free_port(), free_port()
    found = Cluster(url=f"https://127.0.0.1:{port}", etcd=f"http://127.0.0.1:{etcd}", folder=folder)
    store = [program("etcd"), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync"]
    store += ["--listen-client-urls", found.etcd, "--advertise-client-urls", found.etcd]
    store += ["--listen-peer-urls", f"http://127.0.0.1:{peer}"]
    server = _apiserver(program("kube-apiserver"), found, port, audit_url)
    scheduler = program("kube-scheduler")
    with (
        Program(command=store, log=folder / "etcd.log") as first,
        Program(command=server, log=found.log) as second,
    ):
        first.wait(f"{found.etcd}/health")
        _until_ready(found, second)
        settings = _kubeconfig(folder / "scheduler.yaml", found.url, SCHEDULER, found.ca)
        command = [scheduler, f"--kubeconfig={settings}", "--leader-elect=false"]
        command += ["--secure-port=0", "--authentication-skip-lookup=true"]
        with Program(command=command, log=found.scheduler_log):
            yield found


def _apiserver(binary: str, found: Cluster, port: int, audit_url: str) -> list[str]:
    folder = found.folder
    (folder / "tokens.csv").write_text(_TOKENS.lstrip())
    (folder / "policy.yaml").write_text(_POLICY)
    hook = _kubeconfig(folder / "audit.yaml", audit_url, "audit-token", None)
    key = folder / "accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    flags = {
        "etcd-servers": found.etcd,
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "secure-port": port,
        "cert-dir": folder / "certs",
        "token-auth-file": folder / "tokens.csv",
        "authorization-mode": "RBAC",
        "service-cluster-ip-range": "10.0.0.0/24",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": key,
        "service-account-signing-key-file": key,
        "disable-admission-plugins": "ServiceAccount",
        "endpoint-reconciler-type": "none",
        "etcd-compaction-interval": "0",
        "audit-policy-file": folder / "policy.yaml",
        "audit-webhook-config-file": hook,
        "audit-webhook-batch-max-wait": "500ms",
    }
    return [binary, *(f"--{name}={value}" for name, value in flags.items())]


def _kubeconfig(file: Path, server: str, token: str, ca: Path | None) -> Path:
    where = {"server": server} | ({"certificate-authority": str(ca)} if ca else {})
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "one", "cluster": where}],
        "users": [{"name": "one", "user": {"token": token}}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        "current-context": "one",
    }
    file.write_text(yaml.safe_dump(document))
    return file


def _until_ready(found: Cluster, server: Program) -> None:
    until_s = time.monotonic() + START_S
    while True:
        assert server.process is not None
        assert server.process.poll() is None, found.log.read_text()[-4000:]
        assert time.monotonic() < until_s, found.log.read_text()[-4000:]
        try:
            if found.ask("GET", "/readyz")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.5)
