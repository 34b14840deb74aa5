"""What does a pod say of itself? Meta labels of its containers (reference/agent.md §8.1).

One target a container port; a container without ports gives one; init containers too. A pod that
has no address yet gives none.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from promtail_agent.discovery.base import Target

_PREFIX = "__meta_kubernetes_"
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
_CRONJOB = re.compile(r"(.+)-\d{8,10}")

Json = Mapping[str, Any]


def plain_name(name: str) -> str:
    """A name as a part of a label's name."""
    return _NOT_IN_A_NAME.sub("_", name)


def pod_targets(pod: Json) -> list[Target]:
    """Targets of one pod object."""
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    address = status.get("podIP") or ""
    if not address:
        return []
    common = _pod_labels(pod, spec, status)
    out: list[Target] = []
    for key, state_key, init in (
        ("initContainers", "initContainerStatuses", "true"),
        ("containers", "containerStatuses", "false"),
    ):
        states = {s["name"]: s for s in status.get(state_key) or []}
        for container in spec.get(key) or []:
            of_container = {
                **common,
                f"{_PREFIX}pod_container_name": container["name"],
                f"{_PREFIX}pod_container_id": states.get(container["name"], {}).get(
                    "containerID", ""
                ),
                f"{_PREFIX}pod_container_image": container.get("image", ""),
                f"{_PREFIX}pod_container_init": init,
            }
            out += _of_ports(of_container, address, container.get("ports") or [])
    return out


def _of_ports(labels: Mapping[str, str], address: str, ports: Sequence[Json]) -> list[Target]:
    host = f"[{address}]" if ":" in address else address
    if not ports:
        return [{**labels, "__address__": address}]
    return [
        {
            **labels,
            "__address__": f"{host}:{port['containerPort']}",
            f"{_PREFIX}pod_container_port_name": port.get("name", ""),
            f"{_PREFIX}pod_container_port_number": str(port["containerPort"]),
            f"{_PREFIX}pod_container_port_protocol": port.get("protocol", "TCP"),
        }
        for port in ports
    ]


def _pod_labels(pod: Json, spec: Json, status: Json) -> dict[str, str]:
    about = pod.get("metadata") or {}
    labels = {
        "namespace": about.get("namespace", ""),
        "pod_name": about.get("name", ""),
        "pod_uid": about.get("uid", ""),
        "pod_ip": status.get("podIP", ""),
        "pod_host_ip": status.get("hostIP", ""),
        "pod_node_name": spec.get("nodeName", ""),
        "pod_phase": status.get("phase", ""),
        "pod_ready": _ready(status),
        **_controller(about),
    }
    found = {_PREFIX + name: value for name, value in labels.items()}
    for kind in ("label", "annotation"):
        for name, value in (about.get(f"{kind}s") or {}).items():
            plain = plain_name(name)
            found[f"{_PREFIX}pod_{kind}_{plain}"] = value
            found[f"{_PREFIX}pod_{kind}present_{plain}"] = "true"
    return found


def _ready(status: Json) -> str:
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Ready":
            return str(condition.get("status", "unknown")).lower()
    return "unknown"


def _controller(about: Json) -> dict[str, str]:
    for owner in about.get("ownerReferences") or []:
        if not owner.get("controller"):
            continue
        kind, name = owner.get("kind", ""), owner.get("name", "")
        found = {"pod_controller_kind": kind, "pod_controller_name": name}
        digest = (about.get("labels") or {}).get("pod-template-hash", "")
        if kind == "ReplicaSet" and digest and name.endswith(f"-{digest}"):
            found["pod_deployment_name"] = name[: -len(digest) - 1]
        if kind == "Job":
            found["pod_job_name"] = name
            cron = _CRONJOB.fullmatch(name)
            if cron is not None:
                found["pod_cronjob_name"] = cron[1]
        return found
    return {}
