"""The customer's new words are found whatever their mail program and language, and never lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.email.quoting import Cut, Own, cut
from channels.email.quoting.cutting import LONGEST

FIXTURES = Path(__file__).parent / "fixtures" / "quoting"
DELIMITER = "##- Please type your reply above this line -##"
OWN = Own(frozenset({"help@example.com"}), "example.com", DELIMITER)
NOBODY = Own(frozenset(), "", None)
NEW = "Thursday is fine.\n\nThe boiler stands in the cellar: 2 doors on the left."
TEXT = """\
Hello,

your boiler is due for its yearly inspection. Would Thursday at ten suit you?
The price is the same as in 2025: 90.

Example Help
"""
MARKED = "\n".join(f"> {line}".rstrip() for line in TEXT.split("\n"))

# Gmail's, wrapped as it wraps them; its order of words and its punctuation differ with the language.
ATTRIBUTIONS = [
    ("en", "On Wed, Nov 25, 2026 at 3:04 PM Example Help <help+c.01hzx3k7m2v8q.abcdefghij@example.com>\nwrote:"),
    ("de", "Am Mi., 25. Nov. 2026 um 15:04 Uhr schrieb Example Help <\nhelp+c.01hzx3k7m2v8q.abcdefghij@example.com>:"),
    ("fr", "Le mer. 25 nov. 2026 à 15:04, Example Help <help@example.com> a écrit :"),
    ("es", "El mié, 25 nov 2026 a las 15:04, Example Help (<help@example.com>)\nescribió:"),
    ("it", "Il giorno mer 25 nov 2026 alle ore 15:04 Example Help <help@example.com>\nha scritto:"),
    ("nl", "Op wo 25 nov 2026 om 15:04 schreef Example Help <help@example.com>:"),
    ("pt-br", "Em qua., 25 de nov. de 2026 às 15:04, Example Help <help@example.com>\nescreveu:"),
    ("pt", "Example Help <help@example.com> escreveu (quarta, 25/11/2026\nà(s) 15:04):"),
    ("pl", "śr., 25 lis 2026 o 15:04 Example Help <help@example.com> napisał(a):"),
    ("ru", "ср, 25 нояб. 2026 г. в 15:04, Example Help <help@example.com>:"),
    ("tr", "Example Help <help@example.com>, 25 Kas 2026 Çar, 15:04 tarihinde\nşunu yazdı:"),
    ("zh-cn", "Example Help <help@example.com> 于2026年11月25日周三 15:04写道："),
    ("zh-tw", "Example Help <help@example.com> 於 2026年11月25日 週三 下午3:04寫道："),
    ("ja", "2026年11月25日(水) 15:04 Example Help <help@example.com>:"),
    ("ko", "2026년 11월 25일 (수) 오후 3:04, Example Help <help@example.com>님이 작성:"),
    ("ar", "في الأربعاء، 25 نوفمبر 2026 في 3:04 م تمت كتابة ما يلي بواسطة Example Help <help@example.com>:"),
    ("he", "בתאריך יום ד׳, 25 בנוב׳ 2026 ב-15:04 מאת Example Help <help@example.com>:"),
    ("cs", "st 25. 11. 2026 v 15:04 odesílatel Example Help <help@example.com> napsal:"),
    ("sv", "Den ons 25 nov. 2026 kl 15:04 skrev Example Help <help@example.com>:"),
    ("da", "Den ons. 25. nov. 2026 kl. 15.04 skrev Example Help <help@example.com>:"),
    ("no", "ons. 25. nov. 2026 kl. 15:04 skrev Example Help <help@example.com>:"),
    ("fi", "ke 25. marrask. 2026 klo 15.04 Example Help (help@example.com)\nkirjoitti:"),
    ("uk", "ср, 25 лист. 2026 р. о 15:04 Example Help <help@example.com> пише:"),
    ("hu", "Example Help <help@example.com> ezt írta (időpont: 2026. nov. 25.,\nSze, 15:04):"),
    ("el", "Στις Τετ 25 Νοε 2026 στις 3:04 μ.μ., ο χρήστης Example Help <help@example.com>\nέγραψε:"),
    ("vi", "Vào Th 4, 25 thg 11, 2026 vào lúc 15:04 Example Help <help@example.com>\nđã viết:"),
    ("th", "ในวันที่ พ. 25 พ.ย. 2026 เวลา 15:04 Example Help <help@example.com>\nเขียนว่า:"),
]

# Outlook's: the names of its four fields, and the day.
_FIELDS: list[tuple[str, tuple[str, str, str, str], str]] = [
    ("en", ("From:", "Sent:", "To:", "Subject:"), "Wednesday, November 25, 2026 3:04 PM"),
    ("de", ("Von:", "Gesendet:", "An:", "Betreff:"), "Mittwoch, 25. November 2026 15:04"),
    ("fr", ("De :", "Envoyé :", "À :", "Objet :"), "mercredi 25 novembre 2026 15:04"),
    ("es", ("De:", "Enviado:", "Para:", "Asunto:"), "miércoles, 25 de noviembre de 2026 15:04"),
    ("it", ("Da:", "Inviato:", "A:", "Oggetto:"), "mercoledì 25 novembre 2026 15:04"),
    ("nl", ("Van:", "Verzonden:", "Aan:", "Onderwerp:"), "woensdag 25 november 2026 15:04"),
    ("pt", ("De:", "Enviado:", "Para:", "Assunto:"), "quarta-feira, 25 de novembro de 2026 15:04"),
    ("pl", ("Od:", "Wysłano:", "Do:", "Temat:"), "środa, 25 listopada 2026 15:04"),
    ("ru", ("От:", "Отправлено:", "Кому:", "Тема:"), "25 ноября 2026 г. 15:04"),
    ("tr", ("Kimden:", "Gönderildi:", "Kime:", "Konu:"), "25 Kasım 2026 Çarşamba 15:04"),
    ("zh", ("发件人:", "发送时间:", "收件人:", "主题:"), "2026年11月25日 15:04"),
    ("ja", ("差出人:", "送信日時:", "宛先:", "件名:"), "2026年11月25日 15:04"),
    ("ko", ("보낸 사람:", "보낸 날짜:", "받는 사람:", "제목:"), "2026년 11월 25일 수요일 오후 3:04"),
    ("ar", ("من:", "تم الإرسال:", "إلى:", "الموضوع:"), "25/نوفمبر/2026 03:04 م"),
    ("he", ("מאת:", "נשלח:", "אל:", "נושא:"), "יום רביעי 25 נובמבר 2026 15:04"),
    ("cs", ("Od:", "Odesláno:", "Komu:", "Předmět:"), "středa 25. listopadu 2026 15:04"),
    ("sv", ("Från:", "Skickat:", "Till:", "Ämne:"), "den 25 november 2026 15:04"),
    ("da", ("Fra:", "Sendt:", "Til:", "Emne:"), "25. november 2026 15:04"),
    ("no", ("Fra:", "Sendt:", "Til:", "Emne:"), "onsdag 25. november 2026 15:04"),
    ("fi", ("Lähettäjä:", "Lähetetty:", "Vastaanottaja:", "Aihe:"), "keskiviikko 25. marraskuuta 2026 15.04"),
]
BLOCKS = [
    (
        language,
        f"{sender} Example Help <help@example.com>\n{sent} {day}\n{to} Customer <customer@example.org>\n{subject} 7",
    )
    for language, (sender, sent, to, subject), day in _FIELDS
]

NOTES = [
    "Sent from my iPhone",
    "Sent from my Samsung Galaxy smartphone.",
    "Sent from Yahoo Mail for iPhone",
    "Sent from Mail for Windows",
    "Get Outlook for Android<https://aka.ms/AAb9ysg>",
    "Von meinem iPhone gesendet",
    "Gesendet von Outlook für Android<https://aka.ms/AAb9ysg>",
    "Diese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.",
    "Envoyé de mon iPhone",
    "Télécharger Outlook pour iOS<https://aka.ms/o0ukef>",
    "Enviado desde mi iPhone",
    "Inviato da iPhone",
    "Verstuurd vanaf mijn iPhone",
    "Enviado do meu iPhone",
    "Wysłane z iPhone'a",
    "Отправлено с iPhone",
    "iPhone’umdan gönderildi",
    "发自我的 iPhone",
    "iPhoneから送信",
    "나의 iPhone에서 보냄",
    "أُرسلت من الـ iPhone",
    "נשלח מה-iPhone שלי",
    "Odesláno z iPhonu",
    "Skickat från min iPhone",
    "Sendt fra min iPhone",
    "Lähetetty iPhonesta",
]

EACH_ATTRIBUTION = pytest.mark.parametrize(
    "attribution", [line for _, line in ATTRIBUTIONS], ids=[language for language, _ in ATTRIBUTIONS]
)
EACH_BLOCK = pytest.mark.parametrize("block", [block for _, block in BLOCKS], ids=[language for language, _ in BLOCKS])


def own_less(text: str) -> str:
    """Take our address off, so that only the words of the language are left to go by."""
    return text.replace("help+c.01hzx3k7m2v8q.abcdefghij@example.com", "shop@example.net").replace(
        "help@example.com", "shop@example.net"
    )


@EACH_ATTRIBUTION
def test_a_marked_quote_is_cut_with_the_line_above_it(attribution: str) -> None:
    """In each language, by our own address with or without a token."""
    words = cut(f"{NEW}\n\n{attribution}\n\n{MARKED}", OWN)

    assert words.new == NEW
    assert words.quoted.startswith(attribution)


@EACH_ATTRIBUTION
def test_a_marked_quote_is_cut_where_nothing_is_known_of_us(attribution: str) -> None:
    """By the ways of mail programs alone."""
    assert cut(f"{NEW}\n\n{own_less(attribution)}\n\n{MARKED}", NOBODY).new == NEW


@EACH_ATTRIBUTION
def test_a_quote_without_marks_is_cut_below_an_attribution_of_ours(attribution: str) -> None:
    """As Yahoo writes it, and as HTML reads."""
    assert cut(f"{NEW}\n\n{attribution}\n\n{TEXT}", OWN).new == NEW


@EACH_ATTRIBUTION
def test_what_somebody_else_wrote_stays_where_nothing_marks_it(attribution: str) -> None:
    """The customer tells us what a stranger wrote to them."""
    text = f"{NEW}\n\n{own_less(attribution)}\n\n{TEXT}".rstrip()

    assert cut(text, OWN) == Cut(text, "")


@pytest.mark.parametrize("rule", ["", "_" * 32 + "\n", "-----Original Message-----\n"])
@EACH_BLOCK
def test_all_below_a_block_of_header_lines_is_cut(block: str, rule: str) -> None:
    """As Outlook writes it in each language, with or without a rule above."""
    words = cut(f"{NEW}\n\n{rule}{block}\n\n{TEXT}", OWN)

    assert words.new == NEW
    assert words.quoted.startswith(rule + block)


@EACH_BLOCK
def test_a_block_is_known_by_its_words_where_nothing_is_known_of_us(block: str) -> None:
    """The names of the fields are words of the language."""
    assert cut(f"{NEW}\n\n{own_less(block)}\n\n{TEXT}", NOBODY).new == NEW


@EACH_BLOCK
def test_a_message_between_others_stays(block: str) -> None:
    """Neither its sender nor its recipient is us, so that the customer shows it to us."""
    text = f"{NEW}\n\n{own_less(block)}\n\n{TEXT}".rstrip()

    assert cut(text, OWN) == Cut(text, "")


@pytest.mark.parametrize("note", NOTES)
def test_a_line_that_the_mail_program_adds_is_no_word_of_the_customer(note: str) -> None:
    """With a quote below it and without one; alone in a message it stays."""
    quote = f"{ATTRIBUTIONS[0][1]}\n\n{MARKED}"

    assert cut(f"{NEW}\n\n{note}\n", OWN) == Cut(NEW, note)
    assert cut(f"{NEW}\n\n{note}\n\n{quote}", OWN).new == NEW
    assert cut(note, OWN) == Cut(note, "")


@pytest.mark.parametrize(
    "line",
    [
        "Sent from my old flat, the new one has no boiler.",
        "Sent from my iPhone? No, from the neighbour's!",
        "Get two radiators for the hall.",
        "Best regards",
        "+1 555 010 0100",
    ],
)
def test_a_last_line_of_the_customer_stays(line: str) -> None:
    """However much it looks like a program's."""
    text = f"{NEW}\n\n{line}"

    assert cut(text, OWN) == Cut(text, "")


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.txt")), ids=lambda path: path.stem)
def test_a_mail_is_cut_as_its_fixture_says(path: Path) -> None:
    """Where there is no file of its new words, all of it stays."""
    text = path.read_text("utf-8").rstrip("\n")
    expected = path.with_suffix(".new")

    words = cut(text, OWN)

    if expected.exists():
        assert words.new == expected.read_text("utf-8").rstrip("\n")
    else:
        assert words == Cut(text, "")


def test_there_are_traps_enough() -> None:
    """A fixture in which everything stays is a trap, and one that is cut keeps its new words beside it."""
    traps = [path for path in FIXTURES.glob("*.txt") if not path.with_suffix(".new").exists()]

    assert len(traps) > 20


@pytest.mark.parametrize("mark", ["\u200e", "\u202a", "\ufeff", "\xa0"])
def test_invisible_characters_hide_nothing(mark: str) -> None:
    """Mail programs put them around addresses and dates."""
    address = f"<{mark}help@example.com{mark}>"
    attribution = f"{mark}On Wed, Nov 25, 2026 at 3:04 PM{mark} Example Help {address} wrote:{mark}"

    assert cut(f"{NEW}\n\n{attribution}\n{MARKED}", OWN).new == NEW


def test_lines_may_end_with_a_carriage_return() -> None:
    """They are cut like any others, and keep their ends."""
    text = f"{NEW}\n\n{ATTRIBUTIONS[0][1]}\n\n{MARKED}".replace("\n", "\r\n")

    assert cut(text, OWN).new.rstrip("\r") == NEW.replace("\n", "\r\n")


@pytest.mark.parametrize(
    "line",
    [
        "> Message-ID: <d.01hzx3k7m2v8q4t.abcdefghij@example.com>",
        "> In-Reply-To: <d.01hzx3k7m2v8q4t.abcdefghij@example.com>",
        "> To: help+c.1.abcdefghij@example.com",
        f"> {DELIMITER}",
    ],
)
def test_a_quote_is_ours_that_names_us(line: str) -> None:
    """No program's line stands above it."""
    assert cut(f"{NEW}\n\n> Hello,\n{line}\n>\n> it is due.\n", OWN) == Cut(NEW, f"> Hello,\n{line}\n>\n> it is due.")


@pytest.mark.parametrize(
    "address",
    ["xhelp@example.com", "help@example.com.example.net", "help@example.comx", "other@example.com", "help@example.org"],
)
def test_an_address_like_ours_is_not_ours(address: str) -> None:
    """Only the whole address is, and a token behind it."""
    assert not OWN.is_named_in(f"On Wed <{address}> wrote:")


@pytest.mark.parametrize(
    "text", ["<help@example.com>", "HELP@EXAMPLE.COM", "[mailto:help+c.x.y@example.com]", "'help@example.com'"]
)
def test_our_address_is_known_in_its_dress(text: str) -> None:
    """In upper case, in brackets, with a token."""
    assert OWN.is_named_in(f"To: {text};")


@pytest.mark.parametrize(("lines", "stays"), [(8, False), (9, True)])
def test_a_signature_has_few_lines(lines: int, stays: bool) -> None:
    """What is longer below two dashes is no signature."""
    text = NEW + "\n-- \n" + "\n".join(f"line {n}" for n in range(lines))

    assert (cut(text, OWN).quoted == "") is stays


def test_what_is_too_long_stays_whole() -> None:
    """It is not looked at."""
    text = f"{NEW}\n\n{ATTRIBUTIONS[0][1]}\n{MARKED}"
    long = text + "> x\n" * (LONGEST // 4)

    assert cut(long, OWN) == Cut(long, "")
