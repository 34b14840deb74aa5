"""Is the Dockerfile as it should be? Stages, user, pinned parts, what is copied, health, labels."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.docker.pins import EXTRAS, needed, pins
from narfi.core.settings import load_settings
from tests.deploy.dockerfile import FILE, ROOT, Stage, is_sent, stages_of

TEXT = FILE.read_text()
GIVEN, STAGES = stages_of(TEXT)
BUILD, FINAL = STAGES
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LABELS = FINAL.pairs("LABEL")
PINS = dict(
    line.split("==")
    for line in (FILE.parent / "pins.txt").read_text().splitlines()
    if not line.startswith("#")
)
WORDS = {"ARG", "COPY", "ENV", "LABEL", "RUN", "USER", "WORKDIR", "VOLUME", "EXPOSE"}
WORDS |= {"STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def copies(stage: Stage) -> list[tuple[list[str], str]]:
    """What COPY takes from the sources, and where it goes."""
    own = [one for one in stage.all("COPY") if "from" not in one.flags]
    return [(one.arguments[:-1], one.arguments[-1]) for one in own]


def test_two_stages_of_one_pinned_base() -> None:
    assert [stage.name for stage in STAGES] == ["build", ""]
    assert BUILD.base == FINAL.base
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", BUILD.base)
    used = {one.word for stage in STAGES for one in stage.instructions}
    assert used <= WORDS  # no ADD, no SHELL, no ONBUILD


def test_the_last_stage_runs_nothing_and_is_nobody() -> None:
    assert FINAL.all("RUN") == []
    (user,) = FINAL.all("USER")
    uid, gid = map(int, user.arguments[0].split(":"))
    assert uid > 1000
    assert gid > 1000
    (data,) = [one for one in FINAL.all("COPY") if "chown" in one.flags]
    folder = FINAL.pairs("ENV")["NARFI_DATA_DIR"]
    assert data.flags["chown"] == user.arguments[0]
    assert data.arguments == [f"/state{folder}", folder]
    (volume,) = FINAL.all("VOLUME")
    assert volume.arguments == [folder]


def test_what_is_copied_is_there_and_sent() -> None:
    found = [source for stage in STAGES for sources, _ in copies(stage) for source in sources]
    assert len(found) > 10
    for source in found:
        assert (ROOT / source).exists(), source
        assert is_sent(source), source
    for one in FINAL.all("COPY"):
        if one.flags.get("from") == "build":
            folder = one.arguments[0]
            assert any(folder in step.rest for step in BUILD.all("RUN"))


def test_every_package_of_the_wheel_is_copied() -> None:
    copied = {source for sources, _ in copies(BUILD) for source in sources}
    packages = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {package.rstrip("*") for package in packages} <= copied
    assert PROJECT["project"]["readme"] in copied
    for package in packages:
        files = (ROOT / package.rstrip("*")).rglob("*.py")
        left_out = [file for file in files if not is_sent(str(file.relative_to(ROOT)))]
        assert left_out == []


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "tests/conftest.py",
        "data/journal/id",
        "deploy/compose/.env",
        "deploy/compose/compose.yaml",
        "narfi/core/kernels/compiled/x.code",
        "narfi/core/__pycache__/log.cpython-311.pyc",
        "dist/narfi.whl",
    ],
)
def test_what_stays_here(path: str) -> None:
    assert not is_sent(path)


def test_the_environment_is_settings() -> None:
    variables = FINAL.pairs("ENV")
    ours = {name: text for name, text in variables.items() if name.startswith("NARFI_")}
    settings = load_settings(None, ours, {})
    assert settings.data_dir == Path("/var/lib/narfi")
    ports = {address.rpartition(":")[2] for address in (settings.server.http, settings.server.grpc)}
    (exposed,) = FINAL.all("EXPOSE")
    assert set(exposed.arguments) == ports
    assert variables["PATH"].split(":")[:2] == ["/opt/narfi/bin", "/usr/local/bin"]


def test_signals_and_health() -> None:
    """Exec forms: the shell would not hand on SIGTERM."""
    entry, command = FINAL.all("ENTRYPOINT"), FINAL.all("CMD")
    assert [one.arguments for one in (*entry, *command)] == [["narfi"], ["serve", "--insecure"]]
    assert all(one.rest.startswith("[") for one in (*entry, *command))
    assert [one.rest for one in FINAL.all("STOPSIGNAL")] == ["SIGTERM"]
    (health,) = FINAL.all("HEALTHCHECK")
    assert health.arguments[0] == "CMD"
    assert "narfi-ready" in health.rest
    programs = {target: sources for sources, target in copies(FINAL)}
    assert programs == {
        "/usr/local/bin/narfi-ready": ["deploy/docker/ready.py"],
        "/usr/local/bin/narfi-drain": ["deploy/docker/drain.py"],
    }
    for program in ("ready", "drain"):
        first = (FILE.parent / f"{program}.py").read_text().splitlines()[0]
        assert first == "#!/usr/local/bin/python3 -IS"


def test_labels() -> None:
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in LABELS.items()}
    assert labels["version"] == "${VERSION}"
    assert FINAL.pairs("ARG")["VERSION"] == PROJECT["project"]["version"]
    assert labels["licenses"] == PROJECT["project"]["license"]
    assert {"title", "description", "revision"} <= labels.keys()


def test_pins_are_what_narfi_needs() -> None:
    """Each requirement has its version, one that fits; the image's own step checks all others."""
    wanted = PROJECT["project"]["dependencies"]
    assert {"cluster", "oidc"} == set(EXTRAS), "what a server may be configured to need"
    for extra in EXTRAS:
        wanted += PROJECT["project"]["optional-dependencies"][extra]
    wanted += PROJECT["build-system"]["requires"]
    for text in wanted:
        requirement = Requirement(text)
        version = PINS[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), text


def test_what_the_pinned_versions_need_is_pinned() -> None:
    """As far as they are installed here: other versions may need other things."""
    here = pins()
    same = [name for name, version in PINS.items() if here.get(name) == version]
    for name in same:
        found: dict[str, str] = {}
        needed(name, (), found)
        assert found.keys() <= PINS.keys(), name
    assert "numpy" in here
