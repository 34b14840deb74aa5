"""Are rules found that are surely not meant, and others left alone?"""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from narfi.cli.main import app
from ruler.group import Rule
from ruler.lint import lint


@pytest.mark.parametrize(
    ("expr", "begins"),
    [
        ('count_over_time({a="b"}[5m]) == 0', "never fires"),
        ('sum by (x) (rate({a="b"}[5m])) == 0', "never fires"),
        ('sum(count_over_time({a="b"}[5m])) < 1', "never fires"),
        ('sum(count_over_time({a="b"}[5m])) < 5', "does not fire where there are no lines"),
        ('vector(1) unless count_over_time({a="b"}[5m]) == 0', "never fires"),
        ("1 > 0", "fires always"),
        ('{a="b"}', "every evaluation will fail"),
        ('count_over_time({a="b"} |~ "("[5m]) > 0', "every evaluation will fail"),
        ('sum(count_over_time({a="b"}[5m])) > 5', ""),
        ('(sum(count_over_time({a="b"}[5m])) or vector(0)) == 0', ""),
        ('count_over_time({a="b"}[5m]) == bool 0', ""),
        ('min_over_time({a="b"} | unwrap x [5m]) == 0', ""),
        ('absent_over_time({a="b"}[5m])', ""),
    ],
)
def test_remarks(expr: str, begins: str) -> None:
    found = lint(Rule(alert="A", expr=expr))
    assert [text[: len(begins)] for text in found] == ([begins] if begins else [])


def test_the_command(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(
        'groups: [{name: g, rules: [{alert: A, expr: "count_over_time({a=`b`}[1m]) == 0"}]}]'
    )
    bad.write_text("groups: [{name: g, rules: [{alert: A, expr: nope}, {record: r}]}]")
    run = CliRunner().invoke
    found = run(app, ["rules", "check", str(good)])
    assert found.exit_code == 0
    assert "remark: group g, rule A: never fires" in found.output
    assert "1 rules can be used" in found.output
    assert run(app, ["rules", "check", "--strict", str(good)]).exit_code == 1
    found = run(app, ["rules", "check", str(good), str(bad), str(tmp_path / "none")])
    assert found.exit_code == 1
    assert "group g, rule r: field 'expr' must be set in rule" in found.output
    assert "none: cannot be read: No such file or directory" in found.output
