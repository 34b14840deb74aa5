#!/usr/local/bin/python3 -IS
"""What shall happen before a container stops? Clients go elsewhere, then entries become blocks.

`narfi-drain [SECONDS]`: waits so long, while load balancers forget this pod and it still serves;
then asks the server to flush, with the token in the file that `DRAIN_TOKEN_FILE` names, if any. For
`preStop`. It never fails: what is not flushed is in the journal.
"""

import http.client
import os
import ssl
import sys
import time
from pathlib import Path

FLUSH_S = 240
"""Longer than a flush takes; the pod's grace must be longer than both."""


def sign_in() -> dict[str, str]:
    """The header for a server that asks for tokens."""
    file = Path(os.environ.get("DRAIN_TOKEN_FILE", ""))
    return {"Authorization": f"Bearer {file.read_text().strip()}"} if file.is_file() else {}


def connected(host: str, port: int) -> http.client.HTTPConnection:
    """A connection; over TLS where the server's settings say so, to whatever is on this machine."""
    if not os.environ.get("NARFI_SERVER__TLS__CERT_FILE"):
        return http.client.HTTPConnection(host, port, timeout=FLUSH_S)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=FLUSH_S, context=context)


def flush() -> str:
    """Ask once; what came of it."""
    host, _, port = os.environ.get("NARFI_SERVER__HTTP", "127.0.0.1:3100").rpartition(":")
    host = host.strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = connected(host, int(port))
    try:
        connection.request("POST", "/flush", headers=sign_in())
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"not flushed: {error}"
    return "flushed" if answer.status == 204 else f"not flushed: status {answer.status}"


def main() -> None:
    """Wait, then flush."""
    time.sleep(float(sys.argv[1]) if sys.argv[1:] else 0)
    sys.stdout.write(flush() + "\n")


if __name__ == "__main__":
    main()
