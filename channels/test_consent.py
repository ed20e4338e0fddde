"""The words by which customers say whether they want messages."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Consent
from channels.consent import OTHER_WORDS, SMS_WORDS, consent_of


@pytest.mark.parametrize(
    ("text", "sms", "elsewhere"),
    [
        ("STOP", Consent.OPT_OUT, Consent.OPT_OUT),
        (" stop\n", Consent.OPT_OUT, Consent.OPT_OUT),
        ("StopAll", Consent.OPT_OUT, Consent.OPT_OUT),
        ("unsubscribe", Consent.OPT_OUT, Consent.OPT_OUT),
        ("optout", Consent.OPT_OUT, Consent.OPT_OUT),
        ("cancel", Consent.OPT_OUT, None),
        ("end", Consent.OPT_OUT, None),
        ("quit", Consent.OPT_OUT, None),
        ("revoke", Consent.OPT_OUT, None),
        ("Start", Consent.OPT_IN, Consent.OPT_IN),
        ("unstop", Consent.OPT_IN, None),
        ("yes", Consent.OPT_IN, None),
        ("help", Consent.HELP, None),
        ("INFO", Consent.HELP, None),
        ("", None, None),
        ("Stop please", None, None),
        ("Stop.", None, None),
        ("S T O P", None, None),
    ],
)
def test_only_a_whole_message_is_a_keyword(text: str, sms: Consent | None, elsewhere: Consent | None) -> None:
    """SMS has Twilio's default words; elsewhere only those count that nobody means otherwise."""

    assert (consent_of(text, SMS_WORDS), consent_of(text, OTHER_WORDS)) == (sms, elsewhere)


@given(st.sampled_from([SMS_WORDS, OTHER_WORDS]), st.data())
def test_case_and_space_around_do_not_matter(words: Mapping[str, Consent], data: st.DataObject) -> None:
    """A phone writes the first letter large, and a thumb adds a space."""
    word = data.draw(st.sampled_from(sorted(words)))
    typed = "".join(data.draw(st.sampled_from([letter.lower(), letter])) for letter in word)
    space = st.text(alphabet=" \n\t\u00a0", max_size=3)

    assert consent_of(data.draw(space) + typed + data.draw(space), words) is words[word]


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    """No text breaks it, and a keyword with anything beside it is none."""

    assert consent_of(f"STOP {text}x", SMS_WORDS) is None
    assert consent_of(text, SMS_WORDS) in (None, *Consent)
