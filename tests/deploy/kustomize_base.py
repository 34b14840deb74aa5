"""What is the Kustomize base? The chart's objects for one server, without what is Helm's.

`python -m tests.deploy.kustomize_base` writes it anew; a test tells when that was forgotten.
"""

from typing import Any

import yaml

from tests.deploy.dockerfile import ROOT
from tests.deploy.helm_renderer import Manifest, overlaid, render, values_of

FILE = ROOT / "deploy/kustomize/base/objects.yaml"
HEAD = "# Written by tests/deploy/kustomize_base.py: the chart's objects for mode single.\n"
_VALUES = {"fullnameOverride": "narfi"}
_OF_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by")
_RELEASE = "app.kubernetes.io/instance"


def objects() -> list[Manifest]:
    """All but the settings, which Kustomize makes of a file, with a name that changes with it."""
    found = render(overlaid(values_of("default"), _VALUES))
    return [_without_helm(one) for one in found if one["kind"] != "ConfigMap"]


def _without_helm(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_helm(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_helm(item) for key, item in value.items() if key not in _OF_HELM}
    if _RELEASE in kept:
        kept[_RELEASE] = "narfi"
    if "metadata" in kept and isinstance(kept["metadata"], dict):
        kept["metadata"].pop("namespace", None)
    if "checksum/config" in kept.get("annotations", {}):
        del kept["annotations"]
    return kept


def text() -> str:
    """The file."""
    return HEAD + yaml.safe_dump_all(objects(), sort_keys=False, explicit_start=True)


if __name__ == "__main__":
    FILE.write_text(text())
