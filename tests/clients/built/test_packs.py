"""Do the real Promtail and Collector make of samples what packs promise, by what is rendered?"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from narfi.packs.compare import Stored, differences
from narfi.packs.rendered import files_job
from narfi.packs.samples import Expected, Sample, read_samples
from promtail_agent.packs.load import Shelf
from promtail_agent.packs.otelcol import otelcol_text
from promtail_agent.packs.promtail import job_of
from promtail_agent.packs.whole import yaml_text
from tests.clients.built.shippers import running
from tests.served import Api

SHELF = Shelf.of_environment({})
NAMES = SHELF.names()
DAY_S = (1795132800, 1795305600)
"""Of the samples' times: 20 and 21 November 2026."""
NOT_PROMTAILS = {
    # Promtail's `cri` keeps the parts of a line in another way: the first part's time, and no end.
    ("kubernetes", "cri"),
}


def samples_of(name: str) -> list[Sample]:
    """Those that are files."""
    found = read_samples(SHELF.find(name).folder / "samples", name).samples
    return [s for s in found if not s.is_syslog and (name, s.component) not in NOT_PROMTAILS]


def config(folder: Path, api: Api) -> Path:
    """A job a pack."""
    jobs = []
    for name in NAMES:
        pack = SHELF.find(name)
        job = files_job(name, pack, {s.component: s.file for s in samples_of(name)})
        jobs.append(job_of({**job, "job_name": name}, [pack]))
    whole = {
        "server": {"disable": True},
        "positions": {"filename": str(folder / "positions.yaml")},
        "clients": [{"url": f"{api.url}/loki/api/v1/push", "tenant_id": api.tenant}],
        "scrape_configs": jobs,
    }
    file = folder / "promtail.yaml"
    file.write_text(yaml_text(whole))
    assert yaml.safe_load(file.read_text()) == whole
    return file


def stored(api: Api, selector: str) -> list[Stored]:
    """Entries of the samples' day and of the last hour."""
    found: list[Stored] = []
    now_s = int(time.time())
    for start, end in (DAY_S, (now_s - 3600, now_s + 60)):
        answer = api.get(
            "/loki/api/v1/query_range",
            {"X-Loki-Response-Encoding-Flags": "categorize-labels"},
            query=selector,
            limit="5000",
            start=str(start),
            end=str(end),
        )
        for stream in answer.json["data"]["result"]:
            for ts, line, kinds in stream["values"]:
                found.append(
                    Stored(
                        labels=stream["stream"],
                        ts_ns=int(ts),
                        line=line.encode(),
                        metadata=kinds.get("structuredMetadata", {}),
                    )
                )
    return found


def test_the_real_promtail(api: Api, built: Callable[[str], str], tmp_path: Path) -> None:
    file = config(tmp_path, api)
    wanted = sum(len(s.entries) for name in NAMES for s in samples_of(name))
    with running([built("promtail"), f"-config.file={file}"], tmp_path / "out") as shipper:
        deadline, found = time.monotonic() + 120, 0
        while found < wanted and time.monotonic() < deadline:
            assert shipper.poll() is None, (tmp_path / "out").read_text()[-2000:]
            time.sleep(0.5)
            found = len(stored(api, '{app=~".+"}'))
    told: list[str] = []
    for name in NAMES:
        for sample in samples_of(name):
            selector = f'{{app="{name}",component="{sample.component}"}}'
            told += [f"{name}: {text}" for text in differences(sample, stored(api, selector))]
    assert told == []


OTEL = ("argocd", "harbor", "kubernetes", "narfi")
OTEL_KEEPS = {
    # A Collector's parser of pairs leaves quotes within values escaped, and numbers its streams so.
    ("kubernetes", "containerd"),
    ("kubernetes", "cri"),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_collector_accepts_it(name: str, built: Callable[[str], str], tmp_path: Path) -> None:
    for given in ({}, {"files": "/var/log/x/{component}.log"}):
        file = tmp_path / "collector.yaml"
        file.write_text(otelcol_text([SHELF.find(name)], given))
        command = [built("collector"), "validate", "--config", str(file)]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        assert told.stderr == "", told.stderr


@pytest.mark.parametrize("name", OTEL)
def test_the_real_collector(
    name: str, api: Api, built: Callable[[str], str], tmp_path: Path
) -> None:
    """Fields and levels as promised; what are labels elsewhere is metadata here."""
    pack = SHELF.find(name)
    words = set(pack.components)
    samples = [s for s in samples_of(name) if s.component in words or "*" in words]
    samples = [s for s in samples if (name, s.component) not in OTEL_KEEPS]
    folder = pack.folder / "samples"
    named = words - {"*"}
    wanted = [s for s in samples if s.component in named]
    file = tmp_path / "collector.yaml"
    given = {"files": f"{folder}/{{component}}.log", "url": f"{api.url}/loki/api/v1/push"}
    text = otelcol_text([pack], given)
    if not named:
        wanted = [samples[0]]
        text = text.replace("{component}", "all").replace("/all.log", f"/{samples[0].file.name}")
    document = yaml.safe_load(text)
    document["exporters"]["otlphttp"]["headers"] = {"X-Scope-OrgID": api.tenant}
    document["service"]["telemetry"] = {"metrics": {"level": "none"}}
    file.write_text(yaml_text(document))
    missing: list[str] = []
    with running([built("collector"), "--config", str(file)], tmp_path / "out") as shipper:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert shipper.poll() is None, (tmp_path / "out").read_text()[-2000:]
            time.sleep(0.5)
            found = stored(api, '{service_name=~".+"}')
            missing = [
                f"{sample.file.name}:{entry.first}"
                for sample in wanted
                for entry in sample.entries
                if not any(_fits(entry, one) for one in found)
            ]
            if not missing:
                break
    assert wanted
    assert missing == []


def _fits(wanted: Expected, one: Stored) -> bool:
    pairs = {**wanted.fields, **wanted.labels}
    level = wanted.level is None or one.level == wanted.level
    return one.line == wanted.line and level and pairs.items() <= one.metadata.items()
