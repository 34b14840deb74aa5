"""Does Helm give what our renderer gives, and refuse what the schema refuses? (`make helm`)"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.helm_renderer import (
    CHART,
    NAMESPACE,
    RELEASE,
    VALUE_SETS,
    VALUES,
    Manifest,
    render,
    values_of,
)
from tests.deploy.test_chart import WRONG

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("helm") is None, reason="no helm (make helm)"),
]
KUBERNETES = ("1.25.0", "1.33.0")


def helm(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Helm with a home of its own."""
    places = {name: str(folder) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HOME")}
    path = shutil.which("helm")
    assert path is not None
    return subprocess.run(
        [path, *arguments], env=places, capture_output=True, text=True, check=False
    )


def template(values: Path, version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`helm template`."""
    own = ("--namespace", NAMESPACE, "--kube-version", version, "--values", str(values))
    return helm("template", RELEASE, str(CHART), *own, folder=folder)


def by_name(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Objects by kind and name."""
    return {(found["kind"], found["metadata"]["name"]): found for found in manifests}


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", VALUE_SETS)
def test_equal(name: str, version: str, tmp_path: Path) -> None:
    done = template(VALUES / f"{name}.yaml", version, tmp_path)
    assert done.returncode == 0, done.stderr
    real = by_name([found for found in yaml.safe_load_all(done.stdout) if found])
    mine = by_name(render(values_of(name)))
    assert mine.keys() == real.keys()
    for key, found in real.items():
        assert mine[key] == found, key


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_wrong_values(wrong: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(wrong))
    done = template(file, KUBERNETES[-1], tmp_path)
    assert done.returncode != 0
    assert "don't meet the specifications of the schema" in done.stderr


@pytest.mark.parametrize("name", VALUE_SETS)
def test_lint(name: str, tmp_path: Path) -> None:
    strict = ("lint", "--strict", str(CHART), "--values", str(VALUES / f"{name}.yaml"))
    done = helm(*strict, "--kube-version", KUBERNETES[-1], folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
