"""Paragraphs that a sender has broken into lines for the way (RFC 3676)."""

from __future__ import annotations

from collections.abc import Iterator

_SIGNATURE = "-- "  # RFC 3676, 4.3: it ends with a space and is a line of its own


def unflow(text: str, *, delete_space: bool) -> str:
    """Join flowed lines; ``delete_space`` is DelSp, for scripts without spaces. Quote marks stay."""
    return "\n".join(_paragraphs(text.split("\n"), delete_space))


def _paragraphs(lines: list[str], delete_space: bool) -> Iterator[str]:
    joined: list[str] = []
    depth = 0
    for line in lines:
        level, content = _opened(line)
        is_signature = content == _SIGNATURE
        if joined and (level != depth or is_signature):  # RFC 3676, 4.5: a paragraph does not change its depth
            yield _shown(depth, joined)
            joined = []
        depth = level
        flows = content.endswith(" ") and not is_signature
        joined.append(content[:-1] if flows and delete_space else content)
        if not flows:
            yield _shown(depth, joined)
            joined = []
    if joined:
        yield _shown(depth, joined)


def _opened(line: str) -> tuple[int, str]:
    """Return how deep a line is quoted, and its content without the space that it was stuffed with."""
    content = line.lstrip(">")
    return len(line) - len(content), content.removeprefix(" ")


def _shown(depth: int, joined: list[str]) -> str:
    content = "".join(joined)
    if content != _SIGNATURE:
        content = content.rstrip(" ")
    return f"{'>' * depth} {content}" if depth else content
