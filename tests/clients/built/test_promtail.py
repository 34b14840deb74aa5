"""Does the real Promtail push its files to us, with its labels, metadata and times?"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import Running
from tests.clients.built.shippers import running, written_and_delivered
from tests.served import Api

Sent = dict[str, dict[str, list[list[Any]]]]
QUIET_S = 4.0
WRITTEN = "2025-10-09"
"""The day in the lines below, for which the day before yesterday is put."""
_EARLIER = datetime.now(UTC) - timedelta(days=2)
DAY = f"{_EARLIER:%Y-%m-%d}"
START_S = int(_EARLIER.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
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
      - logfmt: {{mapping: {{level: , number: "n"}}}}
      - labels: {{level: }}
      - structured_metadata: {{number: }}
"""


def test_every_line_arrives_once(api: Api, built: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "promtail.yaml"
    file.write_text(CONFIG.format(folder=tmp_path, api=api))
    with running([built("promtail"), f"-config.file={file}"], tmp_path / "promtail.out") as shipper:
        found = written_and_delivered(tmp_path, shipper, api, '{job="pods", level="info"}')
    for labels, line in found:
        assert labels["stream"] == "stdout"
        assert Path(labels["filename"]).parent == tmp_path
        assert f"n={labels['number']} " in line


PLAIN = [
    'ts=2025-10-09T08:00:00Z level=INFO path=/a user=ann took=15ms msg="one two"',
    'ts=2025-10-09T08:00:01.5Z level=warn path=/b user=bob took=2s msg="password=x1"',
    "no pairs here, only text; user=eve",
    "",
    "\x1b[31mred\x1b[0m level=error user=ann",
]
OBJECTS = [
    '{"level":"info","n":1,"deep":{"a":[1,2,{"b":"x"}]},"msg":"hello","time":"2025-10-09T08:00:00.25Z"}',
    '{"level":"ERROR","n":2.5,"msg":"a \\"quoted\\" word","time":"2025-10-09T08:00:01Z","ok":true}',
    '{"level":null,"msg":"","time":"soon"}',
    "not json",
]
TRACE = ["2025 start", "  at one", "  at two", "2025 next", "2025 last", "  at three"]
JOBS: dict[str, tuple[list[str], str]] = {
    "cri": (
        [f"2025-10-09T08:00:0{k}.5Z stderr F line {k}" for k in range(3)]
        + ["2025-10-09T08:00:07Z stdout P part one, ", "2025-10-09T08:00:08Z stdout F part two"],
        "[{cri: {}}]",
    ),
    "docker": (
        ['{"log":"hello\\n","stream":"stdout","time":"2025-10-09T08:00:00.123456789Z"}', "bad"],
        "[{docker: {}}]",
    ),
    "json": (
        OBJECTS,
        "[{json: {expressions: {level: , 'n': , b: 'deep.a[2].b', deep: , message: msg, ok: }}},"
        " {labels: {level: , 'n': , b: , ok: }}, {output: {source: message}}]",
    ),
    "json-drop": (
        OBJECTS,
        "[{json: {expressions: {'n': 'n'}, drop_malformed: true}}, {labels: {'n': }}]",
    ),
    "timestamp": (
        OBJECTS,
        "[{json: {expressions: {time: time}}}, {timestamp: {source: time, format: RFC3339Nano}}]",
    ),
    "logfmt": (
        PLAIN,
        "[{logfmt: {mapping: {level: , user: , took: }}}, {structured_metadata: {took: }},"
        " {labels: {level: , who: user}}]",
    ),
    "regex": (
        PLAIN,
        "[{regex: {expression: 'level=(?P<level>\\S+) path=(?P<path>\\S+)'}}, {labels: {path: }},"
        " {replace: {expression: 'password=(\\S+)', replace: '***'}},"
        " {replace: {expression: 'user=(\\w+)', replace: '{{ .Value | ToUpper }}'}}]",
    ),
    "template": (
        PLAIN,
        "[{logfmt: {mapping: {level: , msg: , user: }}},"
        " {template: {source: level, template: '{{ ToLower .Value | TrimSpace }}-{{ .user }}'}},"
        ' {template: {source: new, template: \'{{ .msg | default "none" | Replace "o" "0" 1 }}\'}},'
        " {labels: {level: }}, {structured_metadata: {new: }}]",
    ),
    "drop": (
        PLAIN,
        "[{logfmt: {mapping: {level: }}}, {drop: {source: level, expression: '(?i)info'}},"
        " {drop: {longer_than: 60}}, {static_labels: {place: here}}, {decolorize: }]",
    ),
    "match": (
        PLAIN,
        '[{match: {selector: \'{job=~".+"} |= "ann"\','
        " stages: [{static_labels: {found: 'yes'}}]}},"
        ' {match: {selector: \'{job=~".+"} !~ "user"\', action: drop}},'
        " {labelallow: [found, job, who]}]",
    ),
    "multiline": (TRACE, "[{multiline: {firstline: '^2025', max_wait_time: 500ms}}]"),
    "pack": (
        [*PLAIN[:2], "user=<b>&é z=1 a=\u2028", "no user"],
        "[{logfmt: {mapping: {user: , z: }}}, {labels: {user: , z: }},"
        " {pack: {labels: [z, user], ingest_timestamp: false}}]",
    ),
    "labeldrop": (PLAIN[:1], "[{labeldrop: [filename]}]"),
}


def jobs(folder: Path, who: str) -> str:
    """The section of all jobs, each with a file of its own."""
    found = ["scrape_configs:"]
    for name, (_, stages) in JOBS.items():
        path = json.dumps(str(folder / f"{name}.txt"))
        labels = f"{{job: {name}, who: {who}, __path__: {path}}}"
        found += [f"  - job_name: {name}", f"    static_configs: [{{labels: {labels}}}]"]
        found += [f"    pipeline_stages: {stages}"]
    return "\n".join(found)


def sent_by(api: Api, who: str) -> dict[str, list[list[Any]]]:
    """What came of each job; times only where a stage sets them."""
    answer = api.get(
        "/loki/api/v1/query_range", query=f'{{who="{who}"}}', limit="5000", start=str(START_S)
    )
    found: dict[str, list[list[Any]]] = {name: [] for name in JOBS}
    for stream in answer.json["data"]["result"]:
        labels = {n: v for n, v in stream["stream"].items() if n not in {"who", "filename"}}
        for ts, line in stream["values"]:
            time_of = ts if int(ts) < (START_S + 86_400) * 10**9 else "now"
            found[labels["job"]].append([time_of, line, sorted(labels.items())])
    return {name: sorted(entries, key=repr) for name, entries in found.items()}


@pytest.fixture(scope="module")
def sent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """Both agents over the same files."""
    running_server: Running = request.getfixturevalue("running")
    promtail = shutil.which("promtail")
    if promtail is None:
        pytest.skip("promtail is not built: make clients does it where Go is")
    api = Api(running_server.url, "promtail-and-ours", running_server.grpc)
    folder = tmp_path_factory.mktemp("agents")
    for name, (lines, _) in JOBS.items():
        (folder / f"{name}.txt").write_text(
            "".join(f"{line}\n" for line in lines).replace(WRITTEN, DAY)
        )
    head = CONFIG[: CONFIG.index("scrape_configs:")]
    found: Sent = {}
    for who, command in {
        "theirs": [promtail],
        "ours": [sys.executable, "-m", "narfi.cli", "agent"],
    }.items():
        file = folder / f"{who}.config"
        text = head.replace("positions.yaml", f"{who}.yaml").format(folder=folder, api=api)
        file.write_text(text + jobs(folder, who))
        with running([*command, f"-config.file={file}"], folder / f"{who}.out") as shipper:
            found[who] = settled(shipper, lambda who=who: sent_by(api, who))  # type: ignore[misc]
    return found


def settled(
    shipper: "subprocess.Popen[bytes]", ask: Callable[[], dict[str, list[list[Any]]]]
) -> dict[str, list[list[Any]]]:
    """The answer when every job sent something, and nothing came for some seconds."""
    until, last, since = time.monotonic() + 120, ask(), time.monotonic()
    while not all(last.values()) or time.monotonic() < since + QUIET_S:
        assert shipper.poll() is None, "the agent ended"
        assert time.monotonic() < until, [name for name, entries in last.items() if not entries]
        time.sleep(0.3)
        now = ask()
        if now != last:
            last, since = now, time.monotonic()
    return last


@pytest.mark.parametrize("job", JOBS)
def test_ours_sends_the_same(sent: Sent, job: str) -> None:
    theirs = sent["theirs"][job]
    if job == "docker":  # ours leaves out the newline that ends each line (docs/compat.md)
        theirs = [[ts, line.removesuffix("\n"), labels] for ts, line, labels in theirs]
    assert sent["ours"][job] == theirs
