"""Frequent words of seven languages: what gives a language away, and what says nothing about a question."""

from __future__ import annotations

FREQUENT = {
    "en": """
        the a and is are you i we it my your to of for in on do does did can could would have has what when where
        how why who please thanks thank hello hi this that there not don want need with at be was were will open
        book much many any some yes am an from if or but me us our they time today tomorrow good morning
    """,
    "es": """
        el la los las un una y es son está están yo tú usted nosotros mi su tu de del para por en con que qué cuándo
        dónde cómo cuánto cuesta quién gracias hola buenos buenas días tardes no sí quiero necesito puedo puede
        tiene tienen hay me se lo le al hasta muy más pero abren hora mañana hoy cita quisiera este esta a
    """,
    "fr": """
        le la les un une et est sont je tu vous nous mon ma votre de du des pour dans en avec que quoi quand où
        comment combien qui merci bonjour bonsoir salut oui non pas ne veux voudrais peux pouvez avez ai suis il
        elle ce cette sur au aux plus très mais heure demain rendez quel quelle c j l d s à
    """,
    "de": """
        der die das ein eine einen und ist sind ich du sie wir mein meine ihr ihre von für in im mit auf was wann wo
        wie warum wer danke hallo guten tag ja nein nicht kein möchte brauche kann können haben hat habe es zu zum
        zur den dem bei auch aber noch bitte heute morgen uhr viel kostet gerne termin am um
    """,
    "pt": """
        o a os as um uma e é são eu você vocês nós meu minha de do da dos das para por em no na com que quando onde
        como quanto custa quem obrigado obrigada olá bom dia boa tarde não sim quero preciso posso pode tem têm há
        me se ao até muito mais mas hoje amanhã horas gostaria está estão isso
    """,
    "it": """
        il lo la i gli le un una e è sono io tu voi noi mio mia di del della per in con che quando dove come quanto
        costa chi grazie ciao buongiorno buonasera non sì vorrei posso può avete ho ha mi si al fino molto più ma
        oggi domani ore prenotare favore siete nel alle questo questa vi c
    """,
    "nl": """
        de het een en is zijn ik jij u je wij we mijn uw jullie van voor in op met wat wanneer waar hoe waarom wie
        dank bedankt hallo goedemorgen goedendag ja nee niet geen wil zou graag kan kunnen hebben heeft heb aan om
        bij ook maar nog vandaag morgen kost veel te er dat dit die afspraak open alstublieft
    """,
}
LETTERS = {"ñ": "es", "¿": "es", "¡": "es", "ß": "de", "ã": "pt", "õ": "pt", "œ": "fr"}
"""Letters and marks that one of the languages has for itself."""

# Folded: without accents, and without what an apostrophe joins.
FUNCTION_WORDS = """
    the a an and is are you i we it my your to of for in on do does did can could would please pls thanks thank
    hello hi hey ok okay yes no this that there with at be was were me us s t re m ve ll d so just again still asked
    said now well el la los las un una y es son de del para por favor en con gracias hola si ya se lo le al otra vez
    digo les une et est je vous tu nous du des pour dans avec merci bonjour oui non ce c j l svp encore bien der die
    das ein eine einen und ist sind ich sie wir von mit im danke hallo ja nein bitte nochmal den dem zu buenos
    buenas dias tardes guten tag perfecto vale super great perfect sure
"""

REAL_WORDS = """
    manger mange parson agency agents again urgency urgence gent agenda mensa human hummus personas personnes
    someones operate operates insure assurances compliant comment consumer regime notfalls anwalte service services
    serve serves suffer seguir seguro segura seguros humane humana humanos personal persone personne berate beratern
    refuse refund mentioned merchant perso persona menschlich quelque abogada jemand jemandem conseil conseils
"""
"""Words that a slip of a finger must not be taken for."""
