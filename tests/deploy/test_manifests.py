"""Do the manifests hang together, and is the configuration in them one that the agent takes?"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from promtail_agent.config_file import load_agent_config

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"


def objects() -> dict[str, Any]:
    """All objects by kind."""
    documents = yaml.safe_load_all((FOLDER / "agent.yaml").read_text())
    return {document["kind"]: document for document in documents}


def test_the_configuration_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTNAME", "node-1")
    file = tmp_path / "agent.yaml"
    file.write_text(objects()["ConfigMap"]["data"]["agent.yaml"])
    config = load_agent_config(file, expand_env=True)
    assert config.scrape_configs[0].static_configs[0].labels["node"] == "node-1"


def test_everything_that_is_mounted_or_named_is_there() -> None:
    found = objects()
    spec = found["DaemonSet"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert spec["serviceAccountName"] == found["ServiceAccount"]["metadata"]["name"]
    assert spec["volumes"][0]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
    labels = found["DaemonSet"]["spec"]["template"]["metadata"]["labels"]
    assert labels == found["DaemonSet"]["spec"]["selector"]["matchLabels"]
    ports = {port["name"] for port in container["ports"]}
    assert container["readinessProbe"]["httpGet"]["port"] in ports
    config = yaml.safe_load(found["ConfigMap"]["data"]["agent.yaml"])
    positions = Path(config["positions"]["filename"])
    mounts = {m["mountPath"]: m for m in container["volumeMounts"]}
    assert not mounts[str(positions.parent)].get("readOnly")
    assert container["securityContext"]["readOnlyRootFilesystem"]
    for document in found.values():
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "narfi"
