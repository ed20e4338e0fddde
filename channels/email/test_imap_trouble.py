"""When the other mails stop waiting for one that cannot be fetched."""

from __future__ import annotations

import pytest

from channels.email.imap.trouble import GIVE_UP_ALONE_S, GIVE_UP_S, TRIES, Trouble, Wanted


@pytest.mark.parametrize(
    ("proven", "unproven", "lasted_s", "wanted"),
    [
        (TRIES, 0, GIVE_UP_S, Wanted.HEADERS),
        (TRIES - 1, 0, GIVE_UP_S, Wanted.WHOLE),
        (TRIES, 0, GIVE_UP_S - 1, Wanted.WHOLE),
        (100, 0, GIVE_UP_S - 1, Wanted.WHOLE),
        (0, 100, GIVE_UP_S, Wanted.WHOLE),
        (0, 100, GIVE_UP_ALONE_S, Wanted.HEADERS),
    ],
)
def test_less_is_asked_for_after_tries_and_time(proven, unproven, lasted_s, wanted):
    """Both have to be over; where no other mail tells how the server is, it takes a day."""
    trouble = Trouble(1, 7, 100.0)
    for number in range(proven + unproven):
        trouble.note(100.0 + lasted_s, is_proven=number >= unproven)
        if trouble.wanted is not Wanted.WHOLE:
            break

    assert trouble.wanted is wanted


def test_the_headers_have_as_much_time_again():
    """A mail goes step by step, and the last step is the last."""
    trouble, now_s, steps = Trouble(1, 7, 0.0), 0.0, []
    for _ in range(20):
        now_s += GIVE_UP_S / 4
        trouble.note(now_s, is_proven=True)
        steps.append(trouble.wanted)

    assert steps[:8] == [Wanted.WHOLE] * 3 + [Wanted.HEADERS] * 4 + [Wanted.NOTHING]
    assert steps[-1] is Wanted.NOTHING
