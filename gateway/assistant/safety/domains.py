"""Telling a domain that a customer's screen would link from a full stop without a space behind it. Pure."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Read 2026-11-17 from data.iana.org/TLD/tlds-alpha-by-domain.txt: what has two letters.
_COUNTRIES = _words(
    """
    ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz ca
    cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr
    ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm
    jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq
    mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa
    re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn
    to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw рф бел укр 中国 中國 公司 网络
    """
)
# ... which also begin a sentence, stand behind a number, or end a file's name.
_WORDS = _words(
    """
    ad al am an as at be by cc do id in is it la le lo ma md me mi my na ne ni no nu pa pl pm ps py rs se sh si so st
    su ta te to tu us va ve vi
    """
)
# Those of no country that nobody writes behind a full stop, and those that are also words.
_NAMES = _words("com net org biz edu gov int mil xyz dev icu vip mobi")
_NAMES_AND_WORDS = _words(
    """
    app asia bank blog click cloud club example info link museum online page pay pro shop site store tech test top
    website win
    """
)
_FILES = _words(
    """
    avi bmp csv doc docx eml exe gif heic htm html ics jpeg jpg json log mov mpg odt pdf png ppt pptx rtf svg tar txt
    vcf wav webp xls xlsx xml zip
    """
)
_FOUR_NUMBERS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_HAS_LETTER = re.compile(r"[^\W\d_]")


def is_domain(host: str, *, goes_on: bool) -> bool:
    """Tell whether words with full stops between them are a domain; ``goes_on``: a port or a path is behind them."""
    if _FOUR_NUMBERS.fullmatch(host):
        return goes_on
    *labels, top = host.split(".")
    low = top.lower()
    if low in _NAMES or low.startswith("xn--"):
        return True
    if len(labels) > 1 and not _NAMES.isdisjoint(label.lower() for label in labels[1:]):  # "evil.com.Then pay"
        return True
    known = low in _COUNTRIES or low in _NAMES_AND_WORDS
    if goes_on:  # a slash also stands between two words: "Sa.So/Feiertag", "photo.jpg/photo.png"
        longer = len(low) > 2 and low.isalpha() and top.islower() and low not in _FILES
        return longer or (known and (len(labels[-1]) > 3 or top.islower() or top.isupper()))
    return known and _is_typed_as_name(labels, top)


def _is_typed_as_name(labels: list[str], top: str) -> bool:
    """Tell whether a domain without a path is no typing error: "tomorrow.It", "Co.KG", "at 9.pm", "9 a.m.to 5"."""
    name = labels[-1]
    if len(name) < 2 or not _HAS_LETTER.search(name):
        return False
    if top.isascii() and not (top.islower() or (top.isupper() and name.isupper() and name != "CO")):
        return False
    return top.lower() not in _WORDS or "-" in name or len(labels) > 1
