"""Taking out of a JSON document what names somebody, and leaving everything beside it. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

TEXTS = frozenset({"body", "text", "caption", "title", "subject", "html", "payload", "description"})
"""Fields, in lower case, that hold what somebody has said: an address there is only spoken of."""

Element = dict[str, Any]


class Pruning:
    """One document. Its elements are the objects within its lists; an element goes as a whole."""

    def __init__(self, document: Any, is_named: Callable[[str], bool]) -> None:
        self._document = document
        self._is_named = is_named
        self._named: list[Element] = []
        """The elements in which a field is a name, those around others first."""
        self._is_root_named = False
        self._find(document, None)
        self.dropped: list[Any] = []
        self.body: bytes | None = b""
        """What is left; None where that is nothing."""

    @classmethod
    def of(cls, body: bytes, is_named: Callable[[str], bool]) -> Pruning | None:
        """Return a body as a document to be pruned; None where it is no JSON."""
        try:
            document = json.loads(body)
            return cls(document, is_named) if isinstance(document, dict | list) else None
        except (ValueError, RecursionError):
            return None

    def run(self, is_right: Callable[[bytes | None], bool]) -> None:
        """Drop every element that is named, as long as ``is_right`` says so of what is left."""
        if self._is_root_named and is_right(None):
            self.dropped, self.body = [self._document], None
            return
        gone = {id(element) for element in self._named}
        if gone and not is_right(_written(_without(self._document, gone))):
            gone = set()
            for element in self._named:
                if is_right(_written(_without(self._document, {*gone, id(element)}))):
                    gone.add(id(element))
        self.dropped = list(_outermost(self._document, gone))
        self.body = _written(_without(self._document, gone))

    def _find(self, value: Any, element: Element | None) -> None:
        """Note the elements in which a field is a name; ``element`` is the one around the value."""
        if isinstance(value, dict):
            for name, item in value.items():
                if isinstance(item, dict | list):
                    self._find(item, element)
                elif name.lower() not in TEXTS:
                    self._look(item, element)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    place = len(self._named)
                    self._find(item, item)
                    self._raise(item, place)
                elif isinstance(item, list):
                    self._find(item, element)
                else:
                    self._look(item, element)

    def _look(self, value: Any, element: Element | None) -> None:
        if isinstance(value, bool) or not isinstance(value, str | int) or not self._is_named(str(value)):
            return
        if element is None:
            self._is_root_named = True
        elif not any(known is element for known in self._named[-1:]):
            self._named.append(element)

    def _raise(self, element: Element, place: int) -> None:
        """Put an element before those within it, once."""
        within = [known for known in self._named[place:] if known is not element]
        if len(within) < len(self._named) - place:
            self._named[place:] = [element, *within]


def _without(value: Any, gone: set[int]) -> Any:
    """Return a value without these elements, and without those that held nothing else; None where nothing is left."""
    if not gone:
        return value
    left, has_lost, has_more = _left(value, gone)
    return None if has_lost and not has_more else left


def _left(value: Any, gone: set[int]) -> tuple[Any, bool, bool]:
    """Return what is left of a value, whether it has lost an element, and whether it has one left."""
    if isinstance(value, dict):
        left: Any = {}
        has_lost = has_more = False
        for name, item in value.items():
            left[name], lost, more = _left(item, gone)
            has_lost, has_more = has_lost or lost, has_more or more
        return left, has_lost, has_more
    if not isinstance(value, list):
        return value, False, False
    left, has_lost, has_more = [], False, False
    for item in value:
        if id(item) in gone:
            has_lost = True
            continue
        kept, lost, more = _left(item, gone)
        has_lost = has_lost or lost
        if lost and not more:
            continue
        left.append(kept)
        has_more = has_more or more or isinstance(item, dict)
    return left, has_lost, has_more


def _outermost(value: Any, gone: set[int]) -> Iterator[Any]:
    if id(value) in gone:
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _outermost(item, gone)


def _written(document: Any) -> bytes | None:
    return None if document is None else json.dumps(document, separators=(",", ":")).encode()
