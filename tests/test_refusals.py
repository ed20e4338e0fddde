"""A refused webhook: its sender learns nothing, the owner's log says what to look at."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

from structlog.testing import capture_logs

from channels.errors import Doubt
from channels.twilio.signature import HEADER
from tests.gateways import caller, gateway, sms_form


async def test_the_log_says_why_and_the_answer_does_not(tmp_path: Path) -> None:
    """Each reason has a line of its own, with the status; the answers are all the same and empty."""
    form = sms_form("SM1")
    other = {**form, "AccountSid": "AC2"}
    with capture_logs() as logs:
        async with gateway(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db") as inside, caller(inside.port) as calls:
            answers = [
                await calls.raw(urlencode(form).encode(), {}),
                await calls.post(form, signature="forged"),
                await calls.post(form, signature="forged again"),
                await calls.post(other),
                await calls.raw(b"\xff\x00", {HEADER: "forged"}),
            ]
    told = [(line["channel"], line["status"], line["reason"]) for line in logs if line["event"] == "webhook_refused"]

    assert answers == [(403, "")] * 5
    assert told == [("sms", 403, doubt) for doubt in (Doubt.UNSIGNED, Doubt.MISMATCH, Doubt.OTHER_ACCOUNT)]
