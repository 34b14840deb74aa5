"""Does a group look at the logs of other tenants only where all of them let others look?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from narfi.core.grant import ForbiddenError, Grant, Scope
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.query import QueryOptions
from querier.result import Answer, QueryStats, Sample, VectorResult
from querier.running import Running
from ruler.asking import Asker, EvaluationError, Whose
from ruler.group import Group, Rule, group_of_json
from ruler.read_groups import read_file, read_group
from ruler.validate import check_group
from ruler.write_groups import group_yaml

OWNER, A, B = TenantId("owner"), TenantId("a"), TenantId("b")
TEXT = b"""
name: g
source_tenants: [a, b]
rules: [{record: 'x:y', expr: 'vector(1)'}]
"""


@dataclass
class Answers:
    """Stands for the queries."""

    asked: list[QueryOptions] = field(default_factory=list)

    def query(self, _text: str, options: QueryOptions) -> Answer:
        """As `QueryService.query`."""
        self.asked.append(options)
        return Answer(VectorResult(0, (Sample((), 1.0),)), QueryStats(), ())


def ask(limits: Mapping[TenantId, Limits], whose: Whose) -> QueryOptions:
    answers = Answers()
    asker = Asker(answers, Running(), lambda tenant: limits.get(tenant, Limits()))  # type: ignore[arg-type]
    with asker.budget(whose.owner) as budget:
        asker.ask(whose, "vector(1)", 10**18, budget)
    (found,) = answers.asked
    return found


def test_whose_logs_are_read_and_with_which_limits() -> None:
    open_ = Limits(multi_tenant_queries_enabled=True)
    strict = open_.with_changes(max_query_series=7)
    found = ask({OWNER: open_, A: strict, B: open_}, Whose(OWNER, (A, B)))
    assert (found.tenants, found.limits.max_query_series) == ((A, B), 7)
    assert ask({}, Whose(OWNER)).tenants == (OWNER,), "its own need no leave"


@pytest.mark.parametrize("closed", [OWNER, A, B])
def test_each_of_them_must_let_others_look(closed: TenantId) -> None:
    limits = {one: Limits(multi_tenant_queries_enabled=one != closed) for one in (OWNER, A, B)}
    with pytest.raises(EvaluationError, match=f"is off for tenant '{closed}'"):
        ask(limits, Whose(OWNER, (A, B)))


def test_it_is_kept_shown_and_checked() -> None:
    group = read_group(TEXT)
    assert group.source_tenants == ("a", "b")
    assert group_of_json(group.to_json()) == group
    assert b"source_tenants:\n    - a\n    - b\n" in group_yaml(group).replace(b"-   ", b"- ")
    assert read_file(b"groups:\n- " + TEXT.strip().replace(b"\n", b"\n  "))[0] == group
    wrong = Group(name="g", source_tenants=("a/b",), rules=(Rule(record="x", expr="vector(1)"),))
    with pytest.raises(Exception, match="source_tenants: tenant ID 'a/b' contains"):
        check_group(wrong)


def test_who_writes_it_must_see_them_all() -> None:
    grant = Grant(name="t", tenants=frozenset([OWNER, A]), scopes=frozenset([Scope.RULES]))
    grant.check_tenants([A])
    with pytest.raises(ForbiddenError):
        grant.check_tenants(TenantId(one) for one in read_group(TEXT).source_tenants)
