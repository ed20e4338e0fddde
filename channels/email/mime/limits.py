"""How much of a message is read.

A stranger writes it, so every number here bounds work or memory. What lies beyond one is left out with a
:class:`~channels.email.mime.defects.Defect`, and the raw message is stored whole all the same.
"""

from __future__ import annotations

KILOBYTE = 1024
MEGABYTE = 1024 * KILOBYTE

MAX_HEADER_BYTES = 32 * KILOBYTE
"""Of one header; what follows in it is cut."""
MAX_HEADERS_BYTES = 256 * KILOBYTE
"""Of all headers of one block together; further ones are left out, but for those that a mail cannot be read without."""
MAX_HEADERS = 1000
"""... the same, by number. A long way through relays and lists leaves about 100."""
MAX_HEADERS_SCAN_BYTES = 2 * MEGABYTE
"""How far headers are looked for before the first empty line."""

MAX_DEPTH = 20
"""Of multiparts in each other; mail clients make 4, forwarding gateways a few more."""
MAX_PARTS = 200
"""Multiparts and leaves together."""

MAX_TEXT_CHARACTERS = MEGABYTE
"""Of the text, and of the HTML; a longer one is also kept as a file."""
MAX_MARKUP_CHARACTERS = 4 * MEGABYTE
"""How much of a long HTML is made text."""
MAX_OPEN_TAGS = 3000
"""At the same time: parsers of HTML take quadratic time in it. Newsletters nest about 60 deep."""

MAX_NAME_CHARACTERS = 150
"""Of a file; file systems take 255 bytes."""
MAX_ADDRESS_CHARACTERS = 254  # RFC 5321, 4.5.3.1.3: a path has 256 octets, of which two are brackets
MAX_MESSAGE_IDS = 500
"""Of one header; References of long threads have about 100."""
