"""The lines that follow SMTP's DATA, as they come in pieces (RFC 5321, section 4.5.2). Pure."""

from __future__ import annotations

_END = b"\r\n.\r\n"
_BEGINNINGS = tuple(_END[:length] for length in range(len(_END) - 1, 0, -1))


class DataLines:
    """Takes the doubled dots out of a message, and finds its end.

    Only CRLF ends a line: a server that also takes a bare LF can be made to see a second message in the first
    (CVE-2023-51764). No step of it looks at single lines, of which 50 MB may have 25 million.
    """

    def __init__(self) -> None:
        self._held = b"\r\n"  # a message begins a line
        self._is_first = True

    def feed(self, piece: bytes) -> tuple[bytes, bytes | None]:
        """Return more of the message, and what came after its end; None where it goes on."""
        seen = self._held + piece
        end = seen.find(_END)
        if end >= 0:
            return self._plain(seen[: end + 2]), seen[end + len(_END) :]
        self._held = next((begun for begun in _BEGINNINGS if seen.endswith(begun)), b"")
        return self._plain(seen[: len(seen) - len(self._held)]), None

    def _plain(self, seen: bytes) -> bytes:
        content = seen.replace(b"\r\n.", b"\r\n")
        if self._is_first and content:
            self._is_first = False
            return content[2:]
        return content
