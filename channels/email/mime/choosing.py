"""Which leaves of a message are its text, and which of them say the same."""

from __future__ import annotations

from dataclasses import dataclass

from channels.email.mime.structure import Node

PLAIN = frozenset({"text/plain", "text/markdown", "text/x-markdown", "text/enriched", "text/richtext"})
HTML = frozenset({"text/html", "application/xhtml+xml"})
# The same words once more, for programs that few have: never a file.
_SHADOWS = frozenset({"text/x-amp-html", "text/watch-html"})
# Texts for programs: never the message's words.
_DATA = frozenset(
    {"text/calendar", "text/csv", "text/directory", "text/rfc822-headers", "text/vcard", "text/x-vcard", "text/xml"}
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to read: as plain text, as HTML, or the same as both."""

    plain: tuple[Node, ...] = ()
    html: tuple[Node, ...] = ()


class Chosen:
    """The pieces of a message in their order, and the leaves that are no files because of them."""

    def __init__(self, root: Node) -> None:
        self.used: set[int] = set()
        self.pieces: list[Piece] = self._pieces(root) or self._instead(root)

    def _pieces(self, node: Node) -> list[Piece]:
        match node.content_type:
            case _ if not node.children:
                return self._leaf(node)
            case "multipart/alternative":
                return self._alternative(node)
            case "multipart/related":
                return self._related(node)
            case "multipart/report":  # RFC 6522, 3: the first part is for people
                return self._pieces(node.children[0])
            case _:
                return [piece for child in node.children for piece in self._pieces(child)]

    def _leaf(self, node: Node) -> list[Piece]:
        if node.name is not None or node.disposition not in ("", "inline"):
            return []
        if node.content_type in PLAIN:
            self.used.add(node.number)
            return [Piece(plain=(node,))]
        if node.content_type in HTML:
            self.used.add(node.number)
            return [Piece(html=(node,))]
        return []

    def _related(self, node: Node) -> list[Piece]:
        """Read the root (RFC 2387); what has an id is shown by it, and what has none was put beside it by mistake."""
        start = node.params.get("start", "").strip("<> ")
        root = next((child for child in node.children if start and child.content_id == start), node.children[0])
        found = [child for child in node.children if child is root or child.content_id is None]
        return [piece for child in found for piece in self._pieces(child)]

    def _alternative(self, node: Node) -> list[Piece]:
        self.used |= {child.number for child in node.children if child.content_type in _SHADOWS}
        options = [found for child in node.children if (found := self._pieces(child))]
        rich = [option for option in options if any(piece.html for piece in option)]
        plain = tuple(leaf for option in options if option not in rich for piece in option for leaf in piece.plain)
        if not rich:
            return [Piece(plain=plain)] if plain else []
        if not plain:
            return rich[-1]  # RFC 2046, 5.1.4: the last is the richest
        return [Piece(plain, tuple(leaf for piece in rich[-1] for leaf in piece.html))]

    def _instead(self, root: Node) -> list[Piece]:
        """Take the first text that is only not a file, where nothing is a text by the rules."""
        for node in root.walk():
            is_words = node.content_type.startswith("text/") and node.content_type not in _DATA | _SHADOWS
            if node.number and is_words and node.disposition != "attachment":
                if node.name is None:
                    self.used.add(node.number)
                return [Piece(html=(node,)) if node.content_type in HTML else Piece(plain=(node,))]
        return []
