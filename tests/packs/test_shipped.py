"""Does every shipped pack keep its promises? The one test, as `narfi packs test` runs it."""

import pytest

from narfi.bundled.questions import read_queries
from narfi.bundled.rules import rule_groups
from narfi.packs.dashboard import dashboard_text
from narfi.packs.samples import read_samples
from narfi.packs.trial import Place, faults
from promtail_agent.packs.load import Shelf

NAMES = Shelf.of_environment({}).names()
MOST_README_LINES = 60


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_pack_keeps_its_promises(name: str, shelf: Shelf, place: Place) -> None:
    pack = shelf.find(name)
    samples = read_samples(pack.folder / "samples", name)
    assert faults(pack, samples, place, own=True) == []


@pytest.mark.parametrize("name", NAMES)
def test_its_dashboard_is_of_its_queries(name: str, shelf: Shelf) -> None:
    pack = shelf.find(name)
    kept = (pack.folder / "dashboard.json").read_text()
    assert kept == dashboard_text(pack), "narfi packs render NAME --format grafana"


@pytest.mark.parametrize("name", NAMES)
def test_its_page_is_short(name: str, shelf: Shelf) -> None:
    page = shelf.find(name).folder / "README.md"
    assert page.read_text().count("\n") <= MOST_README_LINES


@pytest.mark.parametrize("name", NAMES)
def test_it_asks_and_watches(name: str, shelf: Shelf) -> None:
    pack = shelf.find(name)
    assert len(read_queries(pack)) >= 4
    alerts = [rule for group in rule_groups(pack) for rule in group.rules if rule.alert]
    assert len(alerts) >= 2
    for rule in alerts:
        assert rule.annotations.keys() >= {"summary", "runbook"}
        assert rule.labels["severity"] in ("info", "warning", "critical")
    assert (pack.folder / "samples/fires.yaml").exists()


def test_a_pack_is_named_as_its_folder(shelf: Shelf) -> None:
    assert [shelf.find(name).name for name in NAMES] == NAMES
