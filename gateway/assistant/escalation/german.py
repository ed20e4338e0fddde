"""German words; see ``notation`` for how they are written."""

from __future__ import annotations

from gateway.assistant.escalation.notation import Language

LISTS = r"""
human = mensch(en)?|menschlichen? (mitarbeiter|ansprechpartner|kontakt|berater|person)|mitarbeiter(in|innen|s|n)?
    |berater(in|n)?|kundenberater(in)?|sachbearbeiter(in)?|ansprechpartner(in)?|kundenbetreuer(in)?|agent(en)?
    |operator|vertreter|servicemitarbeiter(in)?|echte[nrs]? person
crew = chef(in)?|boss|leiter(in)?|geschäftsführer(in)?|manager(in)?|vorgesetzte[nr]?|inhaber(in)?
    |verantwortliche[nr]?|besitzer(in)?|techniker|monteur|mechaniker|zahnarzt|zahnärztin|arzt|ärztin|friseur(in)?
    |rezeption|empfang|kollegen?|kollegin|kundenservice|kundendienst|kundenbetreuung|support|team|personal|werkstatt
    |büro|meister|installateur
whoever = jemand(en|em)?|irgendjemand(en|em)?|wem|einer von (ihnen|euch)
person = {human}|personen?|leute[n]?|{crew}
which = eine[mnrs]?|der|die|das|dem|den|ihre[mnrs]?|eure[mnrs]?|deine[mnrs]?|'ne[mnr]?|ne[mnr]?|nen|n|unsere[mnr]?
real = echte[nmrs]?|richtige[nmrs]?|reale[nmrs]?|lebende[nmrs]?|lebendige[nmrs]?|menschliche[nmrs]?|wirkliche[nmrs]?
    |anderen?
talk = sprechen|reden|schreiben|chatten|telefonieren|unterhalten|verbunden werden|austauschen|besprechen|verhandeln
    |kontakt
call = zurückrufen|zurückruft|anrufen|anruft|kontaktieren|kontaktiert|zurück rufen|melden|meldet|rückruf|helfen
want = will|möchte|brauche|wünsche|hätte gerne?|würde gerne?|bevorzuge|verlange|geben sie mir|gib mir|wollen|möchten
    |brauchen|bitte um
machine = bots?|robotern?|roboter|chatbots?|maschinen?|computern?|computer|ki
ends = (?= (.|bitte|jetzt|sofort|und|statt|der|die|sprechen|reden|am telefon|hier) )
insurer = versicherung|krankenkasse|kasse|haftpflicht|haftpflichtversicherung|hausratversicherung
    |zahnzusatzversicherung|kfz-versicherung|kaskoversicherung|gebäudeversicherung
lawyer = anwält(e|in|en)|anwalt(s)?|anwalts|rechtsanwalt|rechtsanwältin|rechtsbeistand
awful = miserable[rs]?|miserabel|schlechte(r|s|ster|ste|stes)?|furchtbare?[rs]?|schreckliche?[rs]?|unmögliche?[rs]?
    |mieser?|grottige?r?|katastrophale?[rs]?|unterirdische?r?|unterirdisch|katastrophal|grottenschlecht|grauenhaft
place = keller|küche|bad|wohnung|haus|laden|garage|boden|zimmer|flur|badezimmer|büro|alles|salon
"""

CUSTOMER_REQUEST = r"""
(mit|zu) [{which}] [{real}] [{real}] ({person}|{whoever}) [aus|von|vom|in|bei|im] [der|dem|ihrem|eurem|ihnen
    |werkstatt|salon|team|hotel|praxis] [{which}] … ({talk}|verbinden|verbunden)
(mit|zu) [{which}] [{real}] ({person}|{whoever}) ({talk}|verbinden|verbunden|sprechen)
({talk}) … (mit) [{which}] [{real}] ({person}|{whoever})
(sprechen|reden) [ich|wir|bitte|lieber|gerne] … mit [{which}] [{real}] ({human}|{crew}|{whoever})
[{which}] [{real}] ({human}|chef|chefin|vorgesetzten|geschäftsführer|inhaber|leiter|manager|verantwortlichen) sprechen
verbinden (sie|sie mich|mich) [mich|uns] [bitte] [mit|zu] [{which}] [{real}] ({person}|{whoever})
verbinde mich [bitte] mit [{which}] [{real}] ({person}|{whoever})
(können|kannst|könnten) (sie|du) (mich|uns) … mit [{which}] [{real}] ({person}|{whoever}) verbinden
(leiten|leite|weiterleiten|stellen|geben|übergeben|weitergeben|weiter) [sie] [mich|uns|das|es|bitte] [bitte|mich] (an
    |zu|zum) [{which}] [{real}] ({person}|{whoever})
an [{which}] [{real}] ({person}|{whoever}) … (weiterleiten|weitergeben|übergeben|weiter)
{want} [bitte|lieber|hier|endlich|gerne|sofort] [{which}] [{real}] ({human}){ends}
{want} [bitte|lieber|hier|endlich|gerne] [{which}] {real} ({human}|person|leute|ansprechpartner|hilfe|kontakt)
(gibt es|ist|sind|gibts|ist da|habt ihr|haben sie) [denn|hier|auch|da|bei ihnen] [hier|auch|da|irgendwo] [{which}
    |auch] [{real}] ({human}|{whoever}|person){ends}
(gibt es|gibts|haben sie|habt ihr) … ({human}|{whoever}) [den|der|die|mit] [dem|ich|man] … (anrufen|sprechen
    |erreichen|reden)
(ist|sitzt) (da|hier|dort) ({whoever}|ein {human}|ein mensch|eine person)
{real} (menschen?|person|personen|mitarbeiter|leute)
(kann|könnte|soll|würde|wird|möge) [mich|uns|mir|bitte] ({whoever}|[{which}] ({human}|{crew})) [mich|uns|mir|bitte
    |aus|vom|von] … ({call}|rufen)
({whoever}|[{which}] ({human}|{crew})) [soll|kann|könnte|möge] (mich|uns|mir|sich) [bitte] [bei mir] ({call})
(rufen|ruft|rufe|ruf) [sie|ihr] [mich|uns] [bitte|doch] [bitte|mal|doch|so|zurück] (zurück|an|bitte|mal|kurz)
(können|könnten|könnt|kannst|könntest|würden) (sie|ihr|du) [mich|uns] [bitte|mal|kurz] [bitte|mal|kurz] (zurückrufen
    |anrufen|zurück rufen)
(bitte|um|wünsche|hätte gerne?|brauche) [um] [einen|ihren|baldigen] (rückruf|rückruf*)
wen kann ich (anrufen|kontaktieren|sprechen)|mit wem kann ich (sprechen|reden)
(kein|keinen|keinem|nicht|statt|satt|genug) … (bots?|roboter|robotern?|chatbots?|maschine|computer)(?= (.|sprechen
    |reden|schreiben|sondern|ich|und) )
. [ein|einen|einem|den|ihren] ({human}|chef|kundenservice|kundendienst|kundenbetreuung) (bitte|jetzt|sofort)
. bitte [um|mit|an] [{which}] [{real}] ({human}|kundenservice|chef){ends}
(keinen|keine) ({human}|{whoever}) … (erreichen|erreicht|sprechen können|ans telefon)
menschliche[nmrs]? (hilfe|beratung|unterstützung|support|kontakt|ansprechpartner|mitarbeiter|betreuung)
persönlich (sprechen|reden|telefonieren|klären|besprechen)|(sprechen|reden) … persönlich
nicht [mehr] mit … (bot|roboter|chatbot|maschine|computer)
(erreiche|erreichen|erreicht man|kontaktiere|kontaktieren) [ich|wir|man|bitte] [{which}] [{real}] ({human}|{whoever}
    |chef|inhaber)
. (einen|einem|nen) [{real}] menschen
(soll|sollen) [mich|uns|bitte] … ({person}|{whoever}) [mich|uns|bitte|mal] ({call})
(am|übers?|per|mit dem) (telefon|handy) (sprechen|reden|klären|besprechen)
telefonisch (sprechen|reden|klären|besprechen|mit)
(liest|antwortet|ist) [hier|da|das|denn] [hier|auch] ({whoever}|ein mensch)
automatische[nr]? (antworten?|nachrichten?)
(geben|gib|holen|hol|schicken) [sie] (mir|uns) [bitte|mal|sofort] ({whoever}|[{which}] [{real}] ({human}|{crew}))
mit [{which}] [{real}] ({person}|{whoever}) (klären|besprechen|regeln|abklären|ausmachen|durchgehen)
(jemand|einer|irgendwer) (echtes|echter|richtiges) [da|hier] .|ist (da|hier) (jemand|wer)
(bitte|um|für) [um] [einen] (rückruf|anruf) (.|bitte|unter|von|durch|heute|morgen|durch)
"""

COMPLAINT = r"""
(beschweren|beschwere mich|mich beschweren|reklamieren)
(beschwerde|reklamation) (einreichen|über|gegen|einlegen|machen|wegen|abgeben|an)
. [offizielle|formelle] beschwerde
inakzeptabel|unakzeptabel|nicht akzeptabel|unzumutbar|unerhört|unmöglich von ihnen|eine zumutung
(mein|unser|das) geld [bitte|sofort] (zurück|wieder|zurückhaben)
(will|verlange|fordere|möchte|erwarte) … (rückerstattung|erstattung|entschädigung|schadensersatz|schadenersatz
    |geld zurück)
(erstatten|erstattet) (sie|ihr) (mir|uns)
(von|mit|an|zu|zum) [meine[mnr]?|unsere[mnr]?|dem|einen] (anwalt|anwältin|rechtsanwalt|anwälten)
(meine?|unsere?) {lawyer} … (wird|meldet|kontaktiert|schreibt|melden)
{lawyer} [ein] (einschalten|einschalte|einschalten)
(verklage|verklagen|klage ein|klagen|einklagen|anzeige erstatten|anzeigen|zeige (sie|euch) an|vor gericht|gerichtlich
    |rechtliche schritte|verbraucherzentrale|verbraucherschutz|ordnungsamt|gesundheitsamt)(?! in )
{awful} (service|bedienung|arbeit|behandlung|erfahrung|kundenservice|haarschnitt|essen|qualität|firma|laden|werkstatt)
(service|bedienung|arbeit|behandlung|essen|kundenservice) [ist|war|ist ja|war ja|echt|wirklich|so] [so|ja|echt
    |wirklich|absolut|einfach] ({awful}|unter aller sau|das letzte)
(schlechteste[rns]?|schlimmste[rns]?) … (je|erlebt|leben|stadt|service)
frechheit|unverschämtheit|unverschämt|sauerei|skandal|eine schande
betrug|betrüger|betrogen|abzocke[r]?|abgezockt|gauner|verarscht|über den tisch gezogen
(sehr|extrem|äußerst|höchst|total|absolut|völlig|schwer) (unzufrieden|enttäuscht|verärgert) (mit|von|über|.)
(bin|sind) (unzufrieden|enttäuscht)
nie (wieder|mehr) (zu|bei|komme|hin|.)|nie wieder .
(schlechte|negative|1|ein) [sterne|stern] (bewertung|bewertungen)|ein-stern
(haben|hat) (meine?n?|unsere?n?) … (ruiniert|beschädigt|kaputt gemacht|kaputtgemacht|zerstört|zerkratzt)
(überhaupt|gar|absolut|ganz und gar) nicht zufrieden|nicht zufrieden (mit|.)|unzufrieden
(zu viel|zuviel|doppelt|zweimal) (berechnet|abgebucht|bezahlt|kassiert|in rechnung)
geld (wiederhaben|wieder haben|zurückhaben)
(schlechte|negative|miese) (bewertung|rezension|bewertungen)
(unfreundlich|unhöflich|respektlos|frech|unverschämt|patzig) … (mitarbeiter*|kellner*|bedienung|techniker|monteur
    |zu mir|behandelt)
(mitarbeiter*|kellner*|bedienung|techniker|monteur|fahrer) … (unfreundlich|unhöflich|respektlos|frech|unverschämt
    |patzig)
(krank geworden|lebensmittelvergiftung|schlecht geworden von)
so geht man nicht mit … um|(geht|das geht) gar nicht
(fordere|verlange|erwarte) [ich] [eine|einen|ihre|mein] (entschädigung|entschuldigung|rückzahlung|erstattung|geld)
(zerkratzt|beschädigt|ruiniert|kaputtgemacht|zerstört) … (zahlt|bezahlt|ersetzt|wer|ersatz)
ohne (meine|unsere) (zustimmung|erlaubnis|einwilligung)
"""

EMERGENCY = r"""
(riecht|rieche|riechen|stinkt) [hier|es|stark|total|ganz|bei uns] [hier|es|stark|überall|sehr] (nach gas|gas
    |verbrannt|nach rauch|nach verbranntem|angebrannt|verschmort)
gas-?geruch|gasleck|gasaustritt|gas (tritt aus|strömt aus|entweicht)
(rohr|wasserrohr|leitung|wasserleitung|schlauch|boiler|heizung|heizkörper) [ist|in|im|der|hat] … (geplatzt|gebrochen
    |explodiert|gerissen)
(geplatzte[sr]?) (rohr|leitung|wasserrohr|schlauch)|(wasser)?rohrbruch(?! versicher*)
wasser … (läuft|strömt|spritzt|schießt|kommt|tropft|steigt|steht) … (decke|überall|heraus|raus|lampe|steckdose|wände
    |nicht stoppen|weiter)
(überall wasser|wasser überall|wasser läuft (aus|durch|überall|in))
({place}) … (unter wasser|überflutet|überschwemmt|geflutet)
(unter wasser|überschwemmung|überflutung) (in|im|bei|.)|läuft (gerade )?voll|voll wasser
es brennt|(haus|küche|wohnung|laden|auto|dach|heizung|ofen|werkstatt|büro|hotel|keller) brennt
(steht|stehen) in flammen
(feuer) (in (der|unserer|meiner) (küche|wohnung|werkstatt|halle)|im (haus|keller|zimmer|büro|laden|flur)|ausgebrochen)
. (feuer|brand) .|brand (in|im) (der|unserem|haus|keller)
(rauch|qualm|funken|flammen) … (kommt|kommen|aus|dringt|sprühen|schlagen|überall)|rauchentwicklung
(co|kohlenmonoxid|rauch|gas)-?(melder|warner|alarm|detektor|rauchmelder) … (piept|piepst|alarm|geht los|schlägt
    |angeschlagen|ausgelöst|heult)
kohlenmonoxid(?= (.|vergiftung|tritt|im|in|alarm|ausgetreten) )|kohlenmonoxidvergiftung
(ist|das ist|hier ist|haben|habe|hab|bin) [ein|einen] [echter|echten|absoluter|medizinischer] (notfall|zahnnotfall
    |zahnärztlicher notfall|wasserschaden der)(?! (nummer|dienst) )
. (notfall|notfall*) .|. notfall
(jemand|person|kunde|gast|mann|frau|kind|sohn|tochter|mutter|vater|kollege|kollegin|er|sie|ich|hier|schwer
    |mitarbeiter|oma|opa) (ist|hat|bin|liegt|wurde) [hier|jemand|schwer|jetzt] (verletzt|bewusstlos|ohnmächtig
    |zusammengebrochen|gestürzt und|umgekippt|kollabiert)
(ist jemand verletzt|jemand verletzt|schwer verletzt|bewusstlos|ohnmächtig|zusammengebrochen|verletzte)
(atmet nicht|keine luft|herzinfarkt|schlaganfall|allergische[rn]? (reaktion|schock)|stromschlag|erstick*|verblutet)
(blutet|blute|blutung|blut) … (stark|nicht auf|hört nicht|sehr|überall|nicht mehr auf|extrem)
hört nicht auf zu bluten
(stecken|stecke|steckt|gefangen|eingeschlossen|eingesperrt) [im|in|wir|seit] [dem|der] … (aufzug|fahrstuhl|lift|sauna
    |kühlraum|keller)
im (aufzug|fahrstuhl|lift) (fest|stecken|gefangen|eingeschlossen)
(rufen|rufe|brauchen|brauche|schicken|ruft) [sie] [bitte|einen|den|die] (krankenwagen|notarzt|rettungswagen|feuerwehr
    |polizei)
suizid*|selbstmord|(mich|mir) (umbringen|das leben nehmen|was antun)|will sterben
(werden|wird|wurde|werde) [gerade|hier] (überfallen|angegriffen|bedroht|eingebrochen)
(strömt|tritt|entweicht) [hier|da] (gas|wasser) (aus|ein)|gas (strömt|tritt|entweicht)
(umgekippt|reagiert nicht|bewegt sich nicht|nicht ansprechbar|atmet nicht)
(der|die|das|mein|meine|unser|unsere) (fritteuse|herd|ofen|backofen|pfanne|küche|auto|dach|trockner|mülleimer|kabel
    |sicherungskasten|steckdose|\w+maschine) brennt
(überall|hier) läuft [das] wasser|läuft wasser (aus|durch|von|über)
(starkes|großes|riesiges|riesen) (leck|wasserleck)|blutet (stark|sehr|heftig)
gas-?alarm|wasser … (schießt|spritzt|strömt|sprudelt) (aus|durch|von|in)
(sich|hat) … (schwer|schlimm|böse) verletzt|(decke|dach|wand) … (eingestürzt|stürzt|kommt runter)
"""

COMPLEX_QUESTION = r"""
(zahlt|übernimmt|deckt|bezahlt|erstattet|trägt|abgedeckt|gedeckt|gezahlt|übernommen) … (meine|die|unsere|von der
    |von meiner|der|meiner) ({insurer})
(meine|die|unsere|der|von der|von meiner) ({insurer}) … (zahlt|übernimmt|deckt|bezahlt|erstattet|übernommen|abgedeckt
    |bezahlt|will|verlangt|braucht|fordert|ablehnt|verweigert)
für (meine|die|unsere|den) ({insurer}|gutachter|sachverständigen)
(gutachter|gutachten|schadensmeldung|versicherungsfall|kostenübernahme|sachverständige[rn]?)
wer haftet|(haftet|haften|haftung|haftpflichtig|haftbar)|wer (zahlt|kommt) … (schaden|schäden|auf)
(welche|meine|unsere) [rechtlichen] rechte
(rechtens|rechtlich|rechtliche[nrs]?|rechtsgültig|rechtskräftig|rechtsverbindlich|gesetzlich|juristisch*
    |widerrufsrecht|einklagbar|rechtsanspruch)
(schriftlich|bestätigung|bericht|nachweis|gutachten|bescheinigung|dokument) … ({lawyer}|gericht|versicherung
    |gutachter|notar|vermieter)
(mein|unser|meine|der) {lawyer} (braucht|will|verlangt|sagt|benötigt)
(garantie|gewährleistung|garantiefall|garantieanspruch) … (abgelehnt|verweigert|abgewiesen|erloschen|nicht anerkannt
    |ablehnen|nicht akzeptiert|bestreiten|streit*)
(ablehn*|verweiger*|lehnen|lehnt) … (garantie|gewährleistung)|garantiestreit
wartungsvertrag (für|mit)|wartungsverträge|rahmenvertrag|servicevertrag für|rahmenvereinbarung
flottenvertrag|großauftrag|ausschreibung
(klausel|klauseln|vertragsklausel|agb)|vertrag … (kündigen|anfechten|gültig|klausel|vertragsbruch)
vertragsbruch|vertragsstrafe|sonderkündigung*
(individuelles|maßgeschneidertes|gewerbliches|großes|spezielles) (angebot|kostenvoranschlag)
(angebot|kostenvoranschlag|mengenrabatt|sonderkonditionen|großkundenrabatt) für (unser|unsere|das|die) [ganze[sn]?
    |gesamte[sn]?] … (hotel|firma|filialen|büros|gebäude|haus|schule|betrieb|objekte)
mengenrabatt|großkunden*
(firma|unternehmen|betrieb) mit \d+
\d+ (filialen|fahrzeugen?|objekte|gebäuden?|büros|wohnungen|hotels|standorte)
datenschutzanfrage|dsgvo|haftungsausschluss|beweislast|schadensregulierung
(kommt|steht) [dafür|hierfür] [meine|die|unsere] ({insurer}) … (auf|ein)
[meine|die] ({insurer}) [dafür] (zahlt|haftet)
haften (sie|wir)|haftest du|anspruch auf|schadens?ersatz
wer trägt (die kosten|das risiko|die verantwortung)|verantwortlich (für|wenn)
(vertrag|jahresvertrag|rahmenvertrag|wartungsvertrag|großvertrag) … (aushandeln|verhandeln|abschließen|für unsere)
(jahresvertrag|verträge) für
wer (bezahlt|zahlt|übernimmt|kommt auf|ersetzt) [für] (den|die|das) (schaden|schäden|kosten)|gutachten
rechtsstreit|mietvertrag|kaufvertrag
"""

AI_CONFIDENCE_LOW = r"""
(du|sie|ihr|der bot|das ding) (verstehst|verstehen|versteht|kapierst|kapieren|begreifst|begreifen|liest|lesen
    |hörst) [mich|mir|gar|ja|es|überhaupt|meine frage] [gar|einfach|überhaupt|wohl] (nicht|nichts|nie|null)
verstehst du [mich|überhaupt|denn] (nicht|überhaupt|deutsch)
(habe|hab|wollte|war|ist|das) [ich|so|doch|doch gar|gar|ich doch] [ich|gar|doch|so] nicht [meine|die|das
    |was] (gefragt|gemeint|frage|wissen|gesagt|was ich)
nicht (meine frage|was ich (gefragt|gemeint|wissen|wollte|meine)|gefragt|die antwort auf)
(beantworten|beantwortest|beantwortet|antworten|antwortest|antwortet|eingehen|gehen) [sie|du|ihr] [auf|das|mir
    |mal] [meine|die] [frage|fragen] [gar|überhaupt|einfach] (nicht|nie)
(auf meine frage) … nicht
(bot|roboter|chatbot|ki|assistent|das ding|du|sie|das hier|maschine) (ist|bist|sind) [so|ja|völlig|komplett|total
    |echt|absolut|wirklich|doch] (nutzlos|unnütz|dumm|blöd|doof|unbrauchbar|sinnlos|schlecht|müll|schrott|scheiße
    |unfähig)
(blöder?|dummer?|doofer?|nutzloser?|scheiß|unfähiger?|bescheuerter?) (bot|roboter|chatbot|ki|computer|maschine|automat)
(hilft|helfen|hilfst|bringt) [sie|du|mir|das|uns] [mir|uns] [auch|so|gar|leider|überhaupt|alles] (nicht|nichts|kein)
(immer|ständig|dauernd|schon wieder) [nur] (die gleiche|dieselbe|das gleiche|dasselbe|die selbe)( antwort)?
(wiederholst|wiederholen|drehst|drehen) [sie|du|uns|dich|sich] (dich|sich|nur|immer|im kreis|ständig)
im kreis
(falsch|missverstanden|nicht richtig) (verstanden)|(mich|das) (missverstanden|falsch verstanden)
missverstehen|falsche antwort|ergibt keinen sinn|macht keinen sinn
(schon|bereits) [doch|mal] (dreimal|zweimal|mehrmals|mehrfach|zigmal|hundertmal|zig mal) … (gesagt|geschrieben
    |erklärt|gefragt|beantwortet)
(habe|hab) [ich|das|es] [ihnen|dir|doch|das] [doch|das|schon|bereits] (schon|bereits|gerade) [alles|mal] (gesagt
    |geschrieben|erklärt|beantwortet|mitgeteilt)
(lesen|liest|lest) (sie|du|ihr) (überhaupt|eigentlich|denn)|wie oft (soll|muss|denn)|am thema vorbei
frage vorbei
(antworten?|das|es|deine antworten) (ergeben|ergibt|machen|macht) (gar |überhaupt )?keinen sinn
(hörst|hören|hört) (du|sie|ihr) [mir|mich] [gar|überhaupt] (nicht|nie)|hörst (du )?mir (gar )?nicht zu
nicht (das )?was ich|ist falsch .|stimmt (doch )?(gar )?nicht
(war|ist) [doch|das] nicht (die|meine) frage|schon wieder falsch|am thema vorbei|reden aneinander vorbei
(hast|haben|habt) (du|sie|ihr|mich|meine frage) … (nicht|falsch|nie) verstanden|(hast|haben|habt) (mich
    |meine frage) (nicht|falsch) verstanden
"""

GERMAN = Language(
    code="de",
    lists=LISTS,
    filler="""
        ein eine einen einem einer der den dem mit bitte hallo guten tag morgen abend danke ich will möchte
        sprechen reden ja ok jetzt sofort brauche
    """,
    whole=r"""
        ({human}|{real} ({human}|person)|jemand|jemanden|chef|chefin|vorgesetzter|geschäftsführer|manager)
        (kundenservice|kundendienst|kundenbetreuung|kundenberatung|rezeption|rückruf|rufen sie mich an|ruf mich an)
    """,
    customer_request=CUSTOMER_REQUEST,
    complaint=COMPLAINT,
    emergency=EMERGENCY,
    complex_question=COMPLEX_QUESTION,
    ai_confidence_low=AI_CONFIDENCE_LOW,
    unwanted="(nicht|keine?[nmrs]?|ohne|niemand(en|em)?|statt|anstatt|nie)",
    asks_what_we_are="(bist du|sind sie|bin ich|spreche ich mit|rede ich mit)",
    denied="(nicht|keine?[nmrs]?|ohne|niemand|nie)",
    turns="es|hier|sondern|aber|und|ich|jetzt|weil|warum|bitte",
    unneeded="(nicht|ist nicht|wird nicht) (nötig|notwendig|erforderlich|nötig)",
    past=r"""
        (letztes|letzten|letzte|letzter|vergangenes) (jahr|monat|woche|winter|sommer)
        vor (einem|einer|zwei|drei|einigen|ein paar) (jahr|jahren|monat|monaten|wochen|woche)
        im falle
        verkaufen sie|bieten sie|angebot
    """,
    angry=r"""
        (lächerlich|absurd|unglaublich|unfassbar|ein witz|ein schlechter witz|armselig|peinlich|eine zumutung
            |frechheit|das letzte|wahnsinn)
        ((bin|so|echt|richtig|total|langsam) sauer|wütend|stinksauer|verärgert|genervt|schnauze voll|nase voll
            |reicht mir|reicht's|angepisst|zornig|platzt der kragen|auf die nerven|stocksauer|geduld ist)
        (scheiße?|scheiß|verdammt|verdammte?[rn]?|arschloch|arsch|idioten?|leck mich|zum teufel|verflucht|kotzt|dreck)
        (jetzt reicht|es reicht|zeitverschwendung|was soll das|wollen sie mich|wollt ihr mich|kann doch nicht wahr
            |das kann nicht wahr)
    """,
    pleased="(danke|super|toll|klasse|perfekt|prima|großartig|spitze|freue|glückwunsch|wunderbar)",
    not_knowing=r"""
        (weiß|weiss) (ich|das|es) [das|leider|es] [leider|im moment] nicht
        (ich|das) (weiß|kenne) [ich|das|es] [leider|im moment|auch] nicht|weiß [ich|leider|das] nicht
        (habe|haben|liegen|finde|besitze|verfüge) [ich|wir|mir|uns|dazu|hierzu|darüber|leider] [ich|wir|dazu|leider
            |hierzu|darüber|aktuell|derzeit|im moment] [leider|aktuell|derzeit] (nichts|(keine|keinen
            |nicht über) [weiteren|genauen|näheren|diese|die] (information*|angaben|zugriff|auskunft|daten|antwort
            |details))
        (kann|können|konnte|könnte) [ich|wir|das] [ihnen|dir|das|dazu|leider|hierzu|dabei|diese|euch] … (nicht|keine
            |kein|nichts) [sicher|genau|weiter|auskunft|informationen|angaben|direkt|konkret*] (beantwort*|sagen
            |helfen|weiterhelfen|bestätigen|finden|geben|prüfen|einsehen|zugreifen)
        (bin|sind) [ich|mir|wir] [mir|leider|uns] [leider|da] nicht (sicher|in der lage|befugt)
        (nicht|falsch) (verstanden|richtig verstanden|helfen|weiterhelfen|beantworten)
        verstehe [ich|die|ihre] [ihre|die] [frage] [leider] nicht|übersteigt meine
        (können|könnten|kannst|könntest) (sie|du) [das|ihre frage|die frage] (umformulieren|anders formulieren)
    """,
    often_mistyped="""
        mensch menschen mitarbeiter jemanden berater beschwerde notfall versicherung anwalt unverschamtheit
        inakzeptabel rechtlich kundenservice
    """,
)
