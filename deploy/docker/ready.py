#!/usr/local/bin/python3 -IS
"""Is the process of this container ready? Exit status 0: yes, 1: no. For HEALTHCHECK.

`narfi-ready [HOST:PORT]`; without an address it is the server's (`NARFI_SERVER__HTTP`).
"""

import http.client
import os
import ssl
import sys

PATIENCE_S = 4
"""Less than HEALTHCHECK's own time limit."""


def asked(arguments: list[str]) -> tuple[str, int]:
    """Host and port; an address that is open to all is asked on the loopback interface."""
    default = os.environ.get("NARFI_SERVER__HTTP", "127.0.0.1:3100")
    host, _, port = (arguments[0] if arguments else default).rpartition(":")
    host = host.strip("[]")
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host), int(port)


def connected(host: str, port: int) -> http.client.HTTPConnection:
    """A connection; over TLS where the server's settings say so, to whatever is on this machine."""
    if not os.environ.get("NARFI_SERVER__TLS__CERT_FILE"):
        return http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=PATIENCE_S, context=context)


def main() -> int:
    """Ask once; what is answered goes to the standard output."""
    host, port = asked(sys.argv[1:])
    connection = connected(host, port)
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        sys.stdout.write(answer.read(1000).decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        sys.stdout.write(f"no answer: {error}\n")
        return 1
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
