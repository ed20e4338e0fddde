"""Files at Meta: what customers send and what the gateway uploads."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.sandbox.meta.app import MetaApp
from gateway.sandbox.meta.errors import Refusal, missing

PUBLIC = "/cdn"
TEMPORARY = "/whatsapp_business/attachments/"
LIFETIME = timedelta(minutes=5)
"""How long an address of WhatsApp's leads to a file (developers.facebook.com/docs/whatsapp/cloud-api/reference/media,
read 2026-11)."""

MB = 1024 * 1024
MAX_IMAGE_BYTES = 8 * MB  # of Messenger: developers.facebook.com/docs/messenger-platform, read 2026-11
MAX_ATTACHMENT_BYTES = 25 * MB
# What WhatsApp takes, and how large (the same page): the longest prefix of a content type decides.
MAX_BYTES: Mapping[str, int] = {
    "image/jpeg": 5 * MB,
    "image/png": 5 * MB,
    "image/webp": MB // 2,
    "audio/": 16 * MB,
    "video/mp4": 16 * MB,
    "video/3gpp": 16 * MB,
    "application/": 100 * MB,
    "text/plain": 100 * MB,
}


@dataclass(frozen=True, slots=True)
class File:
    """A file of a customer's, or one that was uploaded."""

    id: str
    owner: str
    """The page or the number that may use it."""
    content: bytes
    content_type: str
    name: str = ""

    @property
    def digest(self) -> bytes:
        """The SHA-256: WhatsApp's webhooks write it in base64, its API in hexadecimal."""
        return hashlib.sha256(self.content).digest()

    def reference(self) -> dict[str, Any]:
        """Return what a webhook of WhatsApp's tells of it."""
        return {
            "id": self.id,
            "mime_type": self.content_type,
            "sha256": base64.b64encode(self.digest).decode(),
        }


class Files:
    """Keeps files, and gives them addresses: Messenger's are public, WhatsApp's want the token and expire."""

    def __init__(self, app: MetaApp) -> None:
        self._app = app
        self._files: dict[str, File] = {}
        self._addresses: dict[str, tuple[File, datetime]] = {}

    def add(self, owner: str, content: bytes, content_type: str, name: str = "") -> File:
        """Keep a file."""
        file = File(self._app.new_number(), owner, content, content_type, name)
        self._files[file.id] = file
        return file

    def attach(self, owner: str, content: bytes, content_type: str, name: str) -> File:
        """Keep a file for Messenger.

        Raises:
            Refusal: it takes none as large.
        """
        at_most = MAX_IMAGE_BYTES if content_type.startswith("image/") else MAX_ATTACHMENT_BYTES
        if not content or len(content) > at_most:
            raise Refusal(100, 2018109)
        return self.add(owner, content, content_type, name)

    def upload(self, owner: str, content: bytes, content_type: str, name: str) -> File:
        """Keep a file for WhatsApp.

        Raises:
            Refusal: it takes no such file, or none as large.
        """
        kind = content_type.partition(";")[0].strip().lower()
        at_most = next((size for prefix, size in MAX_BYTES.items() if kind.startswith(prefix)), None)
        if at_most is None:
            raise Refusal(100, message=f"Param file must be a file with one of the types that are taken, not {kind}")
        if not content or len(content) > at_most:
            raise Refusal(131053, details=f"A file of this type has at most {at_most} bytes, and at least one.")
        return self.add(owner, content, content_type, name)

    def get(self, file_id: str) -> File | None:
        """Return a file, or None."""
        return self._files.get(file_id)

    def found(self, file_id: str, owners: set[str]) -> File:
        """Return a file of one of these owners.

        Raises:
            Refusal: there is none.
        """
        file = self._files.get(file_id)
        if file is None or file.owner not in owners:
            raise missing()
        return file

    def remove(self, file: File) -> None:
        """Keep a file no longer."""
        self._files.pop(file.id, None)

    def public_url(self, file: File) -> str:
        """Return the address of a file on Messenger; what Meta would fetch stays where it is."""
        return file.name if not file.content else f"{self._app.url}{PUBLIC}/{file.id}/{file.name or 'file'}"

    def describe(self, file: File) -> dict[str, Any]:
        """Return what WhatsApp's API tells of a file, with a new address."""
        secret = self._app.new_hex()
        self._addresses[secret] = file, self._app.clock() + LIFETIME
        return {
            "messaging_product": "whatsapp",
            "url": f"{self._app.url}{TEMPORARY}?mid={file.id}&ext={int(self._addresses[secret][1].timestamp())}"
            f"&hash={secret}",
            "mime_type": file.content_type,
            "sha256": file.digest.hex(),
            "file_size": len(file.content),
            "id": file.id,
        }

    def behind(self, secret: str) -> File | None:
        """Return the file that an address of WhatsApp's leads to now, or None."""
        file, until = self._addresses.get(secret, (None, None))
        return file if until is not None and self._app.clock() < until else None
