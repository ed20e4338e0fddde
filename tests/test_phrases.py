"""What is said to customers in fixed words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from gateway.assistant.phrases import WORDS, fallback, handed_over, out_of_hours, pick
from gateway.config import BusinessConfig

LANGUAGES = ("en", "es", "fr", "de", "pt", "it", "nl")
PHONE = "+15550101234"
FRIDAY = datetime(2026, 11, 27, 22, 0, tzinfo=UTC)  # 17:00 in Detroit
MONDAY = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)  # 09:00 in Detroit


def business(**changes):
    facts = {"name": "Example Plumbing", "phone": PHONE, "timezone": "America/Detroit", "languages": ["en"]}
    return BusinessConfig(**facts | changes)


def everything(shop, language):
    """Say all there is to say in a language."""
    days = [FRIDAY + timedelta(days=days) for days in range(40)]
    back = [out_of_hours(shop, language, opening, FRIDAY) for opening in days]
    return [fallback(shop, language), handed_over(shop, language, MONDAY, FRIDAY), *back]


def test_the_languages_are_these():
    """There are words for each language that we say we speak."""
    assert tuple(WORDS) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("changes", [{}, {"name": "our business", "phone": None}])
def test_everything_said_is_a_whole_sentence(language, changes):
    """Nothing is left to be filled in, nothing is marked up, nothing stands twice, and each sentence ends."""
    said = everything(business(**changes), language)

    assert all(re.fullmatch(r"[A-ZÀ-Ý][^{}<>*_\[\]]+\.", text) for text in said)
    assert not any("  " in text or " ." in text or " ," in text or ".." in text for text in said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_seven_days_and_twelve_months(language):
    """Each day and month of the year has its own name."""
    words = WORDS[language]

    assert len(set(words.days.split(","))) == 7
    assert len(set(words.months.split(","))) == 12


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_business_speaks_in_its_name(language):
    """Its name is where a person is promised, and its number where it might be urgent."""
    said = fallback(business(), language)

    assert "Example Plumbing" in said
    assert PHONE in said
    assert "Example Plumbing" in handed_over(business(), language, None, FRIDAY)


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_number_nobody_is_told_to_call(language):
    """The rest of the words are the same."""
    with_number, without = fallback(business(), language), fallback(business(phone=None), language)

    assert with_number.startswith(f"{without} ")
    assert PHONE not in without


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_business_without_a_name_has_a_team(language):
    """The name that stands in for a missing one is English, and said in no language."""
    nameless = BusinessConfig()
    said = [fallback(nameless, language), handed_over(nameless, language, None, FRIDAY)]

    assert not any("our business" in text for text in said)
    assert all(WORDS[language].of_team in text for text in said)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Thank you for your message. Someone from our team will get back to you."),
        ("de", "Danke für Ihre Nachricht. Jemand aus unserem Team wird sich bei Ihnen melden."),
        ("fr", "Merci pour votre message. Une personne de notre équipe vous répondra."),
    ],
)
def test_the_words_for_a_business_without_a_name(language, said):
    """They read as if written for it."""
    assert fallback(BusinessConfig(), language) == said


def test_a_name_with_braces_is_said_as_it_is():
    """A name is no pattern."""
    assert "from {phone} & {0}" in fallback(business(name="{phone} & {0}"), "en")


@pytest.mark.parametrize(
    ("wanted", "spoken", "picked"),
    [
        ("es", ["en"], "es"),
        ("pt-BR", ["en"], "pt"),
        ("fr_CA", ["en"], "fr"),
        ("DE", ["en"], "de"),
        ("fil", ["it"], "it"),
        ("ja", ["ja", "nl-BE", "en"], "nl"),
        (None, ["es-MX", "en"], "es"),
        ("", ["es"], "es"),
        (None, ["ja"], "en"),
        ("ja", ["ko"], "en"),
    ],
)
def test_which_language_is_spoken(wanted, spoken, picked):
    """The customer's where we have words for it, else the business's first that we have, else English."""
    shop = business(languages=spoken)

    assert pick(shop, wanted) == picked
    assert fallback(shop, wanted) == fallback(shop, picked)
    assert handed_over(shop, wanted, MONDAY, FRIDAY) == handed_over(shop, picked, MONDAY, FRIDAY)
    assert out_of_hours(shop, wanted, MONDAY, FRIDAY) == out_of_hours(shop, picked, MONDAY, FRIDAY)


@pytest.mark.parametrize("opening", [None, FRIDAY, FRIDAY - timedelta(hours=8)])
def test_in_business_hours_a_person_takes_over(opening):
    """Where it is open, no time is named."""
    said = handed_over(business(), "en", opening, FRIDAY)

    assert said == "A person from Example Plumbing will take over this conversation."


def test_out_of_hours_a_time_is_named():
    """Somebody who asks for a person at night hears when one will be there."""
    said = handed_over(business(), "en", MONDAY, FRIDAY)

    assert said == (
        "A person from Example Plumbing will take over this conversation. Our team is back on Monday at 09:00."
    )


@pytest.mark.parametrize(
    ("language", "on_monday", "tomorrow", "today", "new_year"),
    [
        ("en", "on Monday at 09:00.", "tomorrow at 17:30.", "today at 17:30.", "on Friday, 1 January, at 09:00."),
        (
            "es",
            "el lunes a las 09:00.",
            "mañana a las 17:30.",
            "hoy a las 17:30.",
            "el viernes 1 de enero a las 09:00.",
        ),
        ("fr", "lundi à 09:00.", "demain à 17:30.", "aujourd'hui à 17:30.", "vendredi 1er janvier à 09:00."),
        ("de", "am Montag um 09:00 Uhr", "morgen um 17:30 Uhr", "heute um 17:30 Uhr", "am Freitag, dem 1. Januar, um"),
        (
            "pt",
            "na segunda-feira às 09:00.",
            "amanhã às 17:30.",
            "hoje às 17:30.",
            "na sexta-feira, 1º de janeiro, às 09:00.",
        ),
        ("it", "lunedì alle 09:00.", "domani alle 17:30.", "oggi alle 17:30.", "venerdì 1º gennaio alle 09:00."),
        (
            "nl",
            "op maandag om 09:00 uur",
            "morgen om 17:30 uur",
            "vandaag om 17:30 uur",
            "op vrijdag 1 januari om 09:00 uur",
        ),
    ],
)
def test_a_time_is_said_as_people_say_it(language, on_monday, tomorrow, today, new_year):
    """Today and tomorrow by their words, this week by its days, later by the date."""
    soon = FRIDAY + timedelta(minutes=30)

    assert on_monday in out_of_hours(business(), language, MONDAY, FRIDAY)
    assert tomorrow in out_of_hours(business(), language, soon + timedelta(days=1), FRIDAY)
    assert today in out_of_hours(business(), language, soon, FRIDAY)
    assert new_year in out_of_hours(business(), language, datetime(2027, 1, 1, 14, tzinfo=UTC), FRIDAY)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (0, "today at 17:00."),
        (1, "tomorrow at 17:00."),
        (2, "on Sunday at 17:00."),
        (6, "on Thursday at 17:00."),
        (7, "on Friday, 4 December, at 17:00."),
    ],
)
def test_a_weekday_is_never_ambiguous(days, said):
    """A day's name means one of the next six days; the same day in a week has its date beside it."""
    assert out_of_hours(business(), "en", FRIDAY + timedelta(days=days), FRIDAY) == f"Our team is back {said}"


@pytest.mark.parametrize(
    ("timezone", "now", "opening", "said"),
    [
        # Late on Sunday in Detroit it is Monday in UTC: by the shop's clock Monday is still tomorrow.
        ("America/Detroit", "2026-11-30T03:00", "2026-11-30T14:00", "tomorrow at 09:00"),
        ("America/Detroit", "2026-11-30T05:00", "2026-11-30T14:00", "today at 09:00"),
        ("Pacific/Auckland", "2026-11-29T10:00", "2026-11-29T20:00", "tomorrow at 09:00"),
        ("Pacific/Auckland", "2026-11-29T12:00", "2026-11-29T20:00", "today at 09:00"),
        # Clocks go back at night on 1 November 2026 in Detroit, and forward on 28 March 2027 in Berlin.
        ("America/Detroit", "2026-10-31T21:00", "2026-11-01T14:00", "tomorrow at 09:00"),
        ("America/Detroit", "2026-10-31T13:00", "2026-10-31T13:30", "today at 09:30"),
        ("America/Detroit", "2026-11-01T03:30", "2026-11-02T04:30", "tomorrow at 23:30"),
        ("Europe/Berlin", "2027-03-27T17:00", "2027-03-28T07:00", "tomorrow at 09:00"),
        ("Europe/Berlin", "2027-03-27T22:30", "2027-03-28T22:15", "on Monday at 00:15"),
    ],
)
def test_a_time_is_told_by_the_shops_clock(timezone, now, opening, said):
    """Also across the nights in which the clocks change, when a day has 23 or 25 hours."""
    moments = [datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in (opening, now)]

    assert out_of_hours(business(timezone=timezone), "en", *moments) == f"Our team is back {said}."


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "on Sunday, 20 December, at 09:00"),
        ("es", "el domingo 20 de diciembre a las 09:00"),
        ("fr", "dimanche 20 décembre à 09:00"),
        ("de", "am Sonntag, dem 20. Dezember, um 09:00 Uhr"),
        ("pt", "no domingo, 20 de dezembro, às 09:00"),
        ("it", "domenica 20 dicembre alle 09:00"),
        ("nl", "op zondag 20 december om 09:00 uur"),
    ],
)
def test_the_last_day_and_month_have_their_names(language, said):
    """The lists of names begin with Monday and January, and end with Sunday and December."""
    assert said in out_of_hours(business(), language, datetime(2026, 12, 20, 14, tzinfo=UTC), FRIDAY)


def test_each_day_and_month_has_its_own_name():
    """English names are those that Python knows, all year long."""
    for opening in (FRIDAY + timedelta(days=days) for days in range(10, 400)):
        assert f"{opening:on %A, {opening.day} %B, at}" in out_of_hours(business(), "en", opening, FRIDAY)
