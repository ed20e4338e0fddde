"""Customers' addresses as an operator types them. Pure."""

from __future__ import annotations

import re

from channels.messenger.parsing import USER_REF

_PAGE_SCOPED_ID = re.compile(r"[0-9]{5,32}")
_USER_REF = re.compile(rf"{USER_REF}\S{{1,256}}")

HOW = (
    "must be the customer's page-scoped id, which is digits only and which frontdesk conversations shows, "
    f"or {USER_REF}…; on Messenger nobody has a telephone number"
)


def check_recipient(text: str, page_id: str) -> str:
    """Return a customer's address as Meta writes it.

    Raises:
        ValueError: it is none, or the page's own id.
    """
    address = text.strip()
    if address == page_id:
        raise ValueError("is the page's own id; name a customer's")
    if not _PAGE_SCOPED_ID.fullmatch(address) and not _USER_REF.fullmatch(address):
        raise ValueError(HOW)
    return address
