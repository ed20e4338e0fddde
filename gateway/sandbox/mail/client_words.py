"""What mail programs write in twelve languages around the message that is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """One language's. The lines are templates over :func:`gateway.sandbox.mail.clients.fields_of`."""

    months: tuple[str, ...]
    short_months: tuple[str, ...]
    weekdays: tuple[str, ...]
    """From Monday on, as the short ones."""
    short_weekdays: tuple[str, ...]
    gmail: str
    apple: str
    thunderbird: str
    yahoo: str
    sent: str
    """The time in Outlook's block."""
    fields: tuple[str, str, str, str]
    """Outlook's From, Sent, To and Subject, each with its colon."""
    iphone: str
    outlook_ios: str


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


WORDS: Mapping[str, Words] = {
    "en": Words(
        _split("January February March April May June July August September October November December"),
        _split("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"),
        _split("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
        _split("Mon Tue Wed Thu Fri Sat Sun"),
        "On {wd}, {mon} {d}, {y} at {t12} {name} <{address}> wrote:",
        "On {d} {mon} {y}, at {t}, {name} <{address}> wrote:",
        "On {m}/{d}/{yy} {t}, {name} wrote:",
        "On {weekday}, {month} {d}, {y} at {t12s} GMT, {name} <{address}> wrote:",
        "{weekday}, {month} {d}, {y} {t12}",
        ("From:", "Sent:", "To:", "Subject:"),
        "Sent from my iPhone",
        "Get Outlook for iOS",
    ),
    "de": Words(
        _split("Januar Februar März April Mai Juni Juli August September Oktober November Dezember"),
        _split("Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez."),
        _split("Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag"),
        _split("Mo. Di. Mi. Do. Fr. Sa. So."),
        "Am {wd}, {d}. {mon} {y} um {t} Uhr schrieb {name} <{address}>:",
        "Am {dd}.{mm}.{y} um {t} schrieb {name} <{address}>:",
        "Am {dd}.{mm}.{yy} um {t} schrieb {name}:",
        "Am {weekday}, {d}. {month} {y} um {ts} MEZ hat {name} <{address}> Folgendes geschrieben:",
        "{weekday}, {d}. {month} {y} {t}",
        ("Von:", "Gesendet:", "An:", "Betreff:"),
        "Von meinem iPhone gesendet",
        "Outlook für iOS beziehen",
    ),
    "fr": Words(
        _split("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
        _split("janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc."),
        _split("lundi mardi mercredi jeudi vendredi samedi dimanche"),
        _split("lun. mar. mer. jeu. ven. sam. dim."),
        "Le {wd} {d} {mon} {y} à {t}, {name} <{address}> a écrit :",
        "Le {d} {mon} {y} à {t}, {name} <{address}> a écrit :",
        "Le {dd}/{mm}/{y} à {t}, {name} a écrit :",
        "Le {weekday} {d} {month} {y} à {ts} UTC+1, {name} <{address}> a écrit :",
        "{weekday} {d} {month} {y} {t}",
        ("De :", "Envoyé :", "À :", "Objet :"),
        "Envoyé de mon iPhone",
        "Télécharger Outlook pour iOS",
    ),
    "es": Words(
        _split("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
        _split("ene feb mar abr may jun jul ago sept oct nov dic"),
        _split("lunes martes miércoles jueves viernes sábado domingo"),
        _split("lun mar mié jue vie sáb dom"),
        "El {wd}, {d} {mon} {y} a las {t}, {name} (<{address}>) escribió:",
        "El {d} {mon} {y}, a las {t}, {name} <{address}> escribió:",
        "El {d}/{m}/{yy} a las {t}, {name} escribió:",
        "El {weekday}, {d} de {month} de {y}, {ts} CET, {name} <{address}> escribió:",
        "{weekday}, {d} de {month} de {y} {t}",
        ("De:", "Enviado:", "Para:", "Asunto:"),
        "Enviado desde mi iPhone",
        "Obtener Outlook para iOS",
    ),
    "it": Words(
        _split("gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"),
        _split("gen feb mar apr mag giu lug ago set ott nov dic"),
        _split("lunedì martedì mercoledì giovedì venerdì sabato domenica"),
        _split("lun mar mer gio ven sab dom"),
        "Il giorno {wd} {d} {mon} {y} alle ore {t} {name} <{address}> ha scritto:",
        "Il giorno {d} {mon} {y}, alle ore {t}, {name} <{address}> ha scritto:",
        "Il {dd}/{mm}/{y} {t}, {name} ha scritto:",
        "Il {weekday} {d} {month} {y} alle ore {ts} CET, {name} <{address}> ha scritto:",
        "{weekday} {d} {month} {y} {t}",
        ("Da:", "Inviato:", "A:", "Oggetto:"),
        "Inviato da iPhone",
        "Ottieni Outlook per iOS",
    ),
    "nl": Words(
        _split("januari februari maart april mei juni juli augustus september oktober november december"),
        _split("jan feb mrt apr mei jun jul aug sep okt nov dec"),
        _split("maandag dinsdag woensdag donderdag vrijdag zaterdag zondag"),
        _split("ma di wo do vr za zo"),
        "Op {wd} {d} {mon} {y} om {t} schreef {name} <{address}>:",
        "Op {d} {mon} {y}, om {t} heeft {name} <{address}> het volgende geschreven:",
        "Op {dd}-{mm}-{y} om {t} schreef {name}:",
        "Op {weekday} {d} {month} {y} om {ts} CET schreef {name} <{address}>:",
        "{weekday} {d} {month} {y} {t}",
        ("Van:", "Verzonden:", "Aan:", "Onderwerp:"),
        "Verstuurd vanaf mijn iPhone",
        "Outlook voor iOS downloaden",
    ),
    "pt": Words(
        _split("janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"),
        _split("jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez."),
        _split("segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo"),
        _split("seg. ter. qua. qui. sex. sáb. dom."),
        "Em {wd}, {d} de {mon} de {y} às {t}, {name} <{address}> escreveu:",
        "Em {d} de {mon} de {y}, à(s) {t}, {name} <{address}> escreveu:",
        "Em {dd}/{mm}/{y} {t}, {name} escreveu:",
        "Em {weekday}, {d} de {month} de {y} às {ts} BRT, {name} <{address}> escreveu:",
        "{weekday}, {d} de {month} de {y} {t}",
        ("De:", "Enviado:", "Para:", "Assunto:"),
        "Enviado do meu iPhone",
        "Obter o Outlook para iOS",
    ),
    "pl": Words(
        _split("stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia"),
        _split("sty lut mar kwi maj cze lip sie wrz paź lis gru"),
        _split("poniedziałek wtorek środa czwartek piątek sobota niedziela"),
        _split("pon. wt. śr. czw. pt. sob. niedz."),
        "{wd}, {d} {mon} {y} o {t} {name} <{address}> napisał(a):",
        "Wiadomość napisana przez {name} <{address}> w dniu {d} {mon} {y}, o godz. {t}:",
        "W dniu {dd}.{mm}.{y} o {t}, {name} pisze:",
        "{weekday}, {d} {month} {y} {ts} CET, {name} <{address}> napisał(a):",
        "{weekday}, {d} {month} {y} {t}",
        ("Od:", "Wysłano:", "Do:", "Temat:"),
        "Wysłane z iPhone'a",
        "Pobierz aplikację Outlook dla systemu iOS",
    ),
    "ru": Words(
        _split("января февраля марта апреля мая июня июля августа сентября октября ноября декабря"),
        _split("янв. февр. мар. апр. мая июн. июл. авг. сент. окт. нояб. дек."),
        _split("понедельник вторник среда четверг пятница суббота воскресенье"),
        _split("пн вт ср чт пт сб вс"),
        "{wd}, {d} {mon} {y} г. в {t}, {name} <{address}>:",
        "{d} {mon} {y} г., в {t}, {name} <{address}> написал(а):",
        "{dd}.{mm}.{y} {t}, {name} пишет:",
        "{weekday}, {d} {month} {y} г. в {ts} GMT+3, {name} <{address}> написал(а):",
        "{weekday}, {d} {month} {y} г. {t}",
        ("От:", "Отправлено:", "Кому:", "Тема:"),
        "Отправлено с iPhone",
        "Получить Outlook для iOS",
    ),
    "tr": Words(
        _split("Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık"),
        _split("Oca Şub Mar Nis May Haz Tem Ağu Eyl Eki Kas Ara"),
        _split("Pazartesi Salı Çarşamba Perşembe Cuma Cumartesi Pazar"),
        _split("Pzt Sal Çar Per Cum Cmt Paz"),
        "{name} <{address}>, {d} {mon} {y} {wd}, {t} tarihinde şunu yazdı:",
        "{name} <{address}> şunları yazdı ({d} {mon} {y} {t}):",
        "{d}.{mm}.{y} {t} tarihinde {name} yazdı:",
        "{d} {month} {y} {weekday} {ts} GMT+3 tarihinde {name} <{address}> şunu yazdı:",
        "{d} {month} {y} {weekday} {t}",
        ("Kimden:", "Gönderildi:", "Kime:", "Konu:"),
        "iPhone’umdan gönderildi",
        "iOS için Outlook'u edinin",
    ),
    "zh": Words(
        tuple(f"{n}月" for n in range(1, 13)),
        tuple(f"{n}月" for n in range(1, 13)),
        _split("星期一 星期二 星期三 星期四 星期五 星期六 星期日"),
        _split("周一 周二 周三 周四 周五 周六 周日"),
        "{name} <{address}> 于{y}年{m}月{d}日{wd} {t}写道：",
        "{y}年{m}月{d}日 {t}，{name} <{address}> 写道：",
        "在 {y}/{m}/{d} {t}, {name} 写道:",
        "在 {y}年{m}月{d}日 {weekday} {ts} GMT+8， {name} <{address}> 写道：",
        "{y}年{m}月{d}日 {t}",
        ("发件人:", "发送时间:", "收件人:", "主题:"),
        "发自我的 iPhone",
        "获取 Outlook for iOS",
    ),
    "ja": Words(
        tuple(f"{n}月" for n in range(1, 13)),
        tuple(f"{n}月" for n in range(1, 13)),
        _split("月曜日 火曜日 水曜日 木曜日 金曜日 土曜日 日曜日"),
        _split("月 火 水 木 金 土 日"),
        "{y}年{m}月{d}日({wd}) {t} {name} <{address}>:",
        "{y}/{mm}/{dd} {t}、{name} <{address}>のメール:",
        "On {y}/{mm}/{dd} {t}, {name} wrote:",
        "{y}年{m}月{d}日 {weekday} {ts} JST、{name} <{address}> さんは書きました:",
        "{y}年{m}月{d}日 {t}",
        ("差出人:", "送信日時:", "宛先:", "件名:"),
        "iPhoneから送信",
        "Outlook for iOS を入手",
    ),
}
