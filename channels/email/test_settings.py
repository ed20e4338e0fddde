"""What the configuration of an address may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from channels.email.settings import EmailSettings

SECTION = {"address": "help@example.com", "smtp": {"host": "smtp.example.com"}}
BORDER = {"authserv_id": "mx.example.com"}


def settings(listen: dict[str, Any], trust: dict[str, Any]) -> EmailSettings:
    return EmailSettings.model_validate(SECTION | {"listen": {"port": 25} | listen, "trust": trust})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "mx.example.com"])
def test_strangers_write_no_verdicts_of_their_own(host: str) -> None:
    """Where anybody can hand mail over, nobody tells a border host's header from a forged one."""
    with pytest.raises(ValidationError, match=r"trust\.authserv_id cannot stand beside listen\.protocol smtp"):
        settings({"host": host, "protocol": "smtp"}, BORDER)


@pytest.mark.parametrize(
    ("listen", "trust"),
    [
        ({"host": "0.0.0.0", "protocol": "lmtp"}, BORDER),
        ({"host": "127.0.0.1", "protocol": "smtp"}, BORDER),
        ({"host": "::1", "protocol": "smtp"}, BORDER),
        ({"host": "localhost", "protocol": "smtp"}, BORDER),
        ({"host": "0.0.0.0", "protocol": "smtp"}, {"dkim": True}),
    ],
)
def test_a_mail_server_of_ours_may_write_verdicts(listen: dict[str, Any], trust: dict[str, Any]) -> None:
    """By LMTP, or from this machine; and whoever reads no verdicts may listen anywhere."""
    assert settings(listen, trust).listen is not None
