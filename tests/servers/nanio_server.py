"""A server that speaks S3 and takes no notice of `If-None-Match`: nanio, in its own process."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.servers.s3 import CREDENTIALS, S3, serving


@contextlib.contextmanager
def running(folder: Path) -> Iterator[S3]:
    """Serve a folder, of which each folder is a bucket, until the `with` ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = {
        "NANIO_ACCESS_KEY": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "NANIO_SECRET_KEY": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    }
    arguments = ("--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(port))
    command = [str(Path(sys.executable).with_name("nanio")), "serve", *arguments]

    def look() -> None:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()

    with serving(command, port, look, os.environ | own) as found:
        yield found
