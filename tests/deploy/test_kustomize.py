"""Is the Kustomize base the chart's single server, and does the example build on it?"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from narfi.core.settings import load_settings
from tests.deploy.dockerfile import ROOT
from tests.deploy.helm_renderer import CHART, objects_of, overlaid, values_of
from tests.deploy.kustomize_base import FILE, text

FOLDER = ROOT / "deploy/kustomize"
EXAMPLE = FOLDER / "overlays/example"
ARGO = sorted((ROOT / "deploy/argocd").glob("*.yaml"))


def kustomization(folder: Path) -> dict[str, Any]:
    """What a folder's file says."""
    found: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return found


def test_the_base_is_the_chart() -> None:
    assert FILE.read_text() == text()  # else: python -m tests.deploy.kustomize_base


def test_the_base_is_whole() -> None:
    base = kustomization(FILE.parent)
    assert base["resources"] == [FILE.name]
    (made,) = base["configMapGenerator"]
    (server,) = objects_of(list(yaml.safe_load_all(FILE.read_text())), "StatefulSet")
    (volume,) = [v for v in server["spec"]["template"]["spec"]["volumes"] if v["name"] == "config"]
    assert volume["configMap"]["name"] == made["name"]
    (container,) = server["spec"]["template"]["spec"]["containers"]
    assert made["files"] == [Path(container["args"][-1]).name]


@pytest.mark.parametrize("folder", [FILE.parent, EXAMPLE], ids=lambda folder: folder.name)
def test_settings(folder: Path) -> None:
    load_settings(folder / "narfi.yaml", {}, {})


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")
def test_the_example_builds() -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(EXAMPLE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = list(yaml.safe_load_all(done.stdout))
    (server,) = objects_of(found, "StatefulSet")
    (settings,) = objects_of(found, "ConfigMap")
    pod = server["spec"]["template"]["spec"]
    names = [v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v]
    assert names == [settings["metadata"]["name"]]  # with a sum of its content
    (image,) = kustomization(EXAMPLE)["images"]
    assert pod["containers"][0]["image"] == f"{image['newName']}:{image['newTag']}"
    assert {"name": "PGPASSWORD"}.items() <= pod["containers"][0]["env"][-1].items()
    spaces = {found["metadata"].get("namespace") for found in found if found["kind"] != "Namespace"}
    assert spaces == {"logs"}


@pytest.mark.parametrize("file", ARGO, ids=lambda file: file.stem)
def test_applications(file: Path) -> None:
    application = yaml.safe_load(file.read_text())
    assert application["apiVersion"] == "argoproj.io/v1alpha1"
    source = application["spec"]["source"]
    assert (ROOT / source["path"]).is_dir()
    values = source.get("helm", {}).get("valuesObject", {})
    defaults = values_of("default")
    assert values.keys() <= defaults.keys()
    assert overlaid(defaults, values).keys() == defaults.keys()
    assert (source["path"] == str(CHART.relative_to(ROOT))) == ("helm" in source)
