"""The post with which a mail program unsubscribes its user (RFC 8058, section 3.1)."""

from __future__ import annotations

from dataclasses import replace

from channels.base import Request
from channels.email.transports.forms import URLENCODED, opened_form
from channels.errors import PayloadError

MAX_FORM_BYTES = 1024
"""Of one field and a value of nine letters."""


def is_one_click(request: Request) -> bool:
    """Tell whether it says so, as a form of either kind; one that names no kind is read as urlencoded."""
    if request.file is not None or len(request.body) > MAX_FORM_BYTES:
        return False
    if request.header("Content-Type") is None:
        request = replace(request, headers=(*request.headers, ("Content-Type", URLENCODED)))
    try:
        with opened_form(request) as form:
            return form.text("List-Unsubscribe").strip() == "One-Click"
    except PayloadError:
        return False
