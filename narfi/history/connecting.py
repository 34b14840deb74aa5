"""How are connections to a place made? With its credentials, its certificates, and no redirects.

A redirect would be followed to a page that says 200, and what was pushed be nowhere.
"""

import os
from collections.abc import Callable

import httpx
from pydantic import ValidationError

from narfi.history.errors import HistoryError
from narfi.history.loki.asking import Asker
from narfi.history.pace import Pace
from narfi.history.patience import Patience
from narfi.history.place import PUSH, Place
from promtail_agent.client.config import ClientConfig
from promtail_agent.client.transport import Transport, open_transport
from promtail_agent.errors import ConfigError
from promtail_agent.http_settings import BasicAuth, HttpSettings, TlsConfig, http_client

QUERY_TIMEOUT_S = 120.0
PUSH_TIMEOUT_S = 60.0


def client_of(place: Place) -> httpx.Client:
    """For questions; raises `HistoryError`."""
    place.address()
    try:
        settings = HttpSettings.model_validate(_settings(place))
        return http_client(settings, _headers(place), QUERY_TIMEOUT_S)
    except (ConfigError, ValidationError) as error:
        raise HistoryError(f"--{place.flag}-…: {_first(error)}") from error


def transport_of(place: Place) -> Transport:
    """For pushes; raises `HistoryError`."""
    try:
        config = ClientConfig.model_validate(
            {
                **_settings(place),
                "url": place.address() + PUSH,
                "headers": _headers(place),
                "timeout": PUSH_TIMEOUT_S,
            }
        )
        return open_transport(config)
    except (ConfigError, ValidationError) as error:
        raise HistoryError(f"--{place.flag}-…: {_first(error)}") from error


def asker_of(
    place: Place,
    client: httpx.Client,
    give_up_s: float,
    told: Callable[[str], None],
    *,
    tenant: str = "",
    queries_per_s: float = 0.0,
) -> Asker:
    """Questions of a tenant."""
    return Asker(
        client,
        place.address(),
        tenant,
        Patience(give_up_s, told),
        pace=Pace(queries_per_s),
        name="source" if place.flag == "from" else "target",
    )


def _headers(place: Place) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in place.headers:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise HistoryError(f"--{place.flag}-header {line!r} is not 'Name: value'")
        found[name.strip()] = value.strip()
    return found


def _settings(place: Place) -> dict[str, object]:
    variable = f"NARFI_IMPORT_{place.flag.upper()}_TOKEN"
    given = place.token_file or place.user
    basic = BasicAuth(username=place.user, password=place.password)
    return {
        "basic_auth": basic if place.user else None,
        "bearer_token": "" if given else os.environ.get(variable, ""),
        "bearer_token_file": place.token_file,
        "tls_config": TlsConfig(ca_file=place.ca_file, insecure_skip_verify=place.skip_verify),
        "follow_redirects": False,
    }


def _first(error: Exception) -> str:
    """One line of it."""
    if isinstance(error, ValidationError):
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return str(error)
