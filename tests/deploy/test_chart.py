"""Does the Helm chart give what Kubernetes takes and Narfi understands, for each set of values?

Rendered by `helm_renderer.py`; that it gives what Helm gives is tested in `test_helm.py`.
"""

import json
import re
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml

from deploy.docker.drain import FLUSH_S
from narfi.cli.main import app
from narfi.core.settings import ROLES, load_settings
from narfi.core.text.template.errors import TemplateExecError
from promtail_agent.config_file import load_agent_config
from tests.deploy.dockerfile import ROOT
from tests.deploy.helm_renderer import (
    CHART,
    NAMESPACE,
    VALUE_SETS,
    Manifest,
    notes,
    objects_of,
    overlaid,
    pod_of,
    render,
    values_of,
    workloads,
)

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
CUSTOM = {"ServiceMonitor", "PrometheusRule", "RayCluster"}
"""Kinds that Kubernetes itself does not know."""


@cache
def chart(name: str) -> tuple[Manifest, ...]:
    """The objects for a set of values."""
    return tuple(render(values_of(name)))


def containers(name: str) -> Iterator[tuple[Manifest, Manifest, Manifest]]:
    """Every workload with its pod and each container."""
    for workload in workloads(list(chart(name))):
        pod = pod_of(workload)
        for container in pod["containers"]:
            yield workload, pod, container


def servers(name: str) -> Iterator[tuple[Manifest, Manifest, Manifest]]:
    """Those that run `narfi serve`."""
    return (found for found in containers(name) if found[2]["args"][0] == "serve")


def named(name: str, kind: str, object_name: str) -> Manifest:
    """The object of that kind and name."""
    (found,) = [
        o for o in objects_of(list(chart(name)), kind) if o["metadata"]["name"] == object_name
    ]
    return found


def test_each_mode_is_there() -> None:
    assert {values_of(name)["mode"] for name in VALUE_SETS} == {"single", "roles"}
    assert set(values_of("roles")["roles"]) == set(ROLES)
    kinds = {found["kind"] for name in VALUE_SETS for found in chart(name)}
    expected = {"StatefulSet", "Deployment", "DaemonSet", "Job", "Service", "ConfigMap", "Ingress"}
    expected |= {"ServiceAccount", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
    expected |= {"NetworkPolicy", "ClusterRole", "ClusterRoleBinding"}
    assert kinds == expected | CUSTOM  # no Secret: none is made of values


# Values


@pytest.mark.parametrize("name", VALUE_SETS)
def test_values_fit_their_schema(name: str) -> None:
    jsonschema.validate(values_of(name), SCHEMA)


WRONG: list[dict[str, Any]] = [
    {"moed": "single"},
    {"mode": "both"},
    {"image": {"tag": "latest"}},
    {"image": {"digest": "sha256:1"}},
    {"storage": {"url": "s3://key:secret@bucket/x"}},
    {"storage": {"secretKey": "x"}},
    {"catalog": {"url": "postgresql://narfi:pass@db/narfi"}},
    {"single": {"replicas": 2}},
    {"roles": {"ruler": {"replicas": -1}}},
    {"roles": {"ingester": {"drainSeconds": "10"}}},
    {"roles": {"gateway": {}}},
    {"roles": {"querier": {"autoscaling": {"cpu": 0}}}},
    {"ray": {"token": "x"}},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(overlaid(values_of("default"), wrong), SCHEMA)


def test_every_value_has_a_schema_and_a_default() -> None:
    def keys(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        if "$ref" in schema:
            schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
        for key, inner in schema.get("properties", {}).items():
            yield (*path, key)
            yield from keys(inner, (*path, key))

    def defaults(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield (*path, key)
            yield from defaults(inner, (*path, key))

    free = ("requests", "limits", "claims", "global")
    in_schema = {path for path in keys(SCHEMA) if not set(path) & set(free)}
    given = {path for path in defaults(values_of("default")) if not set(path) & set(free)}
    given = {path for path in given if path[0] != "agent" or "config" not in path[:-1]}
    assert in_schema == given


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"mode": "roles"}, "mode roles needs storage.url"),
        ({"mode": "roles", "storage": {"url": "s3://b/p"}}, "mode roles needs catalog.url"),
        ({"auth": {"enabled": True}}, "auth.existingSecret names a Secret"),
        ({"ingress": {"enabled": True}}, "ingress.host"),
        ({"tls": {"enabled": True}}, "tls.existingSecret names a Secret"),
        ({**values_of("roles"), "tls": {"enabled": True}}, "tls.existingSecret names a Secret"),
        ({"ray": {"enabled": True, "image": "x:1"}}, "ray.existingSecret"),
    ],
)
def test_what_is_missing_is_told(values: dict[str, Any], told: str) -> None:
    with pytest.raises(TemplateExecError, match=re.escape(told)):
        render(overlaid(values_of("default"), values))


# Kubernetes


@pytest.mark.parametrize("name", VALUE_SETS)
@pytest.mark.parametrize("version", ["1.25", "latest"])
def test_kubernetes_schemas(name: str, version: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the validator's own imports
        import kubernetes_validate

        wanted = kubernetes_validate.latest_version() if version == "latest" else version
        for found in chart(name):
            if found["kind"] not in CUSTOM:
                kubernetes_validate.validate(found, wanted, strict=True)


@pytest.mark.parametrize("name", VALUE_SETS)
def test_names_and_labels(name: str) -> None:
    keys = [(found["kind"], found["metadata"]["name"]) for found in chart(name)]
    assert len(keys) == len(set(keys))
    for found in chart(name):
        meta = found["metadata"]
        assert len(meta["name"]) <= 63
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        if not found["kind"].startswith("ClusterRole"):
            assert meta["namespace"] == NAMESPACE


@pytest.mark.parametrize("name", VALUE_SETS)
def test_selectors_find_pods(name: str) -> None:
    """Each workload its own, each Service and budget those of one workload."""
    pods = {
        workload["metadata"]["name"]: workload["spec"]["template"]["metadata"]["labels"]
        for workload in workloads(list(chart(name)))
    }

    def found_by(labels: dict[str, str]) -> list[str]:
        return [pod for pod, own in pods.items() if labels.items() <= own.items()]

    for workload in workloads(list(chart(name))):
        if workload["kind"] != "Job":
            labels = workload["spec"]["selector"]["matchLabels"]
            assert found_by(labels) == [workload["metadata"]["name"]]
    for service in objects_of(list(chart(name)), "Service"):
        assert len(found_by(service["spec"]["selector"])) == 1
    for budget in objects_of(list(chart(name)), "PodDisruptionBudget"):
        assert len(found_by(budget["spec"]["selector"]["matchLabels"])) == 1
    for scaler in objects_of(list(chart(name)), "HorizontalPodAutoscaler"):
        target = named(name, "Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in target["spec"]  # else each upgrade would undo its work


@pytest.mark.parametrize("name", VALUE_SETS)
def test_what_is_mounted_or_named_is_there(name: str) -> None:
    text = json.dumps(values_of(name))
    accounts = {o["metadata"]["name"] for o in objects_of(list(chart(name)), "ServiceAccount")}
    maps = {o["metadata"]["name"] for o in objects_of(list(chart(name)), "ConfigMap")}
    for workload, pod, container in containers(name):
        claims = workload["spec"].get("volumeClaimTemplates", [])
        volumes = {
            v["name"]: v for v in (*pod.get("volumes", []), *(c["metadata"] for c in claims))
        }
        assert {m["name"] for m in container.get("volumeMounts", [])} == set(volumes)
        account = pod.get("serviceAccountName", "default")
        assert account in {*accounts, "default", "mine"}
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in {*maps, "my-rules"}
            if "secret" in volume:
                assert f'"{volume["secret"]["secretName"]}"' in text
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            if probe in container:
                assert container[probe]["httpGet"]["port"] in ports
    services = {o["metadata"]["name"] for o in objects_of(list(chart(name)), "Service")}
    for ingress in objects_of(list(chart(name)), "Ingress"):
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            assert path["backend"]["service"]["name"] in services


@pytest.mark.parametrize("name", VALUE_SETS)
def test_security(name: str) -> None:
    for _, pod, container in containers(name):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"]["drop"] == ["ALL"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["enableServiceLinks"]
        assert re.fullmatch(r".+(:\d[\w.]*|@sha256:[0-9a-f]{64})", container["image"])
        assert "memory" in container["resources"]["limits"]
        if container["args"][0] != "agent":
            assert pod["securityContext"]["runAsNonRoot"]
            assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 65532
            assert not pod["automountServiceAccountToken"]


@pytest.mark.parametrize("name", VALUE_SETS)
def test_stops_and_starts(name: str) -> None:
    """Grace is longer than the hook and the server's own; a start has time for its journal."""
    for workload, pod, container in servers(name):
        hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
        wait = float(hook[1]) if hook else 0
        flush = FLUSH_S if hook[:1] == ["narfi-drain"] else 0
        assert pod["terminationGracePeriodSeconds"] >= wait + flush + 10
        component = workload["metadata"]["labels"]["app.kubernetes.io/component"]
        expected = {"ingester": "narfi-drain", "querier": "sleep"}.get(component)
        assert (hook[0] if hook else None) == expected
        start = container["startupProbe"]
        assert start["failureThreshold"] * start["periodSeconds"] >= 300
        if workload["kind"] == "Deployment":
            rolling = workload["spec"]["strategy"]["rollingUpdate"]
            assert rolling == {"maxSurge": 1, "maxUnavailable": 0}
        else:
            assert component in ("single", "ruler")
            assert workload["spec"]["replicas"] == {"single": 1, "ruler": 2}[component]
            assert workload["spec"]["serviceName"] == workload["metadata"]["name"]


# Narfi


def environment_of(container: Manifest) -> dict[str, str]:
    """Its variables; what comes from elsewhere is a text of that name."""
    found = {one["name"]: one.get("value", f"<{one['name']}>") for one in container.get("env", [])}
    return {key: re.sub(r"\$\((\w+)\)", lambda m: found[m[1]], text) for key, text in found.items()}


@pytest.mark.parametrize("name", VALUE_SETS)
def test_variables_and_file_are_settings(name: str, tmp_path: Any) -> None:
    """As the container would read them; unknown names are errors."""
    for workload, pod, container in servers(name):
        (volume,) = [v for v in pod["volumes"] if v["name"] == "config"]
        file = tmp_path / "narfi.yaml"
        config = named(name, "ConfigMap", volume["configMap"]["name"])
        file.write_text(config["data"]["narfi.yaml"])
        variables = environment_of(container)
        component = workload["metadata"]["labels"]["app.kubernetes.io/component"]
        settings = load_settings(file, variables, {})
        assert str(settings.data_dir) == "/var/lib/narfi"
        assert settings.server.http.endswith(f":{container['ports'][0]['containerPort']}")
        assert settings.storage.url == values_of(name)["storage"]["url"]
        assert settings.catalog.url == values_of(name)["catalog"]["url"]
        if component != "single":
            assert settings.roles == (component,)
            assert settings.server.grpc_advertised == "<POD_IP>:9095"
        assert container["args"][0] == "serve"
        assert ("--insecure" in container["args"]) != values_of(name)["auth"]["enabled"]
        assert f"{container['args'][-1]}".startswith("/etc/narfi/")


def test_a_changed_setting_is_a_new_pod() -> None:
    def sums(config: dict[str, Any]) -> str:
        (found,) = objects_of(
            render(overlaid(values_of("default"), {"config": config})), "StatefulSet"
        )
        text: str = found["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        return text

    assert sums({"tenancy": "header"}) != sums({"tenancy": "single"})
    assert sums({"tenancy": "header"}) == sums({"tenancy": "header"})


def test_what_migrates() -> None:
    """Before anything else is there: it uses nothing that the chart makes."""
    commands = {
        info.name or info.callback.__name__ for info in app.registered_commands if info.callback
    }
    (job,) = objects_of(list(chart("single-far")), "Job")
    hooks = job["metadata"]["annotations"]
    assert hooks["helm.sh/hook"] == "pre-install,pre-upgrade"
    (container,) = pod_of(job)["containers"]
    assert container["args"] == ["migrate"]
    assert "migrate" in commands
    assert pod_of(job).keys().isdisjoint({"volumes", "serviceAccountName"})
    settings = load_settings(None, environment_of(container), {})
    assert settings.catalog.url.startswith("postgresql://")
    password = [one for one in container["env"] if one["name"] == "PGPASSWORD"]
    assert password[0]["valueFrom"] == {"secretKeyRef": {"name": "database", "key": "pw"}}
    assert objects_of(list(chart("default")), "Job") == []
    assert objects_of(list(chart("roles-full")), "Job") == []


def test_who_reaches_whom() -> None:
    (policy,) = objects_of(list(chart("default")), "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    (rule,) = policy["spec"]["ingress"]
    assert {port["port"] for port in rule["ports"]} == {"http", "grpc"}
    assert rule["from"][1:] == [{"podSelector": {}}]
    (far,) = objects_of(list(chart("single-far")), "NetworkPolicy")
    assert far["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert len(far["spec"]["egress"]) == 3
    assert "namespaceSelector" in far["spec"]["ingress"][0]["from"][1]
    servers_policy, ray = objects_of(list(chart("roles-full")), "NetworkPolicy")
    (reaches,) = ray["spec"]["ingress"][0]["from"]
    (who,) = reaches["podSelector"]["matchExpressions"]
    assert who["values"] == ["ray", "querier", "compactor", "single"]
    kept_out = servers_policy["spec"]["podSelector"]["matchExpressions"][0]
    assert kept_out == {
        "key": "app.kubernetes.io/component",
        "operator": "NotIn",
        "values": ["agent", "events", "ray"],
    }


def test_what_is_told_after_an_installation() -> None:
    assert "http://prod-narfi.logs.svc:3100 " in notes(values_of("default"))
    assert "There are no tokens" in notes(values_of("default"))
    told = notes(values_of("roles-full"))
    assert "http://prod-narfi-ingester.logs.svc:3100," in told
    assert "There are no tokens" not in told


def test_requests_go_to_their_role() -> None:
    (ingress,) = objects_of(list(chart("roles-full")), "Ingress")
    paths = ingress["spec"]["rules"][0]["http"]["paths"]
    targets = {path["path"]: path["backend"]["service"]["name"] for path in paths}
    assert targets["/loki/api/v1/push"] == targets["/otlp/v1/logs"] == "prod-narfi-ingester"
    assert targets["/loki/api/v1/rules"] == targets["/ruler"] == "prod-narfi-ruler"
    assert targets["/"] == "prod-narfi-querier"
    for part, role in (("ingester", "ingester"), ("ruler", "ruler")):
        sources = "".join(file.read_text() for file in (ROOT / part / "http_api").glob("*.py"))
        routes = set(re.findall(r'"(/[a-z0-9/_]+[a-z])"', sources)) - {"/flush", "/loki/api/v1"}
        own = [path for path, service in targets.items() if service == f"prod-narfi-{role}"]
        assert len(routes) >= 4
        for route in routes:  # all of the role's, by the longest prefix
            assert any(route == path or route.startswith(f"{path}/") for path in own), route
        for path in own:
            assert any(route == path or route.startswith(f"{path}/") for route in routes), path


def test_the_agent_is_that_of_the_manifest(tmp_path: Any) -> None:
    """`deploy/kubernetes/agent.yaml` is tested at work; the chart's differs in names alone."""
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/agent.yaml").read_text())
    plain = {found["kind"]: found for found in documents}
    (mine,) = objects_of(list(chart("roles-full")), "DaemonSet")
    expected, found = plain["DaemonSet"]["spec"]["template"]["spec"], pod_of(mine)
    (container,), (other,) = found["containers"], expected["containers"]
    for key in other.keys() - {"image", "volumeMounts"}:
        assert container[key] == other[key], key
    assert [m for m in container["volumeMounts"] if m["name"] != "tokens"] == other["volumeMounts"]
    for key in ("tolerations", "terminationGracePeriodSeconds", "securityContext"):
        assert found[key] == expected[key]
    kept = [v for v in found["volumes"] if v["name"] not in ("config", "tokens")]
    assert kept == [v for v in expected["volumes"] if v["name"] != "config"]
    file = tmp_path / "agent.yaml"
    file.write_text(named("roles-full", "ConfigMap", "prod-narfi-agent")["data"]["agent.yaml"])
    config = yaml.safe_load(file.read_text())
    (client,) = config.pop("clients")
    assert client["url"] == "http://prod-narfi-ingester.logs.svc:3100/loki/api/v1/push"
    manifest = yaml.safe_load(plain["ConfigMap"]["data"]["agent.yaml"])
    del manifest["clients"]
    assert config == manifest
    role = named("roles-full", "ClusterRole", "prod-narfi-agent-logs")
    assert role["rules"] == plain["ClusterRole"]["rules"]


def test_the_reader_of_events_is_that_of_the_manifest() -> None:
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/events.yaml").read_text())
    plain = {found["kind"]: found for found in documents}
    mine = named("roles-full", "Deployment", "prod-narfi-events")
    expected, found = plain["Deployment"]["spec"]["template"]["spec"], pod_of(mine)
    assert mine["spec"]["replicas"] == plain["Deployment"]["spec"]["replicas"] == 1
    assert mine["spec"]["strategy"] == plain["Deployment"]["spec"]["strategy"]
    (container,), (other,) = found["containers"], expected["containers"]
    for key in other.keys() - {"image", "volumeMounts"}:
        assert container[key] == other[key], key
    assert [m for m in container["volumeMounts"] if m["name"] != "tokens"] == other["volumeMounts"]
    assert found["securityContext"] == expected["securityContext"]
    assert found["serviceAccountName"] == "prod-narfi-events"
    config, manifest = (
        yaml.safe_load(text)
        for text in (
            named("roles-full", "ConfigMap", "prod-narfi-events")["data"]["agent.yaml"],
            plain["ConfigMap"]["data"]["agent.yaml"],
        )
    )
    (client,) = config.pop("clients")
    assert client["url"] == "http://prod-narfi-ingester.logs.svc:3100/loki/api/v1/push"
    del manifest["clients"]
    assert config == manifest
    role = named("roles-full", "ClusterRole", "prod-narfi-events-logs")
    assert role["rules"] == plain["ClusterRole"]["rules"]
    binding = named("roles-full", "ClusterRoleBinding", "prod-narfi-events-logs")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [one["name"] for one in binding["subjects"]] == ["prod-narfi-events"]
    assert not any(
        "events" in o["metadata"]["name"] for o in chart("single-far")
    )  # nobody asked for them


@pytest.mark.parametrize("name", ["single-far", "single-safe", "roles-full"])
def test_the_agent_takes_its_file(
    name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTNAME", "node-1")
    maps = objects_of(list(chart(name)), "ConfigMap")
    found = [m for m in maps if "agent.yaml" in m["data"]]
    assert len(found) == (2 if name == "roles-full" else 1)
    file = tmp_path / "agent.yaml"
    for one in found:
        file.write_text(one["data"]["agent.yaml"])
        config = load_agent_config(file, expand_env=True)
        assert config.notices == ()
        assert [client.tenant_id for client in config.clients] == (
            ["team-a"] if name == "single-far" else [""]
        )


def test_tls() -> None:
    """Probes, agent and Prometheus speak it where the server does; the agent has no key."""
    (_, _, server), *_ = servers("single-safe")
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        assert server[probe]["httpGet"]["scheme"] == "HTTPS"
    (agent,) = objects_of(list(chart("single-safe")), "DaemonSet")
    (volume,) = [v for v in pod_of(agent)["volumes"] if v["name"] == "tls"]
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    text = named("single-safe", "ConfigMap", "prod-narfi-agent")["data"]["agent.yaml"]
    (client,) = yaml.safe_load(text)["clients"]
    assert client["url"] == "https://prod-narfi.logs.svc:3100/loki/api/v1/push"
    assert client["tls_config"] == {"ca_file": "/etc/narfi-tls/ca.crt"}
    (monitor,) = objects_of(list(chart("single-safe")), "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"]["serverName"] == "prod-narfi.logs.svc"


def test_roles_speak_tls_to_each_other() -> None:
    """Each has the certificate, trusts its authority, and expects one name of all pods."""
    tls = {"tls": {"enabled": True, "existingSecret": "certificate"}}
    found = list(render(overlaid(values_of("roles"), tls)))
    roles = set()
    for workload in workloads(found):
        (server,) = pod_of(workload)["containers"]
        if server["args"][0] != "serve":
            continue
        given = {one["name"]: one.get("value") for one in server["env"]}
        roles.add(given["NARFI_ROLES"])
        assert given["NARFI_SERVER__TLS__CERT_FILE"] == "/etc/narfi-tls/tls.crt"
        assert given["NARFI_SERVER__TLS__PEER_CA_FILE"] == "/etc/narfi-tls/ca.crt"
        assert given["NARFI_SERVER__TLS__PEER_NAME"] == "prod-narfi.logs.svc"
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            assert server[probe]["httpGet"]["scheme"] == "HTTPS"
        (volume,) = [one for one in pod_of(workload)["volumes"] if one["name"] == "tls"]
        assert volume["secret"]["secretName"] == "certificate"
    assert roles == set(ROLES)
    plain = str(list(render(values_of("roles"))))
    assert "PEER_NAME" not in plain


def test_custom_objects() -> None:
    """Keys that the operators' definitions have, as far as the chart uses them."""
    (monitor,) = objects_of(list(chart("roles-full")), "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "tokens", "key": "metrics"}}
    labels = [o["metadata"]["labels"] for o in objects_of(list(chart("roles-full")), "Service")]
    assert all(monitor["spec"]["selector"]["matchLabels"].items() <= own.items() for own in labels)
    (cluster,) = objects_of(list(chart("roles-full")), "RayCluster")
    head, (group,) = cluster["spec"]["headGroupSpec"], cluster["spec"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["maxReplicas"]) == (0, 8)
    for template in (head["template"], group["template"]):
        (container,) = template["spec"]["containers"]
        variables = {one["name"]: one for one in container["env"]}
        assert variables["RAY_AUTH_MODE"]["value"] == "token"
        assert variables["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "ray"
    assert objects_of(list(chart("roles")), "RayCluster") == []
