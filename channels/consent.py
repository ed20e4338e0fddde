"""The words by which customers say whether they want messages: the whole message has to be one."""

from __future__ import annotations

from collections.abc import Mapping

from channels.base import Consent

# Twilio's default keywords for long codes and toll-free numbers, with REVOKE and OPTOUT, which came in 2025
# (support.twilio.com/hc/en-us/articles/223134027, "Twilio Support for Opt-out Keywords", read 2026-11). Twilio answers
# them itself and blocks the pair of numbers.
SMS_WORDS: Mapping[str, Consent] = {
    **dict.fromkeys(("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"), Consent.OPT_OUT),
    **dict.fromkeys(("START", "YES", "UNSTOP"), Consent.OPT_IN),
    **dict.fromkeys(("HELP", "INFO"), Consent.HELP),
}

# Elsewhere only words that nobody means otherwise: of the same page's, not CANCEL, END, YES or HELP, which customers
# say about their appointment.
OTHER_WORDS: Mapping[str, Consent] = {
    **dict.fromkeys(("STOP", "STOPALL", "UNSUBSCRIBE", "OPTOUT"), Consent.OPT_OUT),
    "START": Consent.OPT_IN,
}


def consent_of(text: str, words: Mapping[str, Consent]) -> Consent | None:
    """Return what a message says about consent, or None: ``Stop please`` is a message like any other."""
    return words.get(text.strip().upper())
