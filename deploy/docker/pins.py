"""Which versions are in the image? Those of this environment, as its tests found them good.

`.venv/bin/python deploy/docker/pins.py > deploy/docker/pins.txt` writes them down: Narfi's
requirements with its extras `cluster` and `oidc`, theirs, and what builds the wheel.
"""

import sys
from importlib.metadata import distribution

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("cluster", "oidc")
BUILDS = "setuptools"
"""What pyproject.toml builds with; it is deleted behind."""
HEAD = "# Written by pins.py: what the image installs, nothing else.\n"


def needed(name: str, extras: tuple[str, ...], found: dict[str, str]) -> None:
    """Add what a distribution requires, by name, with its version here."""
    environment = {name: str(value) for name, value in default_environment().items()}
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker and not any(marker.evaluate({**environment, "extra": e}) for e in ("", *extras)):
            continue
        inner = canonicalize_name(requirement.name)
        first = inner not in found
        found[inner] = distribution(inner).version
        if first or requirement.extras:
            needed(inner, tuple(requirement.extras), found)


def pins() -> dict[str, str]:
    """Every distribution of the image but Narfi, with its version."""
    found = {BUILDS: distribution(BUILDS).version}
    needed("narfi", EXTRAS, found)
    return dict(sorted(found.items()))


if __name__ == "__main__":
    sys.stdout.write(HEAD + "".join(f"{name}=={version}\n" for name, version in pins().items()))
