"""How long a mail server is left in peace."""

from __future__ import annotations

import pytest

from channels.email.imap.pause import Pause
from channels.errors import CredentialsRejected, Refused, RetryLater


class Hands:
    """A clock that a test moves, in seconds."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def left_s(pause):
    """Return how long it still is."""
    with pytest.raises(RetryLater) as raised:
        pause.check()
    return raised.value.retry_after_s


@pytest.mark.parametrize(("roll", "lengths"), [(1.0, [5, 10, 20, 40, 80, 160, 300, 300]), (0.0, [2.5, 5, 10, 20])])
def test_each_failure_makes_it_longer(roll, lengths):
    """From seconds to minutes, and by chance as little as half of that."""
    clock = Hands()
    pause = Pause(clock, lambda: roll)
    seen = []
    for _ in lengths:
        pause.begin(RetryLater("away"))
        seen.append(left_s(pause))
        clock.now += seen[-1]
        pause.check()

    assert seen == lengths


def test_success_makes_it_short_again():
    """What was forgotten counts no more."""
    pause = Pause(Hands(), lambda: 1.0)
    for _ in range(6):
        pause.begin(RetryLater())
    pause.end()
    pause.check()
    pause.begin(RetryLater())

    assert left_s(pause) == 5


@pytest.mark.parametrize("error", [Refused("no such mailbox", code="NONEXISTENT"), CredentialsRejected("wrong")])
def test_whoever_asks_in_it_hears_the_reason(error):
    """The same kind of error, so that it is not forgotten what has to be done."""
    pause = Pause(Hands(), lambda: 1.0)
    pause.begin(error)
    with pytest.raises(type(error), match=str(error)) as raised:
        pause.check()

    assert raised.value.code == error.code


def test_wrong_credentials_are_not_tried_often():
    """A server locks out whoever tries them again and again."""
    clock = Hands()
    pause = Pause(clock, lambda: 0.0)
    pause.begin(CredentialsRejected())
    clock.now += 29

    with pytest.raises(CredentialsRejected):
        pause.check()
