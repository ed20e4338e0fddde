"""Reads a message (RFC 5322, MIME), whatever its bytes are: in bounded time, losing as little as possible.

``reading`` makes the :class:`~channels.email.mail.Mail`. Below it: ``fields`` (headers), ``structure`` (parts),
``choosing`` and ``bodies`` (the words), ``addresses``; and what these read with: ``words``, ``params``, ``transfer``,
``charsets``, ``flowed``, ``markup``, ``lexing``. The standard library's ``email`` is not used: its parsers take
quadratic time, recurse and raise on what strangers can send.
"""

from __future__ import annotations

from channels.email.mime.addresses import message_ids, read_addresses
from channels.email.mime.defects import Defect
from channels.email.mime.reading import read_head, read_mail

__all__ = ["Defect", "message_ids", "read_addresses", "read_head", "read_mail"]
