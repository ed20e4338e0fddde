"""Files: which ones are taken from Meta, and what of ours is uploaded to it; the rest it fetches itself."""

from __future__ import annotations

import base64
import mimetypes

from channels.errors import Refused
from channels.http import Upload
from channels.rendering import content_type_of

# Of what customers send: what a phone makes, and what an office does. No programs, no archives.
TAKEN = (
    "image/",
    "audio/",
    "video/",
    "text/",
    "application/pdf",
    "application/rtf",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.",
    "application/vnd.oasis.opendocument.",
)


def upload_of(url: str, field: str) -> Upload | None:
    """Return the file in a ``data:`` URL (RFC 2397, base64), for a form's field; None where the URL is an address.

    Raises:
        Refused: it cannot be read.
    """
    if not url.startswith("data:"):
        return None
    head, _, data = url.partition(",")
    content_type = content_type_of(url)
    try:
        content = base64.b64decode(data, validate=True) if head.endswith(";base64") else None
    except ValueError:
        content = None
    if not content:
        raise Refused("the file's data: URL is not base64", code="unreadable_file")
    return Upload(field, f"file{mimetypes.guess_extension(content_type) or ''}", content_type, content)
