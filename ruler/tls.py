"""Which certificates does a connection to others trust and show?"""

import ssl
from pathlib import Path

from narfi.core.settings import SettingsError


def tls_context(
    where: str, *, ca: Path | None, cert: Path | None, key: Path | None, insecure: bool
) -> ssl.SSLContext:
    """`ca` is trusted instead of the system's; `cert` and `key` are our own; `insecure`: take any.

    Raises `SettingsError`, with `where` in its text, for files that cannot be used.
    """
    try:
        found = ssl.create_default_context(cafile=None if ca is None else str(ca))
        if cert is not None:
            found.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{where}: TLS files: {error}") from error
    if insecure:
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
    return found
