"""What do packs cost the agent? CPU time of one pack against that of thirty, over the same lines.

`python -m benchmarks.agent_packs [LINES]`. Read in this process by the agent's own readers and
stages, in turns, so that the machine's moods meet all alike; the smallest time of each counts.
The thirty are the shipped packs and copies of them by other names.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from promtail_agent.config_file import load_agent_config
from promtail_agent.jobs import Job
from promtail_agent.metrics import AgentMetrics
from promtail_agent.packs.load import SHIPPED, Shelf
from promtail_agent.positions import PositionLedger
from promtail_agent.reading import entries_of
from promtail_agent.stages.base import StageContext
from promtail_agent.targets.received import public_labels
from promtail_agent.targets.syslog_messages import parse_message

LINES = 100_000
ROUNDS = 5
MANY = 30
SYSTEM, COMPONENT = "docker-registry", "registry-text"


def many_packs(folder: Path) -> list[str]:
    """Names or folders of thirty packs; that of the lines is the last."""
    shipped = [name for name in Shelf.of_environment({}).names() if name != SYSTEM]
    found = list(shipped)
    for number in range(MANY - 1 - len(shipped)):
        source = SHIPPED / shipped[number % len(shipped)]
        copy = folder / f"copy-{number}"
        (copy / "stages").mkdir(parents=True)
        manifest = yaml.safe_load((source / "pack.yaml").read_text())
        (copy / "pack.yaml").write_text(yaml.safe_dump({**manifest, "name": copy.name}))
        for stages in (source / "stages").glob("*.yaml"):
            (copy / "stages" / stages.name).write_text(stages.read_text())
        found.append(str(copy))
    return [*found, SYSTEM]


def write_lines(file: Path, lines: int) -> None:
    """Lines of the registry, again and again."""
    sample = (SHIPPED / SYSTEM / "samples" / f"{COMPONENT}.log").read_bytes().splitlines(True)
    with file.open("wb") as out:
        for number in range(lines):
            out.write(sample[number % len(sample)])


def cpu_s(config_file: Path) -> tuple[float, int]:
    """Seconds of CPU to read everything, and how many entries came."""
    config = load_agent_config(config_file)
    (job_config,) = config.scrape_configs
    job = Job(
        config=job_config,
        agent=config,
        ledger=PositionLedger(Path("/dev/null"), 1, {}),
        context=StageContext(metrics=AgentMetrics()),
    )
    entries = 0
    try:
        began = time.process_time()
        job.files.start()
        for _ in job.files.rescan(time.monotonic()):
            pass
        for reader in job.files.readers():
            while (chunk := reader.read(time.monotonic())) is not None:
                entries += sum(1 for _ in job.pipeline.process(entries_of(reader, chunk)))
        return time.process_time() - began, entries
    finally:
        job.files.close()


def message_cpu_s(config_file: Path, messages: int) -> float:
    """Seconds of CPU to read syslog messages and find their labels: each by itself."""
    (job,) = load_agent_config(config_file).scrape_configs
    began = time.process_time()
    for number in range(messages):
        found = parse_message(b"<30>Nov 20 08:00:07 core[%d]: plain words" % number)
        labels = {
            "__syslog_connection_ip_address": "127.0.0.1",
            "__syslog_message_app_name": found.app_name,
            "__syslog_message_proc_id": found.proc_id,
            "__syslog_message_severity": found.severity,
            "app": "harbor",
            "component": found.app_name,
        }
        kept = public_labels(labels, job.relabel_configs)
        assert kept is not None
    return time.process_time() - began


def main(lines: int) -> None:
    """Print the times and their ratio."""
    with TemporaryDirectory(prefix="narfi-packs-") as name:
        folder = Path(name)
        write_lines(folder / "lines.log", lines)
        packs = {"no pack": [], "one pack": [SYSTEM], f"{MANY} packs": many_packs(folder)}
        files: dict[str, Path] = {}
        for title, names in packs.items():
            labels = {"app": SYSTEM, "component": COMPONENT, "__path__": f"{folder}/lines.log"}
            config = {
                "clients": [{"url": "http://localhost:1/"}],
                "scrape_configs": [
                    {"job_name": "j", "packs": names, "static_configs": [{"labels": labels}]}
                ],
            }
            files[title] = folder / f"{len(names)}.yaml"
            files[title].write_text(yaml.safe_dump(config))
        best: dict[str, float] = {}
        heard: dict[str, float] = {}
        for _ in range(ROUNDS):
            for title, file in files.items():
                spent, entries = cpu_s(file)
                assert entries == lines, f"{entries} entries of {lines} lines"
                best[title] = min(spent, best.get(title, spent))
                spent = message_cpu_s(file, lines)
                heard[title] = min(spent, heard.get(title, spent))
        for what, found in (("lines of files", best), ("labels of messages", heard)):
            print(what)
            for title, spent in found.items():
                print(f"  {title:<10} {spent:.3f} s CPU, {spent / lines * 1e6:.2f} µs each")
            print(f"  ratio      {found[f'{MANY} packs'] / found['one pack']:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else LINES)
