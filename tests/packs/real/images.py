"""What does skopeo push? An image of one layer, written as its `dir:` reads it."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def write_image(folder: Path, content: bytes) -> int:
    """Make an image that holds a file with this content; returns the bytes of its parts."""
    folder.mkdir()
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        member = tarfile.TarInfo("content")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    layer = gzip.compress(plain.getvalue(), mtime=0)
    layers = {"type": "layers", "diff_ids": [_digest(plain.getvalue())]}
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": layers}
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _part(folder, CONFIG, config),
        "layers": [_part(folder, LAYER, layer)],
    }
    text = json.dumps(manifest)
    (folder / "manifest.json").write_text(text)
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    return len(layer) + len(config) + len(text)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _part(folder: Path, kind: str, content: bytes) -> dict[str, str | int]:
    digest = _digest(content)
    (folder / digest.removeprefix("sha256:")).write_bytes(content)
    return {"mediaType": kind, "size": len(content), "digest": digest}
