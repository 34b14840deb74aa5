"""How does a cluster's agent get packs? A component for kustomize: its configuration, replaced.

Used beside `deploy/kubernetes/agent.yaml`: the ConfigMap `narfi-agent` gets the rendered file.
"""

from collections.abc import Mapping, Sequence

from promtail_agent.packs.pack import Pack
from promtail_agent.packs.whole import agent_text, yaml_text


def kustomize_text(packs: Sequence[Pack], given: Mapping[str, str]) -> str:
    """A `kustomization.yaml` with a patch of the agent's ConfigMap."""
    url = given.get("url", "http://narfi.narfi.svc:3100/loki/api/v1/push")
    patch = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "narfi-agent", "namespace": "narfi"},
        "data": {"agent.yaml": agent_text(packs, {**given, "url": url})},
    }
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [{"patch": yaml_text(patch)}],
    }
    return yaml_text(document)
