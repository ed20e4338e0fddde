"""What mail programs write in the languages of our customers: the words around a quoted message, in lower case.

Collected from the programs' own interfaces (Gmail, Outlook, Apple Mail, Thunderbird, Yahoo, Samsung, Proton, GMX, QQ
and others), 2026-11. A word that is missing costs little: what names our own address is found in any language.
"""

from __future__ import annotations

from collections.abc import Mapping

# What ends an attribution, "On such a day, somebody wrote:".
WROTE = (
    "wrote", "writes", "schrieb", "a écrit", "escribió", "ha scritto", "schreef", "geschreven", "geschrieben",
    "escreveu", "napisał(a)", "napisał", "napisała", "pisze", "написал(а)", "написал", "написала", "написав",
    "пишет", "пише", "yazdı", "写道", "寫道", "写了", "書きました", "のメール", "のメッセージ", "작성",
    "썼습니다", "님이 쓴 글", "كتب", "كتبت", "تمت كتابة ما يلي", "כתב", "כתבה", "כתב/ה", "כתב(ה)", "מאת",
    "napsal(a)", "napsal", "napsala", "napísal(a)", "napísal", "skrev", "kirjoitti", "írta", "ezt írta",
    "a scris", "έγραψε", "đã viết", "เขียนว่า", "menulis", "napisao je", "napisao", "написа", "je napisal",
    "kirjutas", "rašė", "rakstīja", "va escriure", "idatzi", "ने लिखा", "نوشت", "está escrito",
)  # fmt: skip

# What begins one.
ON = (
    "on", "am", "le", "el", "il", "op", "em", "w dniu", "dnia", "den", "dne", "dňa", "på", "pe", "в", "на",
    "în data", "la", "στις", "vào", "pada", "ngày", "ในวันที่", "a les", "at", "tarihinde", "在", "于", "في",
    "بتاريخ", "בתאריך", "ב-",
)  # fmt: skip

FROM, SENT, DATE, TO, COPY, SUBJECT = "from", "sent", "date", "to", "copy", "subject"
_FIELDS = {
    FROM: (
        "from", "von", "de", "da", "van", "od", "от", "от кого", "від", "kimden", "gönderen", "发件人",
        "寄件者", "寄件人", "差出人", "送信者", "보낸 사람", "보낸사람", "من", "מאת", "från", "fra",
        "lähettäjä", "feladó", "από", "de la", "expéditeur", "remitente", "mittente", "afzender", "remetente",
        "nadawca", "отправитель", "dari", "từ", "จาก", "saatja", "odesílatel",
    ),
    SENT: (
        "sent", "gesendet", "envoyé", "envoyé le", "enviado", "enviado el", "enviado em", "enviada em",
        "enviada", "inviato", "verzonden", "wysłano", "wysłane", "отправлено", "надіслано", "gönderildi",
        "gönderilme tarihi", "gönderme tarihi", "发送时间", "寄件日期", "傳送日期", "已傳送", "已发送",
        "送信日時", "보낸 날짜", "보낸날짜", "تاريخ الإرسال", "تم الإرسال", "נשלח", "odesláno", "odoslané",
        "skickat", "sendt", "lähetetty", "elküldve", "στάλθηκε", "trimis", "đã gửi", "dikirim", "poslano",
        "saadetud",
    ),
    DATE: (
        "date", "datum", "fecha", "data", "дата", "tarih", "日期", "日付", "日時", "날짜", "التاريخ", "תאריך",
        "dato", "päiväys", "päivämäärä", "päivä", "dátum", "ημερομηνία", "ngày", "tanggal", "วันที่",
    ),
    TO: (
        "to", "an", "à", "a", "pour", "para", "aan", "do", "komu", "кому", "до", "kime", "alıcı", "收件人", "收件者",
        "宛先", "받는 사람", "받는사람", "إلى", "الى", "אל", "till", "til", "vastaanottaja", "címzett", "προς",
        "către", "đến", "kepada", "destinataire", "destinatario", "destinatário", "pro", "ถึง", "za",
    ),
    COPY: (
        "cc", "kopie", "copie", "copia", "kopia", "копия", "копія", "bilgi", "抄送", "副本", "참조", "نسخة",
        "עותק", "kopi", "kopio", "bcc", "dw", "dot", "kopija", "másolatot kap", "κοιν.", "cópia",
    ),
    SUBJECT: (
        "subject", "betreff", "objet", "sujet", "asunto", "oggetto", "onderwerp", "assunto", "temat", "тема", "konu",
        "主题", "主旨", "件名", "제목", "الموضوع", "נושא", "předmět", "predmet", "ämne", "emne", "aihe",
        "tárgy", "θέμα", "subiect", "chủ đề", "subjek", "perihal", "zadeva", "เรื่อง", "teema",
    ),
}  # fmt: skip
FIELDS: Mapping[str, str] = {word: kind for kind, words in _FIELDS.items() for word in words}
"""The name of a quoted header line, and what it tells."""

# Between dashes: "-----Original Message-----" is written above what is answered ...
ORIGINAL = (
    "mail original", "courriel original",
    "original message", "original mail", "original e-mail", "ursprüngliche nachricht", "originalnachricht",
    "originale nachricht", "original-nachricht", "message d'origine", "message d’origine", "message original",
    "message initial", "mensaje original", "mensagem original", "messaggio originale", "messaggio originario",
    "oorspronkelijk bericht", "oorspronkelijke bericht", "origineel bericht", "wiadomość oryginalna",
    "oryginalna wiadomość", "исходное сообщение", "оригинальное сообщение", "orijinal mesaj", "orijinal ileti",
    "özgün ileti", "原始邮件", "原邮件", "原始郵件", "原始訊息", "元のメッセージ", "元のメール",
    "オリジナルメッセージ", "원본 메일", "원본 메시지", "원본메일", "الرسالة الأصلية", "رسالة أصلية",
    "הודעה מקורית", "ההודעה המקורית", "původní zpráva", "původní e-mail", "pôvodná správa",
    "ursprungligt meddelande", "originalmeddelande", "oprindelig meddelelse", "oprindelig besked",
    "original besked", "opprinnelig melding", "originalmelding", "alkuperäinen viesti", "eredeti üzenet",
    "mesaj original", "αρχικό μήνυμα", "оригінальне повідомлення", "izvirno sporočilo",
)  # fmt: skip

# ... and these above what is passed on.
FORWARDED = (
    "forwarded message", "forwarded mail", "begin forwarded message", "weitergeleitete nachricht",
    "weitergeleitete e-mail", "anfang der weitergeleiteten nachricht", "anfang der weitergeleiteten e-mail",
    "message transféré", "message transmis", "message réexpédié", "début du message transféré",
    "début du message réexpédié", "mensaje reenviado", "inicio del mensaje reenviado", "messaggio inoltrato",
    "inizio messaggio inoltrato", "doorgestuurd bericht", "begin doorgestuurd bericht", "mensagem encaminhada",
    "mensagem reencaminhada", "início da mensagem encaminhada", "início da mensagem reencaminhada",
    "przekazana wiadomość", "wiadomość przekazana dalej", "przesłana wiadomość",
    "początek przekazywanej wiadomości", "początek przekazanej wiadomości", "пересланное сообщение",
    "пересылаемое сообщение", "переадресованное сообщение", "начало переадресованного сообщения",
    "начало пересылаемого сообщения", "iletilen ileti", "iletilmiş mesaj", "yönlendirilen mesaj",
    "yönlendirilmiş ileti", "iletilmiş ileti başlangıcı", "转发的邮件", "转发邮件", "轉寄的郵件", "轉寄郵件",
    "被转发邮件", "以下是转发的邮件", "開始轉寄的郵件", "转发邮件信息", "转发的信息", "転送されたメール",
    "転送メッセージ", "転送されたメッセージ", "以下は転送されたメッセージです", "転送メール", "전달된 메일",
    "전달된 메시지", "전달 메일", "رسالة معاد توجيهها", "الرسالة المعاد توجيهها", "رسالة محولة",
    "بداية الرسالة المعاد توجيهها", "הודעה שהועברה", "הודעה מועברת", "תחילת ההודעה שהועברה",
    "přeposlaná zpráva", "přeposlaný e-mail", "začátek přeposlané zprávy", "vidarebefordrat meddelande",
    "vidarebefordrat brev", "vidarebefordrat mejl", "vidare befordrat brev", "videresendt besked",
    "videresendt meddelelse", "videresendt mail", "start på videresendt besked", "videresendt melding",
    "videresendt e-post", "begynnelsen på videresendt melding", "välitetty viesti", "edelleenlähetetty viesti",
    "välitetty viesti alkaa", "továbbított üzenet", "mesaj redirecționat", "προωθημένο μήνυμα",
    "переслане повідомлення",
)  # fmt: skip

# A line that a program adds on its own begins with one of these ...
SENT_FROM = (
    "sent from", "sent with", "sent via", "sent by", "get ", "von meinem", "von meiner", "gesendet von",
    "gesendet mit", "gesendet über", "diese nachricht wurde von", "envoyé de", "envoyé depuis",
    "envoyé à partir", "envoyé avec", "télécharger", "enviado desde", "enviado con", "enviado do",
    "enviado a partir", "enviada do", "enviado de", "enviado pelo", "enviado com", "obtener", "obtenga",
    "obter", "obtenha", "inviato da", "inviato dal", "inviato con", "scarica", "ottieni", "verzonden vanaf",
    "verzonden met", "verstuurd vanaf", "verstuurd met", "verstuurd vanuit", "download ", "wysłane z",
    "wysłano z", "wysłane przy", "pobierz", "отправлено с", "отправлено из", "отправлено через", "скачать",
    "получить", "надіслано з", "gönderildi", "发自", "发送自", "來自", "從我的", "从我的", "傳送自", "寄自",
    "获取", "取得 ", "나의 ", "내 ", "أُرسلت من", "أرسلت من", "تم الإرسال من", "مرسل من", "الحصول على",
    "נשלח מ", "נשלח באמצעות", "קבל את", "odesláno z", "odesláno pomocí", "získat", "získejte", "skickat från",
    "skickades från", "hämta", "sendt fra", "sendt via", "hent ", "få ", "lähetetty", "hanki", "küldve",
    "trimis de", "στάλθηκε από", "đã gửi từ",
)  # fmt: skip
# ... or ends with one of these ...
SENT_FROM_ENDS = (
    "gesendet",
    "から送信",
    "より送信",
    "から送信されました",
    "を入手",
    "에서 보냄",
    "에서 전송",
    "다운로드",
    "gönderildi",
    "edinin",
    "beziehen",
    "herunterladen",
    "downloaden",
    "küldve",
)
# ... and names one of these.
PROGRAMS = (
    "iphon", "ipad", "ipod", "apple watch", "android", "samsung", "galaxy", "outlook", "yahoo", "gmail",
    "huawei", "xiaomi", "redmi", "oppo", "oneplus", "pixel", "nokia", "sony", "xperia", "motorola",
    "blackberry", "windows", "thunderbird", "proton", "k-9", "k9", "fairemail", "spark", "gmx", "web.de", "aol",
    "aqua mail", "bluemail", "smartphone", "mobile", "handy", "mobil", "mobiltelefon", "telefon", "téléphone",
    "teléfono", "telefono", "telefoon", "telefone", "tablet", "mail.ru", "яндекс", "mailspring", "tutanota",
    "tuta", "手机", "手機", "スマートフォン", "휴대폰", "my phone", "my mac", "macbook", "app ", "t-online",
    "freenet", "orange", "laposte", "libero", "qq邮箱", "网易", "ymail",
)  # fmt: skip

# Their words that stand among ours, where the quote below bears no marks.
BETWEEN = (
    "see my answers", "see my comments", "see my replies", "see below in", "answers below", "answers inline",
    "comments below", "comments inline", "replies inline", "replied inline", "answered inline", "see inline",
    "in red", "in blue", "in bold", "in green", "in caps", "between the lines", "antworten unten",
    "antworten im text", "anmerkungen unten", "in rot", "in blau", "im text unten", "siehe im text",
    "mes réponses ci-dessous", "en rouge", "en bleu", "dans le texte", "mis respuestas abajo",
    "respuestas abajo", "en rojo", "en azul", "risposte sotto", "risposte qui sotto", "in rosso", "in blu",
    "antwoorden hieronder", "in het rood", "in rood", "respostas abaixo", "em vermelho", "em azul",
    "odpowiedzi poniżej", "na czerwono", "ответы ниже", "красным", "cevaplarım aşağıda", "kırmızı", "红色",
    "紅色", "赤字", "赤で", "インライン", "빨간색", "باللون الأحمر", "באדום", "odpovědi níže", "červeně",
    "svar nedan", "i rött", "svar nedenfor", "med rødt", "i rødt", "punaisella",
)  # fmt: skip
