"""Do the runbooks of docs/operations.md work, word by word, with a real server?

Each runbook is read from the page: its shell blocks are run as they stand, and where it says "Stop
the server" or "Start the server" that is done. Scenarios make the harm and look at the outcome.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import Running, start, stop
from narfi.cli.repair import repair
from storage.block.folders import set_aside
from storage.block.layout import STREAMS, is_commit
from storage.block.manifest import read_manifest
from storage.objects.filesystem import LocalObjects
from storage.vault.data_dir import DataDirError
from tests.servers.forking import shell_command
from tests.storage.form import ORDINARY

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text()
CONFIG = "compactor: {orphan_grace: 1s, interval: 1s}\n"
STEP = re.compile(r"```sh\n(.*?)```|(Stop|Start)\s+the\s+server", re.DOTALL)


class Site:
    """A server, its data folder, and a place for backups."""

    def __init__(self, folder: Path) -> None:
        self.data, self.backups, self._folder = folder / "data", folder / "backups", folder
        self._config = folder / "narfi.yaml"
        self._config.write_text(CONFIG)
        tools = folder / "bin"
        tools.mkdir()
        narfi = tools / "narfi"
        narfi.write_text(f'#!/bin/sh\nexec {shell_command()} "$@"\n')
        narfi.chmod(0o755)
        self._environment = {
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "NARFI_DATA_DIR": str(self.data),
            "BACKUP": str(self.backups),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self.server: Running | None = None

    def start(self) -> None:
        """Start the server, unless it runs."""
        if self.server is None:
            self.server = start(self.data, self._config, self._folder / "log")

    def stop(self) -> None:
        """Stop the server, if it runs."""
        if self.server is not None:
            stop(self.server)
            self.server = None

    def kill(self) -> None:
        """End it as a power failure does."""
        assert self.server is not None
        self.server.process.kill()
        self.server.process.wait()
        self.server = None

    def refuses(self) -> str:
        """What a server says that does not start."""
        log = self._folder / "refused"
        with pytest.raises(RuntimeError, match="the server ended with 1"):
            start(self.data, self._config, log)
        text = log.read_text()
        assert "Traceback" not in text
        return text

    def follow(self, name: str) -> list[subprocess.CompletedProcess[str]]:
        """Do what the runbook says; the outcome of each shell block."""
        done: list[subprocess.CompletedProcess[str]] = []
        for shell, step in STEP.findall(section(name)):
            if step == "Stop":
                self.stop()
            elif step == "Start":
                self.start()
            else:
                done.append(
                    subprocess.run(
                        ["bash", "-c", shell],
                        env=self._environment,
                        cwd=self._folder,
                        capture_output=True,
                        text=True,
                        timeout=300,
                        check=False,
                    )
                )
        assert done, f"the runbook {name} has no shell"
        return done

    def push(self, app: str, count: int) -> None:
        """Acknowledged entries."""
        assert self.server is not None
        now = time.time_ns()
        values = [[str(now + k), f"{app} {k}"] for k in range(count)]
        body = json.dumps({"streams": [{"stream": {"app": app}, "values": values}]}).encode()
        self._post("/loki/api/v1/push", body)

    def flush(self) -> None:
        """Everything acknowledged is in blocks."""
        self._post("/flush", b"")

    def _post(self, path: str, body: bytes) -> None:
        assert self.server is not None
        request = urllib.request.Request(
            self.server.url + path, body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 204

    def counts(self) -> dict[str, int]:
        """Entries by app, as a query counts them."""
        assert self.server is not None
        query = urllib.parse.urlencode({"query": 'sum by (app) (count_over_time({app=~".+"}[1h]))'})
        url = f"{self.server.url}/loki/api/v1/query?{query}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            found = json.loads(answer.read())["data"]["result"]
        return {one["metric"]["app"]: int(one["value"][1]) for one in found}

    def block_folders(self) -> list[Path]:
        """Folders of whole blocks."""
        objects = self.data.glob("objects/blocks/*/*/*/*")
        return sorted(path.parent for path in objects if is_commit(path.as_posix()))


def section(name: str) -> str:
    """The text below a heading of the page, up to the next one."""
    found = re.search(rf"^### {re.escape(name)}\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None, f"the page has no runbook {name}"
    return found[1]


def statuses(done: list[subprocess.CompletedProcess[str]]) -> list[int]:
    """Exit statuses; the outputs are shown when they are not as expected."""
    for one in done:
        print(one.args[-1], one.stdout, one.stderr, sep="\n")
    return [one.returncode for one in done]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server with a block of 600 entries, another of 40, and 50 entries in the journal only."""
    made = Site(tmp_path)
    made.start()
    try:
        made.push("blocks", 600)
        made.flush()
        made.push("more", 40)
        made.flush()
        made.push("journal", 50)
        yield made
    finally:
        made.stop()


ALL = {"blocks": 600, "more": 40, "journal": 50}


def test_every_runbook_has_a_scenario() -> None:
    headings = re.findall(r"^### (.*)$", PAGE[PAGE.index("## Backup, restore") :], re.MULTILINE)
    scenarios = Path(__file__).read_text()
    assert len(headings) >= 8
    assert [name for name in headings if f'follow("{name}")' not in scenarios] == []


def test_backup_while_serving_then_restore(site: Site) -> None:
    """`operations.md` finding 1: what is documented as a backup is one."""
    assert statuses(site.follow("Backup")) == [0]
    site.push("later", 5)
    assert statuses(site.follow("Backup")) == [0]
    site.push("lost", 7)
    site.kill()
    done = site.follow("Restore")
    assert statuses(done) == [0]
    assert "0 problems in 2 blocks (every byte read)" in done[0].stdout
    assert site.counts() == {**ALL, "later": 5}
    assert list(site.data.with_name("data.old").glob("catalog.db")), "the old folder is kept"
    site.push("new", 3)
    site.flush()
    assert statuses(site.follow("Backup")) == [0]
    assert statuses(site.follow("Verify")) == [0, 0]
    assert site.counts() == {**ALL, "later": 5, "new": 3}


def test_verify_tells_and_its_report_is_json(site: Site) -> None:
    text, report = site.follow("Verify")
    assert statuses([text, report]) == [0, 0]
    assert json.loads(report.stdout)["ok"] is True
    folder = site.block_folders()[0]
    (folder / "streams.parquet").unlink()
    text, report = site.follow("Verify")
    assert statuses([text, report]) == [1, 1]
    assert f"block {folder.name} of tenant fake" in text.stdout
    (problem,) = json.loads(report.stdout)["problems"]
    assert (problem["block"], problem["what"]) == (folder.name, "is missing")
    site.stop()
    shutil.rmtree(site.data)
    text, report = site.follow("Verify")
    assert statuses([text, report]) == [2, 2]
    assert json.loads(report.stdout)["ok"] is False


@pytest.mark.parametrize("harm", ["missing", "copied", "older"])
def test_a_catalog_that_does_not_belong_is_refused_and_made_anew(site: Site, harm: str) -> None:
    """Missing, copied alone as the page once said, or of before: once, every block was erased."""
    if harm == "older":
        site.stop()
        kept = (site.data / "catalog.db").read_bytes()
        site.start()
        site.push("newer", 9)
        site.flush()
    alone = (site.data / "catalog.db").read_bytes()  # without its log
    site.kill()
    for path in site.data.glob("catalog.db*"):
        path.unlink()
    if harm != "missing":
        (site.data / "catalog.db").write_bytes(alone if harm == "copied" else kept)
    folders = site.block_folders()
    assert len(folders) == 2 + (harm == "older")
    told = site.refuses()
    assert "of the stored blocks" in told
    assert "narfi repair --rebuild-catalog" in told
    assert site.block_folders() == folders, "nothing was deleted"
    done = site.follow("The catalog does not know N blocks")
    assert statuses(done) == [0]
    assert f"{len(folders)} blocks with" in done[0].stdout
    assert "delete requests" in done[0].stdout
    wanted = {**ALL, "newer": 9} if harm == "older" else ALL
    assert site.counts() == wanted
    time.sleep(3)  # upkeep runs, beyond the grace
    assert site.counts() == wanted
    assert site.block_folders() == folders


def test_a_repair_while_the_server_runs_is_one_line(site: Site) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "narfi.cli", "repair", "--rebuild-catalog"],
        env={**os.environ, "NARFI_DATA_DIR": str(site.data)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"narfi: another process uses the journal .*\n", result.stderr)
    assert site.counts() == ALL


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("repair",), "give one of --rebuild-catalog, --adopt, --give-up BLOCK"),
        (("repair", "--adopt", "--rebuild-catalog"), "give one of --rebuild-catalog"),
        (("repair", "--rebuild-catalog"), "there is no data folder"),
        (("backup", "--to", "backups"), "there is no data folder"),
        (("restore", "--from", "backups"), "there is no folder backups"),
        (("restore", "--from", "nosuch://backups"), "nosuch://backups cannot be used"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "narfi.cli", *arguments],
        env={
            **os.environ,
            "NARFI_DATA_DIR": "absent",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("narfi: ")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_the_operating_system_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where a folder should be")
    with pytest.raises(DataDirError, match="File exists"):
        repair(data_dir=str(tmp_path), rebuild_catalog=True)


def harm_a_block(site: Site) -> Path:
    """One byte of two objects of the block of 600 entries is flipped; its folder."""
    objects = LocalObjects(site.data / "objects")
    for folder in site.block_folders():
        path = folder.relative_to(site.data / "objects").as_posix()
        if read_manifest(objects, path).row.rows == 600:
            for name in (STREAMS, ORDINARY.commit):
                content = bytearray((folder / name).read_bytes())
                content[len(content) // 2] ^= 4
                (folder / name).write_bytes(content)
            return folder
    raise AssertionError("the block is not there")


def test_a_damaged_block_is_put_back_from_a_backup(site: Site) -> None:
    assert statuses(site.follow("Backup")) == [0]
    folder = harm_a_block(site)
    first, second = site.follow("A damaged block")
    assert statuses([first, second]) == [1, 0]
    assert folder.name in first.stdout
    assert f"block {folder.name} was put back" in second.stdout
    assert "0 problems" in second.stdout
    site.stop()
    site.start()
    assert site.counts() == ALL


def test_a_damaged_block_is_given_up_and_the_loss_is_understood(site: Site) -> None:
    folder = harm_a_block(site)
    (done,) = site.follow("A damaged block that no backup holds")
    assert statuses([done]) == [0]
    assert f"block {folder.name} of tenant fake with 600 entries was given up" in done.stdout
    assert site.counts() == {"more": 40, "journal": 50}
    report = json.loads(site.follow("Verify")[1].stdout)
    assert {problem["kind"] for problem in report["problems"]} == {"loss", "lost+found"}
    assert statuses(site.follow("Losses")) == [0]
    shutil.rmtree(site.data / "objects/lost+found")
    assert statuses(site.follow("Verify")) == [0, 0]


def test_a_folder_in_lost_and_found_is_adopted(site: Site) -> None:
    site.stop()
    folder = site.block_folders()[0]
    with sqlite3.connect(site.data / "catalog.db") as database:
        database.execute("DELETE FROM blocks WHERE block_id = ?", (folder.name,))
    database.close()
    objects = LocalObjects(site.data / "objects")
    set_aside(objects, folder.relative_to(site.data / "objects").as_posix())
    site.start()
    assert sum(site.counts().values()) < 690
    (done,) = site.follow("lost+found")
    assert statuses([done]) == [0]
    assert "1 blocks with" in done.stdout
    assert site.counts() == ALL


def test_a_restore_that_was_interrupted_is_not_served(site: Site) -> None:
    assert statuses(site.follow("Backup")) == [0]
    site.kill()
    (site.data / "restore-unfinished").write_text("")
    assert "did not finish: run it again" in site.refuses()
