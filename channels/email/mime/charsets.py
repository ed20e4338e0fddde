"""Bytes to text, whatever they claim to be, and text that is safe to show."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping

# What senders write, and what they mean: most labels are read as the larger set that browsers read them as
# (encoding.spec.whatwg.org, "Names and labels", read 2026-11). None is guessed: UTF-8, then the West's.
ALIASES: Mapping[str, str | None] = {
    **dict.fromkeys(("", "ascii", "us-ascii", "ansi_x3.4-1968", "iso646-us", "646"), None),
    **dict.fromkeys(("unknown", "unknown-8bit", "x-unknown", "default", "none", "8bit", "7bit", "binary"), None),
    **dict.fromkeys(("utf-7", "utf7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7"), None),  # hides what it says
    **dict.fromkeys(("utf8mb4", "utf-8n", "x-utf-8", "unicode-1-1-utf-8"), "utf-8"),
    **dict.fromkeys(("gb2312", "gb_2312-80", "gbk", "x-gbk", "cp936", "euc-cn", "gb18030-2022"), "gb18030"),
    **dict.fromkeys(("ks_c_5601-1987", "ks_c_5601", "ksc5601", "ksc_5601", "euc-kr", "x-windows-949"), "cp949"),
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1"), "cp1252"),
    **dict.fromkeys(("iso-8859-9", "iso8859-9", "latin5"), "cp1254"),
    **dict.fromkeys(("iso-8859-8-i", "iso-8859-8-e"), "iso8859-8"),
    **dict.fromkeys(("iso-8859-6-i", "iso-8859-6-e"), "iso8859-6"),
    **dict.fromkeys(("tis-620", "iso-8859-11"), "cp874"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji", "windows-31j"), "cp932"),
    **dict.fromkeys(("iso-2022-jp", "cp50220", "cp50221", "csiso2022jp"), "iso2022_jp_ext"),
    **dict.fromkeys(("big5", "big-5", "x-big5", "cn-big5"), "big5hkscs"),
    "hz-gb-2312": "hz",
    "x-mac-roman": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
    "koi8": "koi8-r",
}
# Python's own codecs that are no character sets, that execute escapes, or that take quadratic time.
_REFUSED = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "mbcs", "oem", "utf-7"})
_CODE_PAGE = re.compile(r"(?:x-)?(?:cp|ibm|ansi|win(?:dows)?)?[ _-]?(\d{3,4})")

_BROKEN = "\ufffd"
_LINE_SEPARATORS = re.compile("[\v\f\x85\u2028\u2029]")
# C0 and C1 controls but tab and newline, and the marks that turn what follows around (Unicode TR 9, section 2). The
# marks that only give a place a direction, U+200E and U+200F, are Arabic's and Hebrew's daily bread and stay.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SPACES = re.compile(r"[\t\n\r]+")


def codec_of(charset: str | None) -> str | None:
    """Return Python's name of a character set, or None where it names none and has to be guessed."""
    name = (charset or "").strip("\"' \t\r\n").lower()[:60]
    name = name.partition("*")[0].partition(" ")[0]  # a language (RFC 2231, 5) or a comment may follow
    if name in ALIASES:
        return ALIASES[name]
    return _known(name) or _code_page(name)


def is_known(charset: str | None) -> bool:
    """Whether a character set is one of ours, or is left open in a way that we have seen."""
    return codec_of(charset) is not None or (charset or "").strip("\"' \t\r\n").lower() in ALIASES


def _known(name: str) -> str | None:
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    is_text = getattr(found, "_is_text_encoding", False)  # rot13, zlib and base64 are codecs too
    return found.name if is_text and found.name not in _REFUSED else None


def _code_page(name: str) -> str | None:
    match = _CODE_PAGE.fullmatch(name)
    return _known(f"cp{match[1]}") if match else None


def decode(data: bytes, charset: str | None = None) -> tuple[str, bool]:
    """Return the text, with lone surrogates replaced, and whether it is what ``charset`` says it is."""
    codec = codec_of(charset)
    for number, text in enumerate(_readings(data, codec)):
        if text is not None:
            sure = number == 0 and (is_known(charset) or data.isascii())
            return mend(text), sure
    return data.decode("latin-1"), False


def _readings(data: bytes, codec: str | None) -> Iterator[str | None]:
    """Yield what the text may be, best first; None for what it is not."""
    if codec is not None and codec.startswith(("utf-16", "utf-32")) and data.isascii() and b"\0" not in data:
        codec = None  # a label that lies: nobody writes that little in so much
    codec = codec or _by_its_marks(data) or "utf-8"
    yield _strictly(data, codec)
    yield _strictly(data, "utf-8")
    yield _surrogates(data)
    yield _mostly(data, codec)
    yield _mostly(data, "utf-8")
    yield _strictly(data, "cp1252")


def _by_its_marks(data: bytes) -> str | None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\x1b$" in data or b"\x1b(J" in data:  # RFC 1468: Japanese in seven bits
        return "iso2022_jp_ext"
    return None


def _strictly(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeError:
        return None


def _surrogates(data: bytes) -> str | None:
    """Read UTF-8 in which each half of a pair is a character of its own, as some Java programs write it."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeError:
        return None


def _mostly(data: bytes, codec: str) -> str | None:
    """Read a text of which little is broken: three good characters beyond ASCII for a bad one."""
    text = data.decode(codec, "replace")
    bad = text.count(_BROKEN)
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    return text if beyond - bad >= 3 * bad else None


def mend(text: str) -> str:
    """Join surrogates that are pairs and replace the lone ones: no database takes them."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean(text: str) -> str:
    r"""Return a text whose lines end with ``\n``, without control characters and marks that turn it around."""
    text = text.removeprefix("\ufeff").replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n")
    return _UNSEEN.sub("", _LINE_SEPARATORS.sub("\n", text))


def clean_line(text: str) -> str:
    """Return a text on one line, without control characters and marks that turn it around."""
    return _UNSEEN.sub("", _SPACES.sub(" ", _LINE_SEPARATORS.sub(" ", mend(text)))).strip()
