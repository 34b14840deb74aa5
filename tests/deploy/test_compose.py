"""Does the Compose file fit its schema, and does every program take the file that it is given?"""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from narfi.core.settings import load_settings
from promtail_agent.config_file import load_agent_config
from tests.deploy.dockerfile import FILE, ROOT, stages_of

FOLDER = ROOT / "deploy/compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def schema() -> Any:
    """The specification's, as the package check-jsonschema brings it."""
    found = importlib.util.find_spec("check_jsonschema")
    assert found is not None
    assert found.origin is not None
    file = Path(found.origin).parent / "builtin_schemas/vendor/compose-spec.json"
    return json.loads(file.read_text())


def mounts(service: str) -> dict[str, str]:
    """What is mounted, by its path in the container."""
    triples = (volume.split(":") for volume in SERVICES[service].get("volumes", []))
    return {triple[1]: triple[0] for triple in triples}


def test_the_schema() -> None:
    jsonschema.validate(COMPOSE, schema())


def test_the_schema_finds_a_misspelt_key() -> None:
    wrong = {**COMPOSE, "services": {"narfi": {**SERVICES["narfi"], "enviroment": {}}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema())


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_there(name: str) -> None:
    service = SERVICES[name]
    for source in mounts(name).values():
        if source.startswith("."):
            assert (FOLDER / source).exists(), source
        elif not source.startswith("/"):
            assert source in COMPOSE["volumes"]
    for other in service.get("depends_on", {}):
        condition = service["depends_on"][other]["condition"]
        checked = "healthcheck" in SERVICES[other] or "build" in SERVICES[other]  # by its image
        assert condition == "service_completed_successfully" or checked
    if "build" in service:
        context = FOLDER / service["build"]["context"]
        assert (context / service["build"]["dockerfile"]).exists()


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+(\.\d+)+(-[a-z]+)?", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_may(name: str) -> None:
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")  # nothing asks for a password but Grafana
    assert "/var/run/docker.sock" not in str(service)
    assert service["logging"]["options"]["max-size"]  # else the disk fills
    if service["image"].startswith("narfi:"):
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]


def test_no_password_is_written_here() -> None:
    """All come from `.env`, and without it nothing starts."""
    secret = re.compile(r"PASSWORD|SECRET|ACCESS_KEY")
    found = [
        value
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if secret.search(key)
    ]
    assert len(found) == 9
    assert all(re.fullmatch(r"\$\{[A-Z0-9_]+:\?run secrets\.sh first\}", value) for value in found)
    assert "/deploy/compose/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_secrets(tmp_path: Path) -> None:
    """The script writes all that the Compose file asks for, for its owner, once."""
    shutil.copy(FOLDER / "secrets.sh", tmp_path)
    command = ["sh", str(tmp_path / "secrets.sh")]
    subprocess.run(command, check=True, capture_output=True)
    file = tmp_path / ".env"
    first = file.read_text()
    pairs = dict(line.split("=") for line in first.splitlines())
    asked = set(re.findall(r"\$\{([A-Z0-9_]+)[:}]", (FOLDER / "compose.yaml").read_text()))
    assert pairs.keys() == asked
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in pairs.values())
    assert len(set(pairs.values())) == len(pairs)
    assert file.stat().st_mode & 0o777 == 0o600
    subprocess.run(command, check=True, capture_output=True)
    assert file.read_text() == first


def test_settings_of_the_server() -> None:
    settings = load_settings(FOLDER / "narfi.yaml", {}, {})
    assert str(settings.data_dir) in mounts("narfi")
    assert settings.ruler.directory is not None
    assert str(settings.ruler.directory) in mounts("narfi")
    hosts = re.findall(r"(?:https?://|@)([a-z0-9]+)[:/]", (FOLDER / "narfi.yaml").read_text())
    assert set(hosts) - {"localhost"} <= SERVICES.keys()
    command = SERVICES["narfi"]["command"]
    assert command[:2] == ["serve", "--insecure"]
    assert command[-1] in mounts("narfi")
    assert SERVICES["bucket"]["command"] == ["http://s3:7070/logs"]
    assert settings.storage.url.startswith("s3://logs/")


def test_settings_of_the_agent() -> None:
    config = load_agent_config(FOLDER / "agent.yaml")
    assert config.notices == ()
    text = yaml.safe_load((FOLDER / "agent.yaml").read_text())
    state = [target for target, source in mounts("agent").items() if source == "agent"]
    for path in (text["positions"]["filename"], text["spool"]["directory"]):
        assert [str(Path(path).parent)] == state
    # root without rights writes to its own folders alone, and the image's is another user's
    assert SERVICES["agent"]["user"] == "0:0"
    assert state != [stages_of(FILE.read_text())[1][-1].pairs("ENV")["NARFI_DATA_DIR"]]
    (job,) = text["scrape_configs"]
    path = job["static_configs"][0]["labels"]["__path__"]
    assert path.startswith("/var/lib/docker/containers/")
    label = SERVICES["narfi"]["logging"]["options"]["labels"]
    assert f'"{label}"' in job["pipeline_stages"][0]["json"]["expressions"]["service"]
    port = SERVICES["agent"]["healthcheck"]["test"][-1].rpartition(":")[2]
    assert int(port) == text["server"]["http_listen_port"]


@pytest.mark.parametrize("program", ["promtool", "amtool"])
def test_prometheus_and_alertmanager(program: str) -> None:
    """Debian's own programs check what they would be given (`make programs`)."""
    if shutil.which(program) is None:
        pytest.skip(f"no {program} (make programs)")
    commands = {
        "promtool": [
            ["check", "config", "--syntax-only", "prometheus.yml"],
            ["check", "rules", "--lint-fatal", "../prometheus/alerts.yml"],
        ],
        "amtool": [["check-config", "alertmanager.yml"]],
    }
    for arguments in commands[program]:
        done = subprocess.run(
            [program, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout


def test_prometheus_asks_who_is_there() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    for job in config["scrape_configs"]:
        (target,) = job["static_configs"][0]["targets"]
        assert target.split(":")[0] in {*SERVICES, "localhost"}
    assert config["rule_files"][0] in mounts("prometheus")


def test_grafana_finds_the_dashboard() -> None:
    (file,) = (FOLDER / "grafana/dashboards").iterdir()
    config = yaml.safe_load(file.read_text())
    (provider,) = config["providers"]
    assert (config["apiVersion"], provider["type"]) == (1, "file")
    folder = FOLDER / mounts("grafana")[provider["options"]["path"]]
    assert [one.name for one in folder.iterdir()] == ["narfi.json"]


def test_grafana() -> None:
    """Keys of Grafana's provisioning, and links between the three sources."""
    (file,) = (FOLDER / "grafana/datasources").iterdir()
    config = yaml.safe_load(file.read_text())
    assert config["apiVersion"] == 1
    sources = {source["type"]: source for source in config["datasources"]}
    assert sources.keys() == {"loki", "prometheus", "alertmanager"}
    known = {"name", "uid", "type", "access", "url", "isDefault", "jsonData"}
    for source in sources.values():
        assert source.keys() <= known
        assert re.match(r"http://([a-z]+):", source["url"])[1] in SERVICES  # type: ignore[index]
    assert [kind for kind, source in sources.items() if source.get("isDefault")] == ["loki"]
    for kind in ("loki", "prometheus"):
        assert sources[kind]["jsonData"]["alertmanagerUid"] == sources["alertmanager"]["uid"]
    settings = load_settings(FOLDER / "narfi.yaml", {}, {})
    assert settings.ruler.datasource_uid == sources["loki"]["uid"]
