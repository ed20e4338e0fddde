"""What robots write into subjects, in the languages of the mail programs that have them."""

from __future__ import annotations

import re
import unicodedata

_TAG = re.compile(r"^(?:\[[^\[\]]{1,40}\]\s*)+")
"""What a company's border puts before: ``[EXTERNAL]``."""

# What mail programs put before the subject when their owner is away; in the order of the languages' codes.
_AWAY = (
    *("رد تلقائي", "الرد التلقائي"),  # ar
    "автоматичен отговор",  # bg
    *("automatická odpověď", "nepřítomnost"),  # cs
    *("automatisk svar", "autosvar"),  # da, no, sv
    *("automatische antwort", "abwesenheitsnotiz", "abwesenheit:", "abwesend:"),  # de
    *("αυτόματη απάντηση", "εκτός γραφείου"),  # el
    *("automatic reply", "auto reply", "auto-reply", "autoreply", "auto response", "auto:", "automatic response"),  # en
    *("out of office", "out of the office", "away from the office"),
    *("respuesta automática", "respuesta automatica", "fuera de la oficina", "fuera de oficina"),  # es
    *("automaatvastus", "automaattinen vastaus", "automaattivastaus", "poissaoloviesti", "poissa:"),  # et, fi
    *("réponse automatique", "reponse automatique", "absence du bureau", "absent du bureau", "message d'absence"),  # fr
    *("מענה אוטומטי", "תשובה אוטומטית"),  # he
    *("automatski odgovor", "automatikus válasz"),  # hr, hu
    *("balasan otomatis", "risposta automatica", "fuori sede", "fuori ufficio"),  # id, it
    *("自動返信", "自動応答", "不在通知", "不在:"),  # ja
    *("자동 회신", "자동회신", "자동 응답", "부재중"),  # ko
    *("automatinis atsakymas", "automātiska atbilde"),  # lt, lv
    *("automatisch antwoord", "afwezigheidsbericht", "afwezig:"),  # nl
    *("fraværsmelding", "fraværsassistent"),  # no
    *("odpowiedź automatyczna", "automatyczna odpowiedź", "autoodpowiedź", "poza biurem"),  # pl
    *("resposta automática", "resposta automatica", "fora do escritório", "ausência temporária"),  # pt
    *("răspuns automat", "автоматический ответ", "автоответ"),  # ro, ru
    *("automatická odpoveď", "samodejni odgovor", "frånvaromeddelande"),  # sk, sl, sv
    *("ตอบกลับอัตโนมัติ", "otomatik yanıt", "otomatik cevap", "автоматична відповідь"),  # th, tr, uk
    *("trả lời tự động", "自动答复", "自动回复", "自動回覆", "自動回復"),  # vi, zh
)
_FAILED = (
    "undelivered mail returned to sender",
    "undeliverable:",
    "undeliverable mail",
    "delivery status notification",
    "mail delivery failed",
    "mail delivery failure",
    "mail delivery system",
    "failure notice",
    "returned mail:",
    "delivery failure",
    "unzustellbar:",
    "non remis",
    "no se puede entregar:",
)


def says_away(subject: str) -> bool:
    """Tell whether a subject begins as that of somebody who is away; ``Re:`` before it is a person's."""
    return _begin(subject).startswith(_AWAY_FOLDED)


def says_failed(subject: str) -> bool:
    """Tell whether a subject begins as a mail server's that could not deliver something."""
    return _begin(subject).startswith(_FAILED)


def _begin(subject: str) -> str:
    return _TAG.sub("", _folded(subject[:200]).strip())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


_AWAY_FOLDED = tuple(_folded(words) for words in _AWAY)
