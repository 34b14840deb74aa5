"""Does the real Promtail push its files to us, with its labels, metadata and times?"""

from collections.abc import Callable
from pathlib import Path

from tests.clients.built.shippers import running, wait_for_all, write_files
from tests.served import Api

CONFIG = """
server: {{disable: true}}
positions: {{filename: {folder}/positions.yaml, sync_period: 100ms}}
clients:
  - {{url: "{api.url}/loki/api/v1/push", tenant_id: {api.tenant}, batchwait: 100ms}}
target_config: {{sync_period: 100ms}}
scrape_configs:
  - job_name: pods
    static_configs:
      - {{targets: [localhost], labels: {{job: pods, __path__: "{folder}/*.log"}}}}
    pipeline_stages:
      - cri: {{}}
      - logfmt: {{mapping: {{level: , number: n}}}}
      - labels: {{level: }}
      - structured_metadata: {{number: }}
"""


def test_every_line_arrives_once(api: Api, built: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "promtail.yaml"
    file.write_text(CONFIG.format(folder=tmp_path, api=api))
    with running([built("promtail"), f"-config.file={file}"], tmp_path / "promtail.out") as shipper:
        found = wait_for_all(shipper, api, '{job="pods", level="info"}', write_files(tmp_path))
    for labels, line in found:
        assert labels["stream"] == "stdout"
        assert Path(labels["filename"]).parent == tmp_path
        assert f"n={labels['number']} " in line


def test_ours_sends_the_same(api: Api, built: Callable[[str], str], tmp_path: Path) -> None:
    """Both agents read the same finished files by the same configuration."""
    import sys

    commands = {
        "theirs": [built("promtail")],
        "ours": [sys.executable, "-m", "narfi.cli", "agent"],
    }
    texts = write_files(tmp_path)
    sent = {}
    for who, command in commands.items():
        config = CONFIG.replace("positions.yaml", f"{who}.yaml").replace("job: pods", f"job: {who}")
        file = tmp_path / f"{who}.config"
        file.write_text(config.format(folder=tmp_path, api=api).replace("*.log", "*.log*"))
        with running([*command, f"-config.file={file}"], tmp_path / f"{who}.out") as shipper:
            wait_for_all(shipper, api, f'{{job="{who}"}}', texts)
        answer = api.get("/loki/api/v1/query_range", query=f'{{job="{who}"}}', limit="5000")
        sent[who] = sorted(
            (
                ts,
                line,
                sorted(
                    (n, v) for n, v in stream["stream"].items() if n not in {"job", "service_name"}
                ),
            )
            for stream in answer.json["data"]["result"]
            for ts, line in stream["values"]
        )
    assert sent["ours"] == sent["theirs"]
