"""What can be wrong with a message that is read all the same."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum


class Defect(StrEnum):
    """Something that had to be guessed or left out; the value is for people."""

    # --- the message as a whole ---
    NO_HEADERS = "there are no headers"
    MAC_LINES = "its lines end with a carriage return alone"
    UTF16 = "the whole message is in UTF-16"
    # --- headers ---
    HEADER_CUT = "a header was too long and was cut"
    HEADERS_LEFT_OUT = "there were too many headers and some were left out"
    NO_SEPARATOR = "no empty line separates headers and text"
    BROKEN_HEADER = "a line among the headers is none"
    BAD_TYPE = "a content type is unreadable"
    # --- structure ---
    BOUNDARY_GUESSED = "the boundary between parts was guessed"
    NO_PARTS = "a multipart has no parts"
    CUT_OFF = "the last part has no end: the message may have been cut off"
    TOO_MANY_PARTS = "there were too many parts and some were left out"
    TOO_DEEP = "parts are nested too deep and were left together"
    # --- contents ---
    BAD_CHARSET = "a text is not in the character set that it names, or in one that we know"
    BAD_BASE64 = "a base64 content is broken"
    BAD_ENCODING = "a content's transfer encoding is unknown"
    STUB = "the plain text only points to the HTML"
    HTML_TOO_LONG = "the HTML was too long and only its text was kept"
    HTML_TOO_DEEP = "the HTML is nested too deep and only its text was kept"
    TEXT_CUT = "the text was too long and was cut; all of it is among the files"
    # --- what we do not open ---
    ENCRYPTED = "it is encrypted and cannot be read here"
    SIGNED = "it has a signature that is not checked here"
    TNEF = "files may be inside winmail.dat, which is not opened here"
    ELSEWHERE = "a part is elsewhere and was not fetched"


class Defects:
    """The defects of one message, each once, in the order in which they were found."""

    def __init__(self) -> None:
        self._found: dict[Defect, None] = {}

    def __iter__(self) -> Iterator[Defect]:
        return iter(self._found)

    def add(self, defect: Defect) -> None:
        """Note a defect."""
        self._found[defect] = None
