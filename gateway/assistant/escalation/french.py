"""French words; see ``notation`` for how they are written."""

from __future__ import annotations

from gateway.assistant.escalation.notation import Language

LISTS = r"""
human = humains?|êtres? humains?|conseill(er|ère|ers)|agents?|opérateurs?|opératrice|représentante?s?|vraie personne
    |téléconseiller|interlocuteur|chargé de clientèle
crew = responsable|gérante?|patronn?e?|directeur|directrice|chef|manager|supérieur|propriétaire|réceptionniste
    |réception|technicien|plombier|mécanicien|dentiste|docteur|médecin|coiffeur|coiffeuse|employée?s?|collègues?
    |membre (de l'équipe|du personnel|de votre équipe)|équipe|personnel|service[- ](client|clients|clientèle
    |après vente)|sav|secrétaire|secrétariat|spécialiste|expert|vendeur|accueil
whoever = quelqu'un|qqun|qqn|quelqun
person = {human}|personnes?|gens|{crew}
which = un|une|le|la|l'|au|à l'|votre|ton|de vrais?|un autre|une autre|vos|un de vos|une de vos|d'|des|du|les|quelque
talk = parler|discuter|échanger|dialoguer|communiquer|m'entretenir|entrer en contact|en parler|m'adresser|chatter
    |causer
call = rappeler|appeler|contacter|joindre|téléphoner|répondre|aider|recontacter|rappelle|appelle|contacte
want = veux|voudrais|souhaite|souhaiterais|aimerais|préfère|préférerais|besoin|demande|exige|faut|donnez-moi
    |donne-moi|passez-moi|passe-moi|trouvez-moi|avoir|voulons|cherche
ends = (?= (.|svp|s'il|stp|maintenant|tout|pour me|pour m'|pas|et pas|au (téléphone|bout)|en ligne|directement|ici
    |qui) )
machine = robots?|bots?|machines?|chatbots?|ordinateur|ia|répondeur|automate
insurer = assurances?|assureur|mutuelle|assurance (habitation|auto|dentaire|maladie)|sécu|sécurité sociale
lawyer = avocate?s?|huissier
awful = lamentable|catastrophique|déplorable|nul|nulle|horrible|honteux|honteuse|scandaleux|scandaleuse|minable
    |exécrable|désastreux|désastreuse|affreux|inacceptable|pitoyable|pire
"""

CUSTOMER_REQUEST = r"""
(à|avec|un|avoir|vers|par|d'|veux|vrai) [un|vrai|d'autres|l'] (humain|humains|être humain)
{talk} [directement|plutôt] (à|avec|au|aux) [{which}] [vraie?|autre|véritable] ({person}|{whoever})
(joindre|contacter|voir|rencontrer|avoir) [directement] [{which}] [vraie?|véritable] ({human}|{crew}|vraie personne
    |personne|{whoever}){ends}
joindre [{which}] ({crew}|{human})
(mettez|mets|mettre|passez|passe|passer|transférez|transférez-moi|mettez-moi|orientez-moi|passez-moi|transfère
    |transférer|mis|mise|mises?|dirigez|diriger|redirigez|orientez|connectez|basculez) [moi] [me] [en (relation
    |contact|communication)] [avec|vers|à|au] [{which}] [vraie?|autre] ({person}|{whoever})
(passez|passe|donnez|donne|trouvez|trouve|passer)-moi [{which}] ({crew}|{human}|{whoever})
{want} [d'|de|avoir|à|parler à|voir] [{which}] [vraie?|véritable] ({human}){ends}
{want} [d'|de|avoir|voir] (une|une vraie) (vraie personne|personne|personne réelle|aide humaine
    |assistance humaine){ends}
(vrai|vraie|véritable) (humain|personne|conseiller|conseillère|agent|interlocuteur|gens|être humain)
{whoever} [de|du|chez|d'|peut|pourrait|pour] … (me|m'|nous) (rappeler|appeler|contacter|recontacter|téléphoner
    |joindre|répondre)
{whoever} [peut|pourrait|pourrais] [il|elle|t-il] (me|m'|nous) ({call})
(que|qu') ({whoever}|un {human}|une personne) (me|m'|nous) (rappelle|appelle|contacte|réponde|recontacte|téléphone)
(avoir|parler à|joindre|veux|voudrais|puis-je avoir) [{which}] ({whoever}|{person}) (au (téléphone|bout)|en ligne)
(pouvez|peux|pourriez|pourrais|merci de|veuillez|peut-on) [vous|tu|bien] (me|m'|nous) (rappeler|appeler|téléphoner
    |recontacter)
(rappelez|appelez|téléphonez|contactez)-(moi|nous)
(y a-t-il|est-ce qu'il y a|il y a) [bien] ({whoever}|un {human}|une personne|une vraie) (ici|derrière|à qui|avec qui
    |qui|de réel|en ligne|.)
possible d'avoir [{which}] ({human}|{whoever}|personne)
à qui (puis-je|je peux|peut-on) [m'] (parler|adresser)
(pas|marre|assez|plutôt que|refuse) … (robots?|bots?|chatbots?)(?= (.|je|et|mais) )
. [un|une|l'] ({human}|responsable|gérant|service client) (svp|s'il|stp|maintenant|vite)
aide humaine|assistance humaine|contact humain
(demander|demandez|dire|dites) (à|au) [{which}] ({person}|{whoever}) (de|qu'il|qu'elle) (me|m'|nous)
(joindre|contacter|avoir|trouver|atteindre) ({whoever}|[un|une|le|la|l'|votre] ({human}|responsable|patron|gérant))
(traiter|échanger|discuter|communiquer|correspondre|parler) … avec [un|une|de|des] ({human}|vraie|personne|{whoever})
{want} [parler à] une vraie personne|(réponses?|messages?) automatiques?
numéro … (parler|joindre|appeler) … ({whoever}|personne|{crew})
(qu'on|qu'il|qu'elle|que l'on) (me|m'|nous) (rappelle|appelle|recontacte|téléphone|contacte)
(discuter|parler|voir|régler|échanger) [de] (cela|ça|ceci) avec [{which}] ({person}|{whoever})
(en parler|en discuter|le voir) avec [{which}] ({person}|{whoever})
"""

COMPLAINT = r"""
(déposer|faire|formuler|porter|adresser|déposerai|envoyer|enregistrer|effectuer) … (réclamation|plainte|signalement)
porter plainte|porterai plainte
(réclamation|plainte) (à|contre|concernant|formelle|officielle|au sujet|pour)
(veux|tiens|souhaite|viens) [à|me] (me plaindre|plaindre)|. je me plains
inadmissible|inacceptable|intolérable|scandaleux|scandaleuse|honteux|une honte|un scandale|inexcusable
(veux|exige|demande|voudrais|souhaite|attends) [à|un|le|mon|être] [être] (remboursée?|remboursement|dédommagée?
    |dédommagement|indemnisée?|indemnisation)
(remboursez|rembourse|dédommagez|rendez|rendre|rends)-moi|rembourser [moi] immédiatement
(rendez|rendre|rends|récupérer|veux|redonnez) … (mon|notre) argent
(mon|notre|mes|nos) {lawyer} (va|vont|vous|prendra|se|contactera)
(appeler|contacter|prendre|appelle|contacte) (mon|un|mes) {lawyer}
(tribunal|tribunaux|prud'hommes|saisir la justice|saisir le|en justice|poursuivre en|vous poursuivre|vous attaquer
    |action en justice|poursuites)
(vous|le|les) (signaler|dénoncer|signale|signalerai|dénoncerai)|dgccrf|signaler (à la|votre|ce)
60 millions|que choisir|répression des fraudes
(service|services|accueil|prestation|travail|expérience|coupe|repas|nourriture|qualité|client|clientèle|séjour) [est
    |était|a été|vraiment|absolument|tout simplement|totalement] ({awful})
(le|la|quel|quelle) (pire|plus mauvais|plus mauvaise) … (service|expérience|coupe|restaurant|hôtel|garage|vie|vu)
{awful} (service|expérience|accueil|travail)
arnaque*|escrocs?|escroquerie|voleurs?|(avez|as|ont|été) (arnaqué*|escroqué*|volé*|trompé*)
suis fait (arnaquer|escroquer|avoir|voler)|fais avoir
(très|extrêmement|vraiment|profondément|totalement|particulièrement) (mécontente?s?|déçue?s?|insatisfaite?s?
    |en colère contre)
(pas|jamais) [du tout|vraiment|très] (contente?s?|satisfaite?s?) (du|de|avec|par|.)
(avez|a|ont) (abîmé|cassé|ruiné|détruit|massacré) (mon|ma|mes|nos|notre)
jamais plus|plus jamais (chez|je|ça|votre|.)|(mauvais|mauvaise|très mauvais) (avis|commentaire|note)
c'est du vol|(facturé|débité|prélevé|fait payer) … (deux fois|trop|double)
(trop|double) (facturé|facturation)
(laisser|mettre|publier|poster|écrire) … (avis|commentaire) (négatif|négatifs|désastreux)|avis négatif
(malpoli|impoli|grossier|désagréable|agressif|irrespectueux) … (serveur|employé|technicien|personnel|avec moi)
(serveur|serveuse|employée?|technicien|personnel|réceptionniste) … (malpolie?|impolie?|grossiers?|grossière
    |désagréable|agressi(f|ve)|irrespectueux)
(tombés?|rendus?|été) malades?|intoxication alimentaire|services d'hygiène|services vétérinaires
scandalisée?s?|(exige|exigeons|réclame|demande) … (remboursement|excuses|dédommagement)
(abîmé|abimé|cassé|rayé|détruit|endommagé) (mon|ma|mes|notre|nos)
sans (mon|notre) (accord|autorisation|consentement)
"""

EMERGENCY = r"""
(sent|sens|sentons|odeur|odeurs) [fort|une|de|très fort|une odeur de|bizarre] (le|de|du) (gaz|brûlé)
(fuite|fuites|odeur) [importante|grosse] de gaz(?! (test|détect*) )
(tuyau|canalisation|conduite|chauffe-eau|ballon|chaudière|radiateur|flexible) … (éclaté|explosé|rompu|cassé|lâché
    |percé|pété|sauté)
(éclaté|explosé|rompu|rupture|pété) … (tuyau|canalisation|conduite)
dégât des eaux (en cours|maintenant|chez|urgent)
(eau|eaux) [usées] (partout|gicle|monte|jaillit|déborde|(coule|sort|qui coule) (partout|de partout|du plafond
    |par le plafond|à flots|à travers|sans))
(est|sont|être|suis|tout|commence|sommes|se fait|cave|cuisine|maison) [est|complètement|en train d'être
    |à] (inondée?s?|inonder)
(inondation|inondé) (chez|dans|en|.)
(il y a|y a) [le|un|du] (feu|incendie|flammes)(?! (de (bois|cheminée|camp)|vert|rouge) )
(au feu|en feu|prend feu|pris feu|en flammes|a brûlé|est en train de brûler|ça brûle|incendie (dans|chez|en|.))
(fumée|étincelles|fume) … (sort|partout|sortent|du|de la|dans|qui sort)
(détecteur|alarme|capteur) … (monoxyde|fumée|gaz|co) … (sonne|bipe|sonné|hurle|déclenché*|bip|retentit)
intoxication|(fuite|émanation) de monoxyde
(c'est|est|ai|avons|j'ai|cas d') [une|vraiment une|d'] [grosse|vraie] urgence(?! (que|ou|week))
urgence (dentaire|médicale|vitale|absolue|gaz|fuite)|. urgence .
(il y a|a|avons|est) [un|une|des|quelqu'un|gravement|quelqu'un de] (blessée?s?)
quelqu'un … (blessé|malaise|inconscient|tombé)|inconsciente?|évanouie?|ne respire (plus|pas)
(fait|fais|faire) un (malaise|infarctus|avc)|crise cardiaque|s'est effondrée?
(saigne|saignement|saigner|sang) [encore|toujours|très|abondamment] (beaucoup|abondamment|sans|énormément|pas|partout
    |abondant|de s'arrêter)
(n'arrête|arrête) pas de saigner
(peux|peut|arrive|mal) [plus|pas|à|du mal à|plus à] respirer|du mal à respirer|réaction allergique
étouffe|électrocut*|décharge électrique
(coincée?s?|bloquée?s?|enfermée?s?) dans (l'|la|le|votre|une|un) (ascenseur|cave|chambre froide|toilettes|sauna
    |parking)
(appelez|appeler|besoin d'|envoyez) [les|une|le|l'] (ambulance|pompiers|samu|police|secours|15|18|112)
(au secours|à l'aide)
suicid*|(me tuer|mettre fin à mes jours|envie de mourir|me faire du mal)
(se fait|suis|sommes|fait) (agresser|attaquer|cambrioler|braquer)
fuite … (énorme|importante|grosse|partout)|(grosse|énorme|importante) fuite|(ça|tout|eau) inonde
(four|cuisine|friteuse|maison|voiture|poubelle|appartement) (est|sont) en (flammes|feu)|s'est évanouie?
(ne )?(bouge|réagit|répond|respire) (plus|pas) (.|du|et)
sent [très|trop|super] (fort|mauvais) [le] (gaz|brûlé)
(plafond|toit|mur|sol) … (effondre*|écroule*|s'effondre|tombe)|(ça|cela) brûle (dans|chez|en|.)
"""

COMPLEX_QUESTION = r"""
(pris|prise|prend|prends|couvert|couverte|couvre|remboursée?|rembourse|paie|paye|inclus) [en charge|par|ça|cela] [par
    |en] [mon|ma|l'|la|notre|votre] ({insurer})
(mon|ma|notre|l'|la) ({insurer}) [habitation|auto|dentaire|maladie|santé] … (rembourse*|couvre|couvrira|paie|paye
    |prend|demande|exige|refuse|veut|réclame)
(pour|à|par) (mon|ma|notre|l'|la) (assurance|assureur|mutuelle)
(expert|déclaration|attestation|rapport|sinistre|dossier|constat) … (assurance|assureur)
expert de l'assurance
(qui|responsable|responsabilité) [est|sera|serait] (responsable|responsables|civile|légale|juridique|paie les dégâts
    |en cas)
indemnis*
(mes|nos|quels|quelles sont mes) droits|droits? (légal|légaux|du consommateur|de rétractation)
(légalement|juridique*|recours)
(par écrit|document|attestation|rapport|courrier|justificatif) … ({lawyer}|notaire|tribunal|assurance|assureur|juge
    |expert)
que dit la loi
(mon|notre|mes|l') {lawyer} (demande|veut|exige|a besoin|réclame|dit)
(refus*|rejet*|contest*|conteste|annul*|nie*|applique* pas|faire jouer|faire valoir) … (garantie)
garantie … (refus*|rejet*|contest*|annul*|pas (prise|valable|valide|appliqu*)|nulle)
(contrat) (d'|de|cadre) [d'] (entretien|maintenance|flotte|service|fourniture|entreprise) … (pour|de|avec)
contrat[- ]cadre|contrat d'(entretien|maintenance) (pour|annuel)
(clause|clauses|conditions|termes) … contrat
(résilier|résiliation|rupture|rompre) [du|le|de|mon|notre] contrat
(devis|tarif|tarifs|offre|prix|remise|proposition) (sur[- ]mesure|personnalisée?|professionnels?|entreprises?|en gros
    |de gros|pour (un immeuble|tout|nos|notre|une copropriété|un hôtel|l'ensemble|toute))
\d+ (véhicules|agences|bureaux|immeubles|magasins|appartements|logements|hôtels|boutiques|sites|camionnettes)
copropriété|appel d'offres
données personnelles|rgpd|décharge de responsabilité|expertise judiciaire|sous-traitance
(couvre-t-elle|couvre-t-il|rembourse-t-elle|rembourse-t-il|prend-elle|paie-t-elle|prendra-t-elle)
responsables? (si|en cas|des dégâts|du dommage|des dommages|de la casse)
(êtes-vous|est-on|êtes vous) responsables?
(droit|droits) (à|au) (un|une|remboursement|dédommagement|indemnisation)
(refus|refusé|contestation) … garantie|(négocier|signer|conclure) [un|le|notre] contrat
contrat annuel (pour|avec)
{lawyer} (souhaite|demande|veut|exige|aimerait)
qui (paie|paye|va payer|prend en charge|rembourse) [pour] (les|le|la|si)|copie du contrat|bail
(mise en demeure|litige)
"""

AI_CONFIDENCE_LOW = r"""
(vous|tu) [ne|n'] [me|m'] (comprenez|comprends|comprend|écoutez|écoutes|lisez|lis|avez|as|saisissez) [vraiment] (pas
    |rien|jamais|mal|que dalle)
(vous|tu) (m'|avez|as) [m'|avez|as] (mal compris|pas compris|rien compris|mal lu)
(n'|ne) (avez|as|a) (pas|rien) (compris|lu|écouté|répondu)
(ce n'est|c'est|n'est|était|ce n'était) pas [du tout] (ce que|ma question|la question|la réponse) (j'ai|je)
(pas|jamais) [du tout|vraiment] (ce que j'ai|ce que je|ma question)
(répondez|réponds|répond|répondu) [toujours|vraiment] (à côté|jamais|rien|(pas|jamais) [à|de|du|aux] (ma|la
    |mes) questions?)
à côté de la (plaque|question)|répond* à côté
(bot|robot|chatbot|assistant|machine|vous|tu|ia|truc) (est|es|êtes|sert|servez|sers) [vraiment|totalement
    |complètement|juste|trop|à] (nul|nulle|inutile|stupide|débile|bête|idiot|con|rien|à rien|incompétent|pourri)
(stupide|inutile|foutu|débile|idiot) (bot|robot|chatbot|machine)
(bot|robot|chatbot) (inutile|stupide|débile|de merde|nul|idiot|pourri)
(répétez|répètes|répète|répondez|répond|donnez|dites|dis) [toujours|sans cesse|encore|tout le temps
    |en boucle] [toujours] (la même|le même|les mêmes|en boucle)
toujours la même (réponse|chose)|tourne* en rond|en boucle
(vous|te|t'|le|l') [l'|le] (ai|j'ai|répète|redis) (déjà|dit|expliqué|répété|répondu)
j'ai déjà (dit|répondu|expliqué|demandé|donné)
je (viens de|vous l'ai déjà|l'ai déjà) (dire|le dire|vous le dire|dit|expliqué)
déjà (dit|expliqué|demandé|répondu) (deux|trois|quatre|dix|plusieurs|\d+|mille) fois
(ça|cela|ceci|vous|tu) [ne|n'] [m'|me|nous] (aide|aidez|aides|sert|avance|servez) [vraiment] (pas|à rien|en rien|rien
    |guère)
(mauvaise|fausse) réponse|aucun (rapport|sens)|n'a (rien à voir|aucun sens)|rien à voir avec ma
incompréhension
(ne )?(répond|répondez|réponds) (pas|jamais) à (ce|ma|mes|la)
pas (ça|cela) que (je|j')|(c'est|c'était) pas ma (question|demande)
(tu|vous) (tournes?|tournez) en rond|(réponses?|ça|cela) (n'a|n'ont|n') (aucun|pas de) sens
c'est (faux|complètement faux|n'importe quoi)
à côté (du sujet|de la)|(pas|jamais) (demandé|dit|parlé de) (ça|cela)
(encore|toujours) (faux|pareil|la même chose)
"""

FRENCH = Language(
    code="fr",
    lists=LISTS,
    filler="""
        un une le la l' à au avec svp s'il vous plait te plaît stp bonjour bonsoir salut merci je veux voudrais
        parler oui ok maintenant besoin d' de
    """,
    whole=r"""
        ({human}|vrai humain|responsable|gérante?|patron|quelqu'un|réception|standard|standardiste)
        (service|conseiller) (client|clients|clientèle|humain)|(agent|opérateur|contact) humain
        une vraie personne|vraie personne|appelez moi|rappelez moi
    """,
    customer_request=CUSTOMER_REQUEST,
    complaint=COMPLAINT,
    emergency=EMERGENCY,
    complex_question=COMPLEX_QUESTION,
    ai_confidence_low=AI_CONFIDENCE_LOW,
    unwanted="(pas|plus|aucun|jamais|inutile|sans|plutôt que|au lieu)",
    asks_what_we_are="(es-tu|êtes-vous|tu es|vous êtes|êtes|je parle|fais-tu|faire du mal)",
    denied="(pas|plus|aucune?|jamais|sans|ni|rien|non)",
    turns="il|mais|et|je|plutôt|car|parce|passez|donnez|pourquoi",
    unneeded="(pas|n'est pas) (nécessaire|utile|besoin)",
    past=r"""
        (année|mois|semaine|hiver|été|an) (dernière?|passée?)
        il y a (un|deux|trois|quelques|plusieurs|des) (an|ans|mois|semaines|jours)
        en cas d
        vendez|faites-vous|proposez
    """,
    angry=r"""
        (ridicule|absurde|incroyable|n'importe quoi|une blague|vous moquez|se moque*|du foutage|foutage de gueule
            |pathétique|abusé|insupportable|une honte)
        (énervée?|furieux|furieuse|en colère|marre|ras[- ]le[- ]bol|agacée?|exaspérée?|ulcérée?|à bout|saoule
            |fatiguée? d'attendre)
        (putain|merde|bordel|connards?|cons?|fait chier|enculés?|crétins?|abrutis?|imbéciles?)
        (ça suffit|perte de temps|perdre mon temps|c'est pas possible|comment osez|de qui se moque)
    """,
    pleased="(merci|génial|parfait|super|excellent|adore|félicitations|bravo|ravie?)",
    not_knowing=r"""
        (ne|n'|je) [le|l'|en|y] (sais|connais|dispose|dispose d'|ai|trouve|possède) (pas|aucune|malheureusement pas
            |pas actuellement) [l'|cette|la|d'|de|ces|encore|exactement] (information*|accès|réponse|détails|données
            |précisions|idée|si|comment|.)
        (ne|n') [suis|peux|pouvons|pourrai|puis|parviens|arrive] [malheureusement] (pas|pas à|pas en mesure
            |pas capable) [en mesure|capable|vous|de|d'|à|malheureusement] [de|d'|vous|y] (aider|répondre|renseigner
            |confirmer|dire|trouver|fournir|vérifier|accéder|indiquer|donner)
        (ne|n'|je) suis pas (sûre?|certaine?|en mesure|capable|au courant)
        (pas|mal|rien) (compris|accès à)|ne comprends pas|(ignore|dépasse mes|au-delà de mes)
        (pouvez|pourriez|peux)[- ](vous|tu) (reformuler|préciser votre)
    """,
    often_mistyped="""
        humain personne conseiller operateur responsable reclamation inadmissible urgence avocat assurance
        remboursement quelqu'un
    """,
)
