"""Does the docker-registry pack tell what a real registry does for skopeo, and what is wrong?"""

import base64
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.server import free_port
from tests.packs.real.images import write_image
from tests.packs.real.watching import Program, Watched, eventually, status

CONFIG = """
version: 0.1
log: {{level: info, formatter: {formatter}, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: lab, path: {folder}/htpasswd}}}}
"""
USER, PASSWORD = "ci", "open-sesame"
LINK = "data/docker/registry/v2/repositories/shop/api/_manifests/tags/1/current/link"


@dataclass(frozen=True)
class _Registry:
    """Its address, and the skopeo that asks it."""

    skopeo: str
    port: int

    def copy(self, way: str, *places: str) -> bool:
        """Whether skopeo could push (`dest`) or pull (`src`)."""
        flags = [f"--{way}-tls-verify=false", f"--{way}-creds", f"{USER}:{PASSWORD}"]
        command = [self.skopeo, "--insecure-policy", "copy", "-q", *flags, *places]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def push(self, folder: Path, image: str) -> bool:
        return self.copy("dest", f"dir:{folder}", f"docker://127.0.0.1:{self.port}/{image}")

    def pull(self, image: str, folder: Path) -> bool:
        return self.copy("src", f"docker://127.0.0.1:{self.port}/{image}", f"dir:{folder}")

    def ask(self, path: str, password: str, method: str = "GET") -> int:
        pair = base64.b64encode(f"{USER}:{password}".encode()).decode()
        url = f"http://127.0.0.1:{self.port}{path}"
        return status(url, method, {"Authorization": f"Basic {pair}"})


@pytest.mark.parametrize("formatter", ["text", "json"])
def test_docker_registry(
    formatter: str,
    program: Callable[[str], str],
    watch: Callable[[str], Watched],
    tmp_path: Path,
) -> None:
    registry = _Registry(program("skopeo"), free_port())
    hashed = subprocess.run(
        [program("htpasswd"), "-nbB", USER, PASSWORD], check=True, capture_output=True
    )
    (tmp_path / "htpasswd").write_bytes(hashed.stdout)
    config = tmp_path / "registry.yaml"
    config.write_text(CONFIG.format(formatter=formatter, folder=tmp_path, port=registry.port))
    binary = program("docker-registry")
    files = {"registry": tmp_path / "registry.log", "registry-gc": tmp_path / "gc.log"}
    pack = watch("docker-registry")
    sizes = {name: write_image(tmp_path / name, name.encode() * 100) for name in ("api", "web")}
    with (
        Program(command=[binary, "serve", str(config)], log=files["registry"]) as serving,
        pack.following(tmp_path, files),
    ):
        serving.wait(f"http://127.0.0.1:{registry.port}/")
        assert registry.push(tmp_path / "api", "shop/api:1")
        assert registry.push(tmp_path / "web", "shop/web:2")
        assert all(registry.pull("shop/api:1", tmp_path / f"pulled-{n}") for n in range(2))
        assert not registry.pull("shop/api:9", tmp_path / "missing")
        assert registry.ask("/v2/", "mistyped") == 401
        with files["registry-gc"].open("wb") as gc:
            command = [binary, "garbage-collect", str(config)]
            subprocess.run(command, check=True, stdout=gc, stderr=gc)
        eventually(lambda: pack.values("Found by garbage collection"), {(): 0})
        eventually(lambda: len(pack.lines("Wrong passwords")) > 0, True)
        pushes = pack.values("Pushes by repository and tag", "repository", "reference")
        assert pushes == {("shop/api", "1"): 1, ("shop/web", "2"): 1}
        assert pack.values("Pulls by repository", "repository") == {("shop/api",): 2}
        missing = pack.values("Pulls of what is not there", "repository", "reference", "user")
        assert missing == {("shop/api", "9", USER): 1}
        served = pack.values("Bytes served by repository", "repository")
        assert served == {("shop/api",): 2 * sizes["api"]}
        unknown, refused = pack.lines("Errors")
        assert "manifest unknown" in unknown
        assert "authentication failure" in refused
        assert pack.alerts() == set()

        assert {registry.ask("/v2/", "guessed") for _ in range(25)} == {401}
        held = {"RegistryWrongPasswords"}
        eventually(pack.alerts, held)

        assert registry.ask("/v2/shop/api/blobs/uploads/", "expired", "POST") == 401
        held |= {"RegistryPushRefused"}
        eventually(pack.alerts, held)

        (tmp_path / LINK).unlink()
        (tmp_path / LINK).mkdir()
        manifest = "/v2/shop/api/manifests/1"
        assert [registry.ask(manifest, PASSWORD) for _ in range(10)] == [500] * 10
        held |= {"RegistryServerErrors"}
        eventually(pack.alerts, held)
