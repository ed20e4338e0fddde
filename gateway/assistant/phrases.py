"""What is said to customers in fixed words, where no model speaks: in the business's name, and politely.

The words promise no span of time, and hold no markup: any channel can show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.config import BusinessConfig

UNNAMED = BusinessConfig.model_fields["name"].default
WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language; what is in braces is filled in."""

    of_name: str
    """Whose person it is, where the business has a name."""
    of_team: str
    """The same where it has none."""
    fallback: str
    call: str
    takes_over: str
    back: str
    today: str
    tomorrow: str
    on_day: str
    """Within a week: the day's name tells which one is meant."""
    on_date: str
    days: str
    """From Monday, with the preposition that each wants, parted by commas."""
    months: str
    first: str = "1"
    """How the first day of a month is written."""


WORDS = {
    "en": Words(
        of_name="from {name}",
        of_team="from our team",
        fallback="Thank you for your message. Someone {of_business} will get back to you.",
        call="If it is urgent, please call {phone}.",
        takes_over="A person {of_business} will take over this conversation.",
        back="Our team is back {when}.",
        today="today at {time}",
        tomorrow="tomorrow at {time}",
        on_day="{day} at {time}",
        on_date="{day}, {date} {month}, at {time}",
        days="on Monday,on Tuesday,on Wednesday,on Thursday,on Friday,on Saturday,on Sunday",
        months="January,February,March,April,May,June,July,August,September,October,November,December",
    ),
    "es": Words(
        of_name="de {name}",
        of_team="de nuestro equipo",
        fallback="Gracias por su mensaje. Una persona {of_business} se pondrá en contacto con usted.",
        call="Si es urgente, llame al {phone}.",
        takes_over="Una persona {of_business} continuará con esta conversación.",
        back="Nuestro equipo volverá a estar disponible {when}.",
        today="hoy a las {time}",
        tomorrow="mañana a las {time}",
        on_day="{day} a las {time}",
        on_date="{day} {date} de {month} a las {time}",
        days="el lunes,el martes,el miércoles,el jueves,el viernes,el sábado,el domingo",
        months="enero,febrero,marzo,abril,mayo,junio,julio,agosto,septiembre,octubre,noviembre,diciembre",
    ),
    "fr": Words(
        of_name="de l'équipe {name}",  # "de {name}" would be "d'{name}" before a vowel
        of_team="de notre équipe",
        fallback="Merci pour votre message. Une personne {of_business} vous répondra.",
        call="Si c'est urgent, veuillez appeler le {phone}.",
        takes_over="Une personne {of_business} va poursuivre cette conversation.",
        back="Notre équipe sera de retour {when}.",
        today="aujourd'hui à {time}",
        tomorrow="demain à {time}",
        on_day="{day} à {time}",
        on_date="{day} {date} {month} à {time}",
        days="lundi,mardi,mercredi,jeudi,vendredi,samedi,dimanche",
        months="janvier,février,mars,avril,mai,juin,juillet,août,septembre,octobre,novembre,décembre",
        first="1er",
    ),
    "de": Words(
        of_name="von {name}",
        of_team="aus unserem Team",
        fallback="Danke für Ihre Nachricht. Jemand {of_business} wird sich bei Ihnen melden.",
        call="Wenn es dringend ist, rufen Sie bitte {phone} an.",
        takes_over="Jemand {of_business} übernimmt dieses Gespräch persönlich.",
        back="Unser Team ist {when} wieder für Sie da.",
        today="heute um {time} Uhr",
        tomorrow="morgen um {time} Uhr",
        on_day="{day} um {time} Uhr",
        on_date="{day}, dem {date}. {month}, um {time} Uhr",
        days="am Montag,am Dienstag,am Mittwoch,am Donnerstag,am Freitag,am Samstag,am Sonntag",
        months="Januar,Februar,März,April,Mai,Juni,Juli,August,September,Oktober,November,Dezember",
    ),
    "pt": Words(
        of_name="da equipe {name}",
        of_team="da nossa equipe",
        fallback="Agradecemos a sua mensagem. Uma pessoa {of_business} entrará em contato.",
        call="Se for urgente, ligue para {phone}.",
        takes_over="Uma pessoa {of_business} dará continuidade a esta conversa.",
        back="Nossa equipe estará de volta {when}.",
        today="hoje às {time}",
        tomorrow="amanhã às {time}",
        on_day="{day} às {time}",
        on_date="{day}, {date} de {month}, às {time}",
        days="na segunda-feira,na terça-feira,na quarta-feira,na quinta-feira,na sexta-feira,no sábado,no domingo",
        months="janeiro,fevereiro,março,abril,maio,junho,julho,agosto,setembro,outubro,novembro,dezembro",
        first="1º",
    ),
    "it": Words(
        of_name="di {name}",
        of_team="del nostro team",
        fallback="Grazie per il Suo messaggio. Una persona {of_business} Le risponderà.",
        call="Se è urgente, chiami il numero {phone}.",
        takes_over="Una persona {of_business} proseguirà questa conversazione.",
        back="Il nostro team sarà di nuovo disponibile {when}.",
        today="oggi alle {time}",
        tomorrow="domani alle {time}",
        on_day="{day} alle {time}",
        on_date="{day} {date} {month} alle {time}",
        days="lunedì,martedì,mercoledì,giovedì,venerdì,sabato,domenica",
        months="gennaio,febbraio,marzo,aprile,maggio,giugno,luglio,agosto,settembre,ottobre,novembre,dicembre",
        first="1º",
    ),
    "nl": Words(
        of_name="van {name}",
        of_team="van ons team",
        fallback="Bedankt voor uw bericht. Iemand {of_business} neemt contact met u op.",
        call="Als het dringend is, kunt u bellen naar {phone}.",
        takes_over="Iemand {of_business} neemt dit gesprek over.",
        back="Ons team is {when} weer bereikbaar.",
        today="vandaag om {time} uur",
        tomorrow="morgen om {time} uur",
        on_day="{day} om {time} uur",
        on_date="{day} {date} {month} om {time} uur",
        days="op maandag,op dinsdag,op woensdag,op donderdag,op vrijdag,op zaterdag,op zondag",
        months="januari,februari,maart,april,mei,juni,juli,augustus,september,oktober,november,december",
    ),
}


def pick(business: BusinessConfig, language: str | None) -> str:
    """Return the key of the words to use: the wanted language's, else the first of the business's, else English.

    A language is a tag such as ``pt-BR`` or a locale such as ``pt_BR``; only its first part counts.
    """
    wanted = (tag.replace("_", "-").partition("-")[0].lower() for tag in (language or "", *business.languages))
    return next((tag for tag in wanted if tag in WORDS), "en")


def fallback(business: BusinessConfig, language: str | None) -> str:
    """Return what is said where no model answers: somebody will, and the phone's number where there is one."""
    words = WORDS[pick(business, language)]
    said = words.fallback.format(of_business=_of_business(business, words))
    return f"{said} {words.call.format(phone=business.phone)}" if business.phone else said


def handed_over(business: BusinessConfig, language: str | None, opening: datetime | None, now: datetime) -> str:
    """Return what is said to somebody who asks for a person.

    ``opening`` is when the business opens next; None or a time that has come leaves it out.
    """
    words = WORDS[pick(business, language)]
    said = words.takes_over.format(of_business=_of_business(business, words))
    if opening is None or opening <= now:
        return said
    return f"{said} {out_of_hours(business, language, opening, now)}"


def out_of_hours(business: BusinessConfig, language: str | None, opening: datetime, now: datetime) -> str:
    """Return when somebody will be there again, by the business's own clock."""
    words = WORDS[pick(business, language)]
    return words.back.format(when=_when(words, opening.astimezone(business.zone), now.astimezone(business.zone)))


def _of_business(business: BusinessConfig, words: Words) -> str:
    return words.of_team if business.name == UNNAMED else words.of_name.format(name=business.name)


def _when(words: Words, opening: datetime, now: datetime) -> str:
    """Say a local time as people do who stand before the door."""
    days_off = (opening.date() - now.date()).days
    patterns = {0: words.today, 1: words.tomorrow}
    return patterns.get(days_off, words.on_day if days_off < WEEK_DAYS else words.on_date).format(
        day=words.days.split(",")[opening.weekday()],
        date=words.first if opening.day == 1 else opening.day,
        month=words.months.split(",")[opening.month - 1],
        time=f"{opening:%H:%M}",
    )
