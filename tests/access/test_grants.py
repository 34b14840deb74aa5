"""What can a token be made for, and how is the rest refused?"""

import pytest

from narfi.access.grants import GrantError, make_grant
from narfi.core.grant import Scope
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantError, TenantId


def test_names_become_a_grant() -> None:
    grant = make_grant("g", ["a", "b"], ["read", "delete"], '{namespace="x", app=~"a|b"}')
    assert grant.tenants == frozenset(map(TenantId, "ab"))
    assert grant.scopes == {Scope.READ, Scope.DELETE}
    assert grant.streams == (
        Matcher("namespace", MatchOp.EQ, "x"),
        Matcher("app", MatchOp.RE, "a|b"),
    )
    assert make_grant("g", ["*"], ["admin"], "").tenants is None


@pytest.mark.parametrize(
    ("tenants", "scopes", "policy", "told"),
    [
        (["a"], [], "", "has no scope"),
        (["a"], ["reed"], "", "'reed' is no scope"),
        ([], ["read"], "", "is for no tenant"),
        (["*", "a"], ["read"], "", "stands alone"),
        (["a"], ["admin"], "", "of the whole server"),
        (["a"], ["read", "metrics"], "", "of the whole server"),
        (["a"], ["read", "rules"], '{a="b"}', "cannot be enforced for scope rules"),
        (["a"], ["write"], '{a="b"}', "cannot be enforced for scope write"),
        (["*"], ["admin"], '{a="b"}', "cannot be enforced for scope admin"),
        (["a"], ["read"], "{}", "has no matcher"),
        (["a"], ["read"], '{a="b"} |= "c"', "is not a selector"),
        (["a"], ["read"], "{a=", "is not a selector"),
        (["a"], ["read"], '{__tenant_id__="a"}', "is no label of a stream"),
    ],
)
def test_what_cannot_be_granted(
    tenants: list[str], scopes: list[str], policy: str, told: str
) -> None:
    with pytest.raises(GrantError) as error:
        make_grant("g", tenants, scopes, policy)
    assert told in error.value.message


@pytest.mark.parametrize("name", ["", "a\nb", "a\r\nX-Header: b", "\x1b[31m", "x" * 101, "a\x00"])
def test_a_name_is_one_that_a_log_can_show(name: str) -> None:
    with pytest.raises(GrantError, match="can be printed"):
        make_grant(name, ["a"], ["read"], "")


@pytest.mark.parametrize("tenant", ["a|b", "a/b", "..", "x" * 200, "a b"])
def test_a_tenant_is_one_that_can_be(tenant: str) -> None:
    with pytest.raises(TenantError):
        make_grant("g", [tenant], ["read"], "")
