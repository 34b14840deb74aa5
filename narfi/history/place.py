"""Which server does an import speak to, and as whom? As flags say it; `connecting.py` does it."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from narfi.history.errors import HistoryError

PUSH = "/loki/api/v1/push"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server; `flag` is `from` or `to`, for messages."""

    flag: str
    url: str
    token_file: str = ""
    user: str = ""
    password: str = ""
    headers: tuple[str, ...] = ()
    ca_file: str = ""
    skip_verify: bool = False

    def address(self) -> str:
        """Without a path of the API and without an end slash; raises `HistoryError`."""
        url = self.url.rstrip("/")
        for path in (PUSH, "/loki/api/v1", "/loki"):
            url = url.removesuffix(path)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise HistoryError(f"--{self.flag} {self.url!r} is no address: it is http://HOST:PORT")
        if parts.username or parts.password:
            raise HistoryError(f"--{self.flag}: give user and password by their own flags")
        return url
