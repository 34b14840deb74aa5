"""Does the OpenTelemetry Collector ship files to us by OTLP, over HTTP and gRPC?"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.built.shippers import running, written_and_delivered
from tests.served import Api

CONFIG = """
receivers:
  filelog:
    include: [{folder}/*.log]
    start_at: beginning
    poll_interval: 50ms
    resource: {{service.name: shop, k8s.pod.name: p1}}
exporters:
{exporter}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs: {{receivers: [filelog], exporters: [{name}]}}
"""
EXPORTERS = {
    "otlphttp": """
  otlphttp:
    endpoint: {api.url}/otlp
    headers: {{X-Scope-OrgID: {api.tenant}}}
""",
    "otlphttp-json": """
  otlphttp:
    endpoint: {api.url}/otlp
    encoding: json
    compression: zstd
    headers: {{X-Scope-OrgID: {api.tenant}}}
""",
    "otlp": """
  otlp:
    endpoint: {api.grpc}
    tls: {{insecure: true}}
    headers: {{X-Scope-OrgID: {api.tenant}}}
""",
}


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_line_arrives_once(
    api: Api, built: Callable[[str], str], tmp_path: Path, name: str
) -> None:
    exporter = EXPORTERS[name].format(api=api)
    file = tmp_path / "collector.yaml"
    file.write_text(
        CONFIG.format(folder=tmp_path, exporter=exporter, name=name.removesuffix("-json"))
    )
    with running(
        [built("collector"), f"--config=file:{file}"], tmp_path / "collector.out"
    ) as shipper:
        found = written_and_delivered(tmp_path, shipper, api, '{service_name="shop"}')
    for labels, _ in found:
        assert labels["k8s_pod_name"] == "p1"
        assert labels["log_file_name"] in ("app0.log", "app1.log", "app2.log")
        assert labels["detected_level"] == "info"
