"""Spanish words; see ``notation`` for how they are written."""

from __future__ import annotations

from gateway.assistant.escalation.notation import Language

LISTS = r"""
human = humanos?|ser humano|seres humanos|agentes?|operador(a|es|as)?|asesor(a|es|as)?|representantes?|persona real
    |teleoperador(a)?
crew = gerente|encargad[oa]|jefe|jefa|dueñ[oa]|responsable|supervisor(a)?|director(a)?|técnico|fontanero|mecánico
    |dentista|doctor(a)?|médico|peluquer[oa]|recepcionista|recepción|empleados?|empleada|encargados|equipo|personal
    |trabajador(a)?|atención al cliente|servicio al cliente|soporte|compañer[oa]s?
whoever = alguien|algun[oa]|alguna persona
person = {human}|personas?|gente|{crew}
which = un|una|el|la|al|algún|alguna|otr[oa]|vuestro|vuestra|su|tu|los|las|mi
talk = hablar|conversar|chatear|comunicarme|comunicarnos|contactar|contactarme|charlar|tratar|hablarlo|tratarlo
    |platicar|comunicar
call = llame|llamen|llamar|llamarme|contacte|contacten|contactar|contactarme|atienda|atiendan|atender|atenderme
    |escriba|responda|conteste|devuelva la llamada|telefonee
want = quiero|quisiera|necesito|prefiero|deseo|exijo|busco|querría|queremos|necesitamos|me gustaría|dame|deme|denme
    |me das|solicito|pido
real = real|de verdad|humana?|de carne y hueso
machine = robots?|bots?|máquinas?|contestador|chatbots?|asistente virtual|ia
ends = (?= (.|por favor|porfa|ya|ahora|aquí|que me (atienda|conteste|responda|llame|escuche|ayude)|y no|no un
    |al teléfono|urgente*) )
insurer = seguro|aseguradora|póliza|mutua|seguro (dental|médico|de hogar|del hogar|del coche|de coche)
lawyer = abogad[oa]s?
awful = pésim[oa]|horrible|malísim[oa]|terrible|nefast[oa]|lamentable|asqueros[oa]|vergonzos[oa]|fatal|desastros[oa]
    |el peor|la peor|peor
"""

CUSTOMER_REQUEST = r"""
(pasar|pasarme|pásame|continuar|seguir|escalar|escalarlo|derivar|derivarme|transferir|conectar|conectarme|contactar
    |contáctame|contacte|contacto|derivación|pasas|pasáis|hablar|hablarlo|atiende|atención|soporte) … (con|a|al
    |por) [un|una] ({human}|persona|asesor|alguien)
{want} [un|una|el] (soporte|atención|ayuda|asistencia|contacto|servicio) humanos?
(soporte|atención|ayuda|asistencia|contacto) (humano|humana|con [una] persona)
persona de (soporte|atención|servicio)
(me|nos) (atiende|atienda|atenderá|ayuda|llama) (una persona|alguien|un {human})
{talk} [directamente|mejor] (con|a) [{which}] ({person}|{whoever})
(pásame|páseme|pásenme|me pasas?|me pasan|pasarme|ponme|póngame|pónganme|me pone|transfiéreme|transfiérame
    |transferirme|comunícame|comuníqueme|me comunican?|comunicarme|conéctame|conécteme|conectarme|derívame|deríveme
    |me puede pasar|me pueden pasar) [ya|directamente] (con|a|al) [{which}] ({person}|{whoever})
{want} [hablar con|a|que me atienda|ver a] [{which}] ({human}){ends}
{want} [a] (una persona|alguien|gente|personas){ends}
{want} [a|con] [{which}] (persona|personas|gente|alguien|atención|ayuda|asistencia) {real}
(persona|personas|gente|atención|ayuda|agente|alguien) {real}{ends}
(que|q|me puede|me pueden|me podría|puede|podría|pueden) [me|nos] [{call}|por favor] [me|nos] ({call}) [por teléfono
    |directamente] [{which}] ({person}|{whoever})
({whoever}|{person}) [real|del taller|de la tienda|del hotel] [que] (me|nos) [puede|pueda|pueda|podría] ({call})
({whoever}|{which} {human}|una persona) … (puede|podría|pueda) ({call})
hay {whoever} [real|humano|persona] (ahí|aquí|que|con|de verdad|al otro lado|real|disponible){ends}
hay {whoever} (ahí|real|con quien|que me)
hay [{which}] (humano|persona|agente|operador) (ahí|aquí|real|con|que|disponible)
con (quién|quien) (puedo|podría|tengo que) hablar
(pueden|puede|podrían|podría|podéis|puedes|por favor) (llamarme|llamarnos|contactarme|devolverme la llamada)
(me|nos) (pueden|puede|podrían|podría|podéis|puedes) (llamar|devolver la llamada){ends}
(llámame|llámeme|llámenme|llamadme|llámennos)
(no|odio|harto|harta|cansado|cansada|en vez|paso) … (robots?|bots?|chatbots?|máquinas?|contestador)(?= (.|quiero|y
    |ni) )
. ([{which}] {human}|encargad[oa]|gerente|atención al cliente) [real] (por favor|porfa|porfavor|ya|ahora|urgente)
. con [{which}] ({human}|persona|encargad[oa]|gerente|alguien)
(contactar|contacto|comunicarme|localizar|ubicar|encontrar) [con] [{which}] (dueñ[oa]|encargad[oa]|gerente|jefe
    |responsable|{human}|alguien)
(hablarlo|hablar|comentarlo) … por teléfono
. [un|una] persona [real] .
número … (hablar|llamar) … (alguien|persona|{crew})
alguien [de|del] … (lee|leyendo|contesta|responde|atiende)
respuestas automáticas|mensajes automáticos
(comentar|comentarlo|consultar|consultarlo|resolver|resolverlo|discutir|aclarar|ver) [esto|lo
    |algo] con [{which}] (persona|{human}|{crew}|alguien)
(teléfono|número) … (atienda|atiende|conteste|contesta|hable)
(ayuda|ayude|ayudarme|ayudar) [una] (persona|humano)
"""

COMPLAINT = r"""
(poner|presentar|hacer|interponer|tramitar|formular|dejar|abrir) … (queja|reclamación|reclamo|denuncia|demanda)
(hoja|hojas|libro) de reclamaci(ón|ones)|(queja|reclamación|reclamo) (formal|por|contra|sobre|oficial)
(quiero|voy a|vengo a) (quejarme|reclamar)|. me quejo
inaceptable|inadmisible|intolerable|indignante
(devuelv*|devolv*|devolución|regres*|quiero|reembols*) … [todo] (mi|el|nuestro) (dinero|plata|importe)
(exijo|quiero|reclamo|pido|demando) [un|el|mi|una] (reembolso|devolución|indemnización|compensación)
reembólsenme|reembolsadme
(llamar|hablar|hablaré|llamaré|consultar|contactar|contactaré|avisar) [a|con] (mi|mis|nuestro|un) {lawyer}
(mi|nuestro|mis) {lawyer} (se pondrá|les|os|le|va a|contactará|se pondrán)
(voy a|vamos a|pienso) (denunciar*|demandar*)
(os|les|le|te|los) (voy a|pienso|vamos a) (denunciar|demandar)|(les|os|le|los) (denunciaré|demandaré)
denunciaré|demandaré|nos vemos en (los tribunales|el juzgado)
(oficina|omic|organización) [de] [defensa] [del|de] (consumo|consumidor)
(ir|iré|acudir|acudiré) a [los] (juicio|tribunales|juzgado|la policía)
{awful} (servicio|atención|trato|experiencia|trabajo|comida|calidad|empresa)
(servicio|atención|trato|experiencia|trabajo|comida) [es|fue|ha sido|muy|realmente|tan] ({awful})
(peor|más malo) … (vida|recibido|visto|probado|ciudad)
(es|esto es|vaya|menuda|una|son unos|sois unos) [una|un|unos] [verdadera] (estafa*|timo|robo|vergüenza|ladrones
    |estafadores|sinvergüenzas|tomadura de pelo)
(me|nos) (han|habéis|has|ha) (estafado|timado|robado|engañado|arruinado|destrozado|tratado fatal)
me (estafaron|timaron|robaron|engañaron)|estafadores|ladrones|sinvergüenzas
(muy|totalmente|sumamente|bastante) (descontent[oa]|decepcionad[oa]|insatisfech[oa]|molest[oa]) (con|por)
no (vuelvo|volveré|pienso volver|volvemos) [nunca|jamás|más] (más|nunca|jamás|a)
nunca más (vuelvo|volveré)
(mala|malas|pésima) (reseña|reseñas|opinión|valoración)
(servicio|trato|atención|experiencia|comida) [es|fue|ha sido|muy|tan|más] (tan|muy|más|bastante) (mal[oa]|deficiente)
(muy|tan) mal (servicio|trato|atendid[oa]s?)|qué (mal|mala) (servicio|atención)
(mal|mala|malos) (servicio|trato|atención)
(cobr*|factur*) … (de más|dos veces|doble)|(me|nos) lo devolv*
(sentó|sentado|sentaron) mal|intoxicaci*|(avisar|denunciar|llamar) a (sanidad|consumo)
(muy|estoy) (enfadad[oa]|indignad[oa]|cabread[oa]) con (el|la|vuestr*|su|ustedes|vosotros)
(no|nada) (estoy|estamos|quedé) [nada|muy] (content[oa]s?|satisfech[oa]s?|conforme) (con|de)
(maleducad[oa]|groser[oa]|irrespetuos[oa]|borde) … (empleado|camarer[oa]|técnico|recepcionista|conmigo)
(camarer[oa]|empleado|técnico|recepcionista) … (maleducad[oa]|groser[oa]|borde)
(me siento|me he sentido) (engañad[oa]|estafad[oa]|timad[oa]|maltratad[oa])
(es|sois|son) un (desastre|fraude|robo)
(mala|malísima|pésima|vergonzosa) (atención|experiencia|educación|praxis)
sin (mi|nuestro) (permiso|consentimiento|autorización)
"""

EMERGENCY = r"""
(huele|huelo|oler|olor|oliendo|apesta) [mucho|muy fuerte|fuerte] a (gas|quemado)
(fuga|escape|pérdida|fugas) de gas(?! (pruebas?|detector*) )
(tubería|cañería|caño|tubo|manguera|caldera|termo|radiador) … (roto|rota|reventado|reventada|reventó|rompió|estallado
    |estalló|explotado|explotó)
(roto|reventado|rompió|reventó|estallado|estalló|explotó|explotado) … (tubería|cañería|caño|tubo|caldera|termo)
(sale|salen|cae|entra|hay) [mucha|el] agua (por (todas|todos|todo)|del techo|por el techo|sin parar|a chorros)
agua por (todas partes|todos lados)
(se|me|nos) [me|nos] [está|estamos|esta] (inunda|inundando|inundó|inundado)
(está|esta|todo|casa|cocina|baño|sótano|garaje|piso) [está|todo|se ha|completamente] (inundad[oa]|inundándose|inundado)
(casa|cocina|baño|sótano|garaje|piso|local) … bajo el agua|inundación (en|ahora|aquí)|. inundación
(hay|se prendió|prendió) [un|mucho] (fuego|incendio|humo)(?! (en la chimenea|en el jardín) )
(fuego|incendio|ardiendo|en llamas|se quema|se está quemando|está quemando|echando humo) (en|la|el|mi|nuestra|.)
. (fuego|incendio) .|(está|están) (ardiendo|en llamas)
(sale|saliendo|hay|echa|echando) [mucho] (humo|chispas)
(alarma|detector|aviso) … (monóxido|humo|gas|incendios) … (sonando|suena|pita|pitando|sonó|saltado|saltó)
(intoxicación|fuga|escape) [de|por] monóxido
(es|tengo|tenemos|hay|esto es|caso de) [una] (emergencia|urgencia)(?= (real|.|en|por|con|dental|médica|porque|y|ayuda
    |vengan|mi|de) )
. (emergencia|urgencia) .
(hay|tenemos|está|hemos|alguien|una persona|un cliente) … (herid[oa]s?|desmayad[oa]|inconsciente|desmayó
    |electrocutad[oa]|accidentad[oa])
(inconsciente|desmayado|se desmayó|se ha desmayado|no respira|no puede respirar|no puedo respirar|infarto
    |paro cardíaco|convulsion*)
(sangra|sangrando|sangro) (mucho|muchísimo|sin parar|bastante)|. [estoy|está] sangrando
no (para|deja|paro) de sangrar
(cuesta|puedo|puede) respirar|reacción alérgica|ahogando|asfixi*|descarga eléctrica
(atrapad[oa]s?|encerrad[oa]s?) en (el|la|un|una) (ascensor|elevador|baño|cámara|edificio)
(llamen|llamad|llame|necesito|necesitamos|manden) [a] (una ambulancia|los bomberos|la policía|emergencias|al 112)
suicid*|(matarme|quitarme la vida|quiero morir|hacerme daño)|(socorro|auxilio)
(nos|me) están (robando|atacando|asaltando)
fuga … (enorme|grande|grandísima|tremenda|techo)|(gran|enorme|tremenda) fuga
(no|ni) [me|le] (para|deja|paran) [de] [salir] (la sangre|sangrar|sangre)
no (respira|reacciona|se mueve)|(mi|un|una|el|la) \w+ no respira
(ardiendo|arde|incendiado|incendiando|prendido fuego)
(se está|se esta|está) quemando (el|la|mi|un|una|todo)
(está|esta|estoy|sigue) sangrando|(techo|pared|suelo) … (cae|cayendo|derrumba|hundido)
"""

COMPLEX_QUESTION = r"""
(cubre|cubierto|cubren|cubra|paga|pagan|pague|entra|reembolsa|asume|incluye) [por|en|esto|con] [mi|el|nuestro|su
    |la] ({insurer})
(mi|nuestro|nuestra|la|el) ({insurer}) [de hogar|del hogar|del coche|dental|médico|de salud|privado] … (cubre
    |cubriría|cubra|paga|pagaría|pague|reembolsa|pide|exige|necesita|quiere|rechaza|solicita)
(para|al|a|del|con) (el|mi|nuestro|la|mi|su) [seguro|aseguradora|perito] (seguro|aseguradora|perito
    |póliza)(?! (dental|número) )
para (el|mi) seguro|(para|a) (la|mi) aseguradora|(parte|siniestro|perito|informe) … (seguro|aseguradora)
quién [es|sería|se hace|tiene|son|va a] [la] (responsable|responsables|responde|cargo|responsabilidad|paga los daños)
responsabilidad (civil|legal|por)|indemniza*
(mis|nuestros|qué|cuáles son mis) derechos|derechos (legales|como consumidor)
(ilegal|legalmente|contrato … legal|legales|jurídic*|vinculante|demanda judicial)
(qué|que) dice la ley
(por escrito|documento|informe|certificado|declaración|justificante) … ({lawyer}|juzgado|juez|seguro|aseguradora
    |perito|tribunal|notario)
(mi|nuestro|la|el) {lawyer} (necesita|pide|quiere|exige|solicita|dice)
(garantía) … (rechaz*|neg*|niega*|anul*|no (quier*|cubr*|acept*|respond*|vál*))
(rechaz*|niega*|negad*|denegad*|anul*|discut*|no (acepta*|quier*)) … (garantía)|garantía no me la
(contrato) (de|para) (mantenimiento|flota|servicio|suministro|marco|empresa|empresas|anual) … (para|de|con)
contrato (de (flota|mantenimiento|suministro)|marco)
(cláusula|permanencia|condiciones) … contrato|(rescindir|incumpl*|anular|cancelar) [el|del|de] contrato
(presupuesto|oferta|cotización|precio|precios|descuento) (a medida|personalizad[oa]|para empresas?|al por mayor
    |por volumen|comercial|para (toda|todo|todas|todos|nuestr*|una cadena|la comunidad))
(somos|tenemos) [una] (empresa|cadena|comunidad) (con|de) \d+|comunidad de (vecinos|propietarios)
\d+ (furgonetas|oficinas|edificios|locales|tiendas|sucursales|hoteles|viviendas|vehículos)
protección de datos|licitación|peritaje|exención de responsabilidad
({insurer}) … (se hace cargo|cubre|paga|responde|corre con)|se hace cargo (el|mi|la) ({insurer})
(asume|tiene|quién tiene|de quién es) la responsabilidad|responsables? (si|de los|del|por|en caso)
(derecho|derechos) a (indemnización|reembolso|devolución|compensación|reclamar|una)
(negociar|firmar|contratar|acordar) [un|el|una] (contrato|convenio|acuerdo)|contrato anual
pericial|peritos?|informe (técnico|pericial) para
"""

AI_CONFIDENCE_LOW = r"""
no (me|nos) (entiendes|entiende|entienden|estás entendiendo|está entendiendo|comprendes|comprende|has entendido
    |ha entendido|escuchas|escucha|estás escuchando)
no (entiendes|entiende|comprendes|has entendido|ha entendido|te enteras|se entera|estás entendiendo|está entendiendo
    |sabes|lees|lee) (nada|de nada|lo que|mi|ni|.)
no (es|era|fue) [eso] (lo que|mi pregunta|eso lo que)
eso no [es|era|responde|contesta|tiene] [lo|a] … (pregunté|pregunto|preguntaba|preguntado|pregunta|pedí|pedido|dije
    |he dicho|quería)
(no|sin) [me|estás|está|has|ha|te] [me|estás] (respond*|contest*|contestas|respondes) [a] [lo|mi|la] (pregunta|que
    |pregunté|nada)
(eso|esto) no (responde|contesta|me ayuda|ayuda|sirve|me sirve)
(bot|robot|chatbot|asistente|máquina|esto) [es|más|no|tan|un|muy] [un|más|sirve] … (inútil|inutil|tonto|estúpid[oa]
    |idiota|malo|para nada|una basura|basura|de nada)
(inútil|estúpido|maldito|tonto|pésimo) (bot|robot|chatbot|asistente)
eres [un|una|muy|tan] (inútil|tonto|estúpido|idiota|inepto|bot inútil)|no sirves
(te|se|os) lo (he dicho|dije|he explicado|expliqué|repito|he repetido|acabo de decir)
ya (te|se|os) (lo|dije|he|expliqué)|ya (lo dije|te dije|le dije|lo he dicho)
(repites|repite|repitiendo|repetís) [siempre|todo el rato|una y otra vez] (lo mismo|siempre lo|la misma)
siempre (lo mismo|la misma respuesta|la misma)|(me|te) (repites|repite)
(misma|mismas) respuestas? (una|otra|siempre|de siempre)
no (me|nos) [estás|está|estas] (ayudando|ayudas|ayuda|sirve|sirves|resuelve|resuelves|solucionas)
(malentendido|entendido mal|entendiste mal|entendió mal)
(respuesta|pregunta) (equivocada|incorrecta|errónea)|(no|ni) has (leído|entendido|respondido)
no tiene sentido lo que
(no|tampoco) (es|era) (la respuesta|lo que (busco|quiero|necesito|buscaba|preguntaba))
(vueltas a|vueltas sobre|siempre con|repetir|repites|repite) lo mismo
no (comprendes|comprende|entiendes|entiende|captas|capta) (lo|nada|mi|la|el)
(respuestas?|eso|esto|lo que dices) no (tiene|tienen) [ningún|ni] sentido|está mal .
(diciendo|preguntando|hablando|pidiendo) [de] otra cosa|otra vez (lo mismo|igual|la misma)
"""

SPANISH = Language(
    code="es",
    lists=LISTS,
    filler="""
        un una el la al con por favor porfa porfavor hola buenas buenos dias tardes quiero necesito hablar ya
        ahora gracias si
    """,
    whole=r"""
        ({human}|persona (real|humana|de verdad)|persona|alguien|encargad[oa]|gerente|jefe|dueñ[oa]|supervisor
            |recepción)
        (atención|servicio) (al cliente|humana)|(agente|asesor|operador|ser|asistente) (humano|real)|llámame
        llámenme|llámeme
    """,
    customer_request=CUSTOMER_REQUEST,
    complaint=COMPLAINT,
    emergency=EMERGENCY,
    complex_question=COMPLEX_QUESTION,
    ai_confidence_low=AI_CONFIDENCE_LOW,
    unwanted=r"""
        (no|tampoco)(?= $)
        no [me|nos] (quiero|necesito|quisiera|hace falta|queremos|necesitamos|deseo|es necesario|pido|tengo|gustaría
            |busco)
        sin (necesidad|tener)
        (tampoco|en vez|en lugar)
    """,
    asks_what_we_are="(eres|es usted|sois|son ustedes|hablando|hablo|estoy)",
    denied="no|ni|sin|nunca|ningún|ninguna|nada|tampoco|jamás",
    turns="hay|pero|sino|y|porque|por|aunque|que|quiero",
    unneeded="no (hace falta|es necesario|es necesaria)",
    past=r"""
        (año|mes|semana|invierno|verano) pasad[oa]
        hace (un|dos|tres|unos|varios|muchos) (año|años|mes|meses|semanas)
        en caso de
        venden|hacen|ofrecen|instalan
    """,
    angry=r"""
        (ridículo|absurdo|increíble|indignante|vergüenza|de locos|el colmo|patético|una broma|una tomadura
            |tomadura de pelo)
        (harto|harta|enfadad[oa]|furios[oa]|enojad[oa]|cabread[oa]|indignad[oa]|molest[oa]|desesperad[oa]
            |hasta las narices|hasta los cojones)
        (joder|mierda|coño|puta|puto|hostia|gilipollas|imbécil|idiotas?|cabrón|cabrones|carajo|pendej[oa]s?|maldit[oa])
        (ya basta|basta ya|estoy perdiendo|pérdida de tiempo|perder el tiempo|qué falta de|no puede ser
            |cómo es posible)
    """,
    pleased="(gracias|genial|perfecto|excelente|encanta|feliz|felicidades|estupendo|maravilloso)",
    not_knowing=r"""
        no (lo sé|sé|lo se|tengo|dispongo de|cuento con|conozco|encuentro|encontré|he encontrado) [esa|la|esta
            |ninguna|una|suficiente|más] (información|acceso|datos|respuesta|detalles|sobre|si|qué|cómo|la respuesta)
        (lo siento|perdona|disculpa|disculpe) . no (lo sé|sé)|no (lo sé|sé la respuesta|sé cómo|sé si)
        no (puedo|podría|he podido|pude|soy capaz de|me es posible) [te|le] (ayudar*|responder*|contestar*|encontrar
            |confirmar*|decir*|informar*|resolver*|acceder|darle|darte|proporcionar*|asegurar*|verificar*)
        no (estoy seguro|estoy segura|entiendo|entendí|he entendido|comprendo|me queda claro)
        (desconozco|fuera de mi alcance|no está a mi alcance)
        (puedes|puede|podrías|podría) (reformular|explicarlo de otra)
    """,
    often_mistyped="""
        humano persona agente operador representante encargado gerente queja reclamacion emergencia inaceptable
        abogado seguro
    """,
)
