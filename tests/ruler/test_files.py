"""Does a bad rule or file stop only itself, and does the last good version stay?"""

from pathlib import Path

import pytest

from narfi.core.clock import ManualClock
from narfi.core.tenant import TenantId
from ruler.files import RuleFiles
from ruler.group import group_of_json
from storage.catalog.rules import RuleStore
from storage.catalog.sql import SqlCatalog

A = TenantId("a")
GOOD = """
groups:
  - name: one
    rules:
      - {alert: Up, expr: vector(1)}
      - {record: "r:x", expr: vector(2)}
  - name: two
    rules:
      - {alert: Down, expr: vector(0)}
"""


@pytest.fixture
def store(tmp_path: Path) -> RuleStore:
    return RuleStore(SqlCatalog(f"sqlite:///{tmp_path}/catalog.db").database)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules" / "a").mkdir(parents=True)
    return tmp_path / "rules"


def reader(folder: Path | None, store: RuleStore, *, single: bool = False) -> RuleFiles:
    return RuleFiles(folder, store, ManualClock(5), single_tenant=single)


def exprs(store: RuleStore) -> dict[tuple[str, str, str], list[str]]:
    """Expressions by tenant, file and group."""
    return {
        (r.key.tenant, r.key.namespace, r.key.name): [
            rule.expr for rule in group_of_json(r.body).rules
        ]
        for r in store.groups()
    }


def test_files_become_groups_and_go_with_their_file(folder: Path, store: RuleStore) -> None:
    (folder / "a" / "x.yaml").write_text(GOOD)
    (folder / "a" / ".hidden").write_text("junk: [")
    (folder / "a" / "sub").mkdir()
    files = reader(folder, store)
    files.sync()
    good = {
        ("a", "x.yaml", "one"): ["vector(1)", "vector(2)"],
        ("a", "x.yaml", "two"): ["vector(0)"],
    }
    assert (exprs(store), files.problems) == (good, ())
    (folder / "a" / "x.yaml").rename(folder / "a" / "y.yaml")
    assert files.sync(), "it says that something has changed"
    assert not files.sync()
    assert sorted(exprs(store)) == [("a", "y.yaml", "one"), ("a", "y.yaml", "two")]
    reader(None, store).sync()
    assert exprs(store) == {}


def test_a_file_that_cannot_be_read_keeps_its_groups_over_a_restart(
    folder: Path, store: RuleStore
) -> None:
    path = folder / "a" / "x.yaml"
    path.write_text(GOOD)
    (folder / "a" / "other.yaml").write_text("groups: [{name: o, rules: []}]")
    reader(folder, store).sync()
    before = exprs(store)
    for text in ("groups: [", "groups:\n- name: x\n  rulez: []", "hello", "name: x"):
        path.write_text(text)
        files = reader(folder, store)
        files.sync()
        assert exprs(store) == before
        (problem,) = files.problems
        assert (problem.tenant, problem.namespace, problem.kept) == ("a", "x.yaml", True)
    path.write_text("groups: [")
    (folder / "a" / "new.yaml").write_text("groups: [")
    files.sync()
    assert [(p.namespace, p.kept) for p in files.problems] == [
        ("new.yaml", False),
        ("x.yaml", True),
    ]


def test_a_bad_rule_keeps_its_last_version_and_leaves_the_others(
    folder: Path, store: RuleStore
) -> None:
    path = folder / "a" / "x.yaml"
    path.write_text(GOOD)
    files = reader(folder, store)
    files.sync()
    path.write_text(
        """
groups:
  - name: one
    rules:
      - {alert: Up, expr: up == 0}
      - {alert: New, expr: "nope("}
      - {record: "r:x", expr: vector(3)}
  - name: two
    labels: {a-b: x}
    rules: []
  - name: one
    rules: []
"""
    )
    files.sync()
    assert exprs(store) == {
        ("a", "x.yaml", "one"): ["vector(1)", "vector(3)"],
        ("a", "x.yaml", "two"): ["vector(0)"],
    }
    assert [(p.group, p.rule, p.kept) for p in files.problems] == [
        ("one", "Up", True),
        ("one", "New", False),
        ("two", "", True),
        ("one", "", False),
    ]
    assert "in group 'one': parse error" in files.problems[0].text()
    assert files.problems[0].text().endswith("(the version before is in force)")


def test_where_files_belong_is_told(folder: Path, store: RuleStore, tmp_path: Path) -> None:
    (folder / "loose.yaml").write_text(GOOD)
    files = reader(folder, store)
    files.sync()
    assert "belongs to nobody" not in files.problems[0].text()
    assert "its rules belong to nobody" in files.problems[0].text()
    assert exprs(store) == {}
    single = reader(folder, store, single=True)
    single.sync()
    assert sorted(exprs(store)) == [("fake", "loose.yaml", "one"), ("fake", "loose.yaml", "two")]
    assert ["tenancy is single" in p.text() for p in single.problems] == [True]
    gone = reader(tmp_path / "no-such-folder", store, single=True)
    gone.sync()
    assert [p.kept for p in gone.problems] == [True]
    assert len(exprs(store)) == 2


def test_of_a_file_that_is_too_large_no_more_is_read_than_shows_that(
    folder: Path, store: RuleStore
) -> None:
    with (folder / "a" / "x.yaml").open("wb") as file:
        file.truncate(1 << 40)  # the disk has no room for it, nor the memory
    files = reader(folder, store)
    files.sync()
    (problem,) = files.problems
    assert problem.reason == "more than 4194304 bytes"
