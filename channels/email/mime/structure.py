"""The tree of a message's parts (RFC 2046), found without copying them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from channels.email.mime.charsets import clean_line
from channels.email.mime.defects import Defect, Defects
from channels.email.mime.fields import Block, read_block
from channels.email.mime.limits import MAX_DEPTH, MAX_PARTS
from channels.email.mime.params import media_type, read_structured, safe_name
from channels.email.mime.transfer import decode_transfer

# The first line of a part's headers behind a line that may be a delimiter.
_GUESS = re.compile(rb"\n--([^\r\n]{1,70}?)[ \t]*+\r*+\n(?i:content-(?:type|transfer|disp))")
_MAX_DELIMITERS = 4 * MAX_PARTS
_OCTETS = "application/octet-stream"

Span = tuple[bytes, int, int]
"""Bytes, and where in them something begins and ends."""


@dataclass(frozen=True, slots=True)
class Node:
    """A multipart with its children, or a leaf with its content."""

    content_type: str
    params: Mapping[str, str]
    disposition: str
    """``attachment``, ``inline``, another word, or empty."""
    name: str | None
    content_id: str | None
    encoding: str
    span: Span
    number: int = 0
    """A leaf's place among the leaves, from 1; 0 for a multipart."""
    children: tuple[Node, ...] = ()

    def content(self, defects: Defects) -> bytes:
        """Return what a leaf holds, decoded from its transfer encoding."""
        data, start, end = self.span
        return decode_transfer(data[start:end], self.encoding, defects)

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it in their order."""
        yield self
        for child in self.children:
            yield from child.walk()


def read_tree(data: bytes, block: Block, defects: Defects) -> Node:
    """Return the tree of the message whose headers are ``block``."""
    span = (data, block.end, len(data)) if block.end else (b"\n" + data, 1, len(data) + 1)
    return _Reader(defects).node(block, span, depth=0, default="text/plain")


class _Reader:
    """Reads a tree while it has parts left to give."""

    def __init__(self, defects: Defects) -> None:
        self._defects = defects
        self._parts_left = MAX_PARTS
        self._leaves = 0

    def node(self, block: Block, span: Span, *, depth: int, default: str) -> Node:
        node = self._described(block, span, default)
        if not node.content_type.startswith("multipart/"):
            return self._undeclared(node) if depth == 0 and block.first(b"content-type") is None else self._leaf(node)
        if depth >= MAX_DEPTH:
            self._defects.add(Defect.TOO_DEEP)
            return self._leaf(node)
        return self._multipart(node, self._spans(node), depth)

    def _described(self, block: Block, span: Span, default: str) -> Node:
        declared = block.first(b"content-type")
        structured = read_structured(declared)
        disposition = read_structured(block.first(b"content-disposition"))
        name = safe_name(disposition.params.get("filename")) or safe_name(structured.params.get("name"))
        content_type = media_type(declared)
        if content_type is None and (declared or "").strip():
            self._defects.add(Defect.BAD_TYPE)
            default = _OCTETS if name else default
        return Node(
            content_type=content_type or default,
            params=structured.params,
            disposition=disposition.value.partition(" ")[0],
            name=name,
            content_id=clean_line(block.first(b"content-id") or "").strip("<> ") or None,
            encoding=read_structured(block.first(b"content-transfer-encoding")).value.strip("\"'"),
            span=span,
        )

    def _leaf(self, node: Node) -> Node:
        self._leaves += 1
        return replace(node, number=self._leaves)

    def _undeclared(self, node: Node) -> Node:
        """Read a message without a content type, which may have parts all the same."""
        data, start, end = node.span
        match = _GUESS.search(data, start - 1, end)
        if match is None or data[start : match.start()].strip():
            return self._leaf(node)
        self._defects.add(Defect.BOUNDARY_GUESSED)
        node = replace(node, content_type="multipart/mixed")
        return self._multipart(node, self._cut(node.span, match[1]), depth=0)

    def _multipart(self, node: Node, spans: list[Span], depth: int) -> Node:
        if not spans:
            self._defects.add(Defect.NO_PARTS)
            return self._leaf(replace(node, content_type="text/plain"))
        default = "message/rfc822" if node.content_type == "multipart/digest" else "text/plain"  # RFC 2046, 5.1.5
        children = []
        for data, start, end in spans:
            if self._parts_left <= 0:
                self._defects.add(Defect.TOO_MANY_PARTS)
                break
            self._parts_left -= 1
            block = read_block(data, start, end, self._defects)
            children.append(self.node(block, (data, block.end, end), depth=depth + 1, default=default))
        return replace(node, children=tuple(children))

    def _spans(self, node: Node) -> list[Span]:
        """Find a multipart's parts by its boundary, by one that it uses instead, or encoded, as none may be."""
        boundary = node.params.get("boundary", "").rstrip().encode()
        spans = self._cut(node.span, boundary) if boundary else []
        if not spans and (match := _GUESS.search(node.span[0], node.span[1] - 1, node.span[2])):
            self._defects.add(Defect.BOUNDARY_GUESSED)
            spans = self._cut(node.span, match[1])
        if not spans and node.encoding in ("base64", "quoted-printable"):
            data = b"\n" + node.content(self._defects)
            spans = self._cut((data, 1, len(data)), boundary)
        return spans

    def _cut(self, span: Span, boundary: bytes) -> list[Span]:
        data, start, end = span
        delimiter = re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?[ \t]*+\r*+(?=\n|\Z)")
        spans: list[Span] = []
        opened: int | None = None
        for count, match in enumerate(islice(delimiter.finditer(data, start - 1, end), _MAX_DELIMITERS)):
            if opened is not None and match.start() > opened:
                spans.append((data, opened, _without_returns(data, opened, match.start())))
            opened = None if match[1] else match.end() + 1
            if len(spans) > self._parts_left or count == _MAX_DELIMITERS - 1:
                self._defects.add(Defect.TOO_MANY_PARTS)
                return spans
        if opened is not None and opened < end:
            self._defects.add(Defect.CUT_OFF)
            spans.append((data, opened, end))
        return spans


def _without_returns(data: bytes, start: int, end: int) -> int:
    """Leave out the carriage returns of the line break that belongs to a delimiter; relays double them."""
    while end > start and data[end - 1] == 0x0D:
        end -= 1
    return end
