"""Does what Python programs send come back with the labels that their users expect?"""

import json
import logging
import subprocess
import time
from typing import Any

import pytest

from tests.api.conftest import Api

PUSH = "/loki/api/v1/push"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the clients themselves


def found(api: Api, query: str) -> list[tuple[dict[str, str], str]]:
    """(labels, line) of the entries of the last hour, oldest first; waits for the first."""
    until = time.monotonic() + 60
    while True:
        answer = api.get("/loki/api/v1/query_range", query=query, direction="forward")
        assert answer.status == 200, answer.text
        result = answer.json["data"]["result"]
        if result or time.monotonic() > until:
            break
        time.sleep(0.1)
    entries = [(int(ts), s["stream"], line) for s in result for ts, line in s["values"]]
    return [(labels, line) for _, labels, line in sorted(entries, key=lambda e: e[0])]


def logger_with(handler: logging.Handler, name: str) -> logging.Logger:
    """A logger that only the handler hears."""
    logger = logging.Logger(name)
    logger.addHandler(handler)
    return logger


@pytest.mark.parametrize("version", ["0", "1"])
def test_python_logging_loki(api: Api, version: str) -> None:
    import logging_loki

    handler = logging_loki.LokiHandler(
        url=api.url + ("/api/prom/push" if version == "0" else PUSH),
        tags={"app": "plain"},
        version=version,
    )
    handler.emitter.session.headers["X-Scope-OrgID"] = api.tenant
    handler.handleError = lambda record: pytest.fail("the push was refused")
    logger = logger_with(handler, "shop")
    logger.warning("something odd", extra={"tags": {"area": "cart"}})
    ((labels, line),) = found(api, '{app="plain"}')
    assert line == "something odd"
    assert labels["severity"] == "warning"
    assert labels["logger"] == "shop"
    assert labels["area"] == "cart"


def test_loki_logger_handler(api: Api) -> None:
    from loki_logger_handler.loki_logger_handler import LokiLoggerHandler

    handler: Any = LokiLoggerHandler(
        url=api.url + PUSH,
        labels={"app": "gzip"},
        additional_headers={"X-Scope-OrgID": api.tenant},
        timeout=1,  # a batch is sent after a second
        enable_structured_loki_metadata=True,
        loki_metadata={"service": "orders"},
    )
    logger_with(handler, "shop").error("it broke")
    ((labels, line),) = found(api, '{app="gzip"}')
    assert "it broke" in line
    assert labels["service"] == "orders"
    assert labels["detected_level"] == "error"


def test_opentelemetry_over_http(api: Api) -> None:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    exporter = OTLPLogExporter(
        endpoint=f"{api.url}/otlp/v1/logs",
        headers={"X-Scope-OrgID": api.tenant},
        compression=Compression.Gzip,
    )
    _export(api, exporter)


def test_opentelemetry_over_grpc(api: Api) -> None:
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    exporter = OTLPLogExporter(
        endpoint=api.grpc, insecure=True, headers=(("x-scope-orgid", api.tenant),)
    )
    _export(api, exporter)


def _export(api: Api, exporter: Any) -> None:
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create({"service.name": "shop", "k8s.pod.name": "p1", "host.name": "h"})
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    handler = LoggingHandler(logger_provider=provider)
    logger_with(handler, "cart").error("no stock", extra={"order": 7})
    provider.shutdown()
    ((labels, line),) = found(api, '{service_name="shop"}')
    assert line == "no stock"
    assert labels["k8s_pod_name"] == "p1"
    assert labels["host_name"] == "h"
    assert labels["order"] == "7"
    assert labels["detected_level"] == "error"
    assert labels["scope_name"] == "cart"


def test_curl_as_in_lokis_documentation(api: Api) -> None:
    values = [[str(time.time_ns()), "fizzbuzz"]]
    body = json.dumps({"streams": [{"stream": {"foo": "bar2"}, "values": values}]})
    command = ["curl", "-sS", "-w", "%{http_code}", "-H", "Content-Type: application/json"]
    command += ["-H", f"X-Scope-OrgID: {api.tenant}", "-XPOST", api.url + PUSH, "--data-raw", body]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("curl is not installed")
    assert result.stdout == "204"
    assert [line for _, line in found(api, '{foo="bar2"}')] == ["fizzbuzz"]
