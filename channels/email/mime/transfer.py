"""Contents as they were before they were encoded for the way (RFC 2045, 6)."""

from __future__ import annotations

import binascii
import re

from channels.email.mime.defects import Defect, Defects

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_WHITE = b" \t\r\n"
_BEYOND = bytes(set(range(256)) - set(_ALPHABET))
_STRANGE = bytes(set(range(256)) - set(_ALPHABET) - set(b"=\r\n"))
_PADDING = re.compile(rb"={1,2}")
_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n)")  # white space that a relay has added (RFC 2045, 6.7, rule 3)
_SAMPLE_BYTES = 4096
_MAX_PIECES = 1000


def decode_transfer(data: bytes, encoding: str, defects: Defects) -> bytes:
    """Undo a transfer encoding, as far as it is one."""
    match encoding.split()[0] if encoding.split() else "":
        case "base64":
            return _base64(data, defects)
        case "quoted-printable":
            return binascii.a2b_qp(_SOFT_BREAK.sub(b"=", data))
        case "" | "7bit" | "8bit" | "binary":
            return data
        case _:  # x-uuencode and others that no mail client has made for long: left as they are
            defects.add(Defect.BAD_ENCODING)
            return data


def _base64(data: bytes, defects: Defects) -> bytes:
    head, padded, rest = _at_padding(data)
    sample = (head or rest)[:_SAMPLE_BYTES]
    strange = len(sample) - len(sample.translate(None, _STRANGE))
    if strange * 20 > len(sample):  # of words one character in six is a space, of base64 none is anything
        defects.add(Defect.BAD_BASE64)
        return data
    if not padded or not rest.strip(_WHITE):
        return _piece(head, defects)
    defects.add(Defect.BAD_BASE64)
    if rest.translate(None, _ALPHABET + b"=" + _WHITE):
        return _piece(head, defects)  # a text behind it, such as a mailing list's footer
    pieces = _PADDING.split(data, maxsplit=_MAX_PIECES)  # several contents, each with its end
    return b"".join(_piece(piece, defects) for piece in pieces)


def _at_padding(data: bytes) -> tuple[bytes, bool, bytes]:
    match = _PADDING.search(data)
    return (data[: match.start()], True, data[match.end() :]) if match else (data, False, b"")


def _piece(data: bytes, defects: Defects) -> bytes:
    bare = data.translate(None, _BEYOND)
    if len(bare) % 4 == 1:  # six bits are no byte
        defects.add(Defect.BAD_BASE64)
        bare = bare[:-1]
    if len(bare) + sum(map(data.count, (b"\r", b"\n", b" ", b"\t"))) != len(data):
        defects.add(Defect.BAD_BASE64)
    return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4))
