"""How long does a session last, and how many are there?"""

from narfi.access import sessions
from narfi.access.sessions import LASTS_S, Sessions


class Seconds:
    """A clock that is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_ends_after_its_time() -> None:
    seconds = Seconds()
    found = Sessions(seconds)
    cookie = found.begin("token")
    seconds.now = LASTS_S - 1
    assert found.token(cookie) == "token"
    seconds.now = LASTS_S
    assert found.token(cookie) == ""
    seconds.now = 0
    assert found.token(cookie) == ""


def test_the_oldest_one_ends_for_one_too_many() -> None:
    found = Sessions(Seconds())
    cookies = [found.begin(str(n)) for n in range(sessions.MOST + 1)]
    assert found.token(cookies[0]) == ""
    assert (found.token(cookies[1]), found.token(cookies[-1])) == ("1", str(sessions.MOST))


def test_values_cannot_be_guessed_from_others() -> None:
    found = Sessions(Seconds())
    cookies = {found.begin("same") for _ in range(100)}
    assert len(cookies) == 100
    assert all(len(cookie) == 43 for cookie in cookies)
    found.end(cookies.pop())
    assert [found.token(cookie) for cookie in cookies] == ["same"] * 99
