"""English words; see ``notation`` for how they are written."""

from __future__ import annotations

from gateway.assistant.escalation.english_troubles import AI_CONFIDENCE_LOW, COMPLAINT, COMPLEX_QUESTION, EMERGENCY
from gateway.assistant.escalation.notation import Language

LISTS = r"""
real = real|live|actual|living|human|proper|genuine|flesh and blood
human = human being|humans?|real (person|people)|live person|representatives?|reps?|operators?|agents?|argents?|csr
crew = managers?|management|supervisors?|superior|owners?|boss|receptionists?|advisors?|advisers?|technicians?
    |mechanics?|dentists?|hygienists?|doctors?|stylists?|hairdressers?|chef|plumbers?|engineers?|specialists?
    |experts?|consultants?|salesperson|assistant|team members?|members? of (staff|(the|your) team)|staff( members?)?
    |employees?|colleagues?|team|(customer|technical|tech) (service|support|care|services)|support|help ?desk
    |reception|front desk|guys?|tech|associates?|workers?|nurse|clerk|accountant|sales|sales (team|rep|person)
whoever = some ?one|some ?body|any ?one|any ?body
person = {human}|person|people|{crew}
any = (?!(my|our|estate|travel|insurance|letting|booking|cleaning) )\w+
which = a|an|the|your|any|some|another|one of (your|the)
talk = talk|speak|chat|discuss (this|it)|get in touch|be in touch|deal|communicate|correspond|text|converse
talking = talking|speaking|chatting|dealing|discussing (this|it)|communicating
call = call|ring|phone|telephone|contact|get back to|reach out to
get = get|give|find|send|fetch|bring|want|wants|need|needs|prefer|demand|request|require|have|let me have|like
machine = bots?|robots?|chat ?bots?|machines?|computers?|ai|automated (system|assistant|replies)
not_human = (?! (resources?|hair|errors?|body|bodies|food|rights?|nature|touch|sized?|models?|shaped?|remains|use
    |skin|kind|or|beings? are) )
ends = (?= (.|please|pls|plz|now|asap|here|there|right|today|instead|who can|that can|to (talk|speak|help|answer|call
    |contact|look|chat|assist|take over)|on (here|the (line|phone))|not a|for this) )
water = water|sewage|waste ?water
place = house|home|kitchen|basement|cellar|bathroom|floor|flat|apartment|room|garage|ceiling|shop|store|office|place
    |hallway|restaurant|salon|building|everything|everywhere|it|we|heater|oven|stove|boiler
who = i|we|he|she|they|someone|somebody|(a|the|my|our|one) [other|little] (guest|customer|man|woman|lady|guy|child
    |kid|son|daughter|baby|husband|wife|mother|father|mum|mom|dad|friend|colleague|worker|person|neighbou?r)
insurer = insurance|insurer|insurance company|(dental|health|insurance) plan|(home|car|health|dental
    |liability) insurance|policy
lawyer = lawyers?|attorneys?|solicitors?|legal team
you = you|u|it|this|the bot|this (bot|thing|chat)
bad = terrible|horrible|awful|appalling|disgusting|shocking|dreadful|atrocious|abysmal|shoddy|lousy|pathetic
    |disgraceful|the worst|worst|poor|crap|shit|shitty
"""

CUSTOMER_REQUEST = r"""
{talk} [directly|again|more] (to|with|w) [{which}] [{real}] [{any}] ({person})
{talk} [directly|again] (to|with|w) ({whoever})
{talk} (to|with) the (person|people) in charge
(prefer|like|mind|chance of|possibility of|consider|than|about) {talking} (to
    |with) [{which}] [{real}] [{real}] ({person}|{whoever})
({whoever}|{human}) [there|here|in there] [that|who] (i|we) (can|could|may) [actually|please] {talk} (to|with)
who (can|do|could|should) (i|we) {talk} (to|with)
who (can|could) (i|we) {call}{ends}
(connect|transfer|put|pass|hand|forward|escalate|direct|redirect|route|patch|refer)(ed|red|d)? [me|us|this
    |it] [through|over|on|onto] [over] (to|with|w|onto) [{which}] [{real}] [{any}] ({person}|{whoever})
put (me|us) through
(reach|contact|ask for|message|see|meet) [{which}] {real} ({human}|person|people|{crew})
(reach|contact|ask for) [{which}] ({human}|{whoever}){ends}
(get|give|fetch|bring|find) (me|us) … ({human}|manager|supervisor|boss|owner|{whoever})(?! (to (fix|come|repair|clean
    |install|do|cut)|on|at|for|tomorrow|who) )
(get|give|fetch|bring|send|find) (me|us) (a|another) person
{get} [to have|to see] [{which}] ({human}){ends}
{get} [to have|to see] [a|any|the|another] humans?{not_human}
{get} (a|any|another) person{ends}
{get} [{which}] {real} ({human}|person|people|one)
(to|with|from|by) [a|any|an actual|another] humans?{not_human}
(help|support|assistance|answer|reply|response|hear) (from|by) [{which}] [{real}] ({human}|person|{whoever})
(call|contact|ring|phone) [your|the] [customer|technical|tech] (service|support|help ?desk)
(get|proceed|continue|want|need|start|use|have) [with] [a] (live|human) (support|help|chat|agent|assistance)
{get} [some] human (help|support|assistance|contact|being)
({whoever}|any person) {real}
any {real} [{real}] (person|people|humans?|agents?|one)
(is|are) there (a|any|some) [{real}] ({human}|person|{whoever}){ends}
(is|isn't|is there) ({whoever}) [{real}] (there|here|available|around) (who|that|to|i|we)
. [a|an|any|one|the] {real} [{real}] (person|people|human|humans|agent|representative|operator|rep|one){ends}
. (human|live) (agent|support|help|representative|rep|operator|assistance|service)
. [a|an|the|your] ({human}|manager|supervisor) (please|pls|plz|now|asap|only)
. [a|an] ({human}|manager|supervisor) . (please|pls|plz)
. customer (service|support|care) [agent|representative|rep|person] [please|pls|now] .
({whoever}|{person}) [{real}|else] [from|at|in] [the|your] [{crew}|salon|garage|shop|office|hotel|restaurant
    |practice] [to|please|could|can|would] {call} (me|us)
(can|could|will|would|may|please|should) ({whoever}) [please] (give|drop) (me|us) a (call|ring|bell)(?! (when|once|if
    |as) )
(can|could|will|would|should) ({whoever}) [please|from|at] … {call} (me|us)
have ({whoever}|[{which}] {person}) [please] {call} (me|us)
(ask|tell|get) [{which}] ({person}|{whoever}) to {call} (me|us)
(please|can you|could you|kindly|will you|would you|you to) [please] (call|ring|phone) (me|us)( back)?{ends}
(please|can you|could you|will you|would you) [please] give (me|us) a (call|ring)(?! (when|once|if|as|before) )
(need|want|request|like|requesting|please|arrange|have) [a|to have a] (call ?back|call back|phone call)
(don't|do not|not|no|hate|tired of|sick of|than|instead of|refuse to|won't|rather not|stop) … (bots?|chat ?bots?
    |robots?)
(don't|do not|hate|tired of|sick of|refuse to|won't|rather not) [want to|like to|like|wanna] ({talk}|{talking}) (to
    |with) … {machine}
stop (the|this) {machine}
(take|taken) over by [{which}] ({human}|person|{whoever})
speak (to|with) [your] (higher-ups?|senior*)
(reach|get hold of|get ahold of|get through to|get a hold of) [{which}] [real|live] ({human}|{whoever}|owner|manager
    |boss|staff|team)
(anyone|anybody|someone|somebody) [from|at|in] [the|your] [\w+] (reading|actually reading|read|monitoring
    |watching) (this|my|these)
one of you (to|answer|reply|call|please)
number … ({whoever}|{human}|real|staff) … (answers?|picks up|talk|speak|reply)
number … (call|talk|speak) … ({human}|{whoever}|person|{crew})
(talk|speak|discuss it|discuss this) … (over|on|by) [the] (phone|telephone)
({whoever}|{human}|person|the (owner|manager|boss)) to (answer|reply|call (me|us)|take over|respond|contact (me|us)
    |get back)
(automated|automatic|canned) (replies|reply|responses?|answers?|messages?)
(have|like|love|want|need|get|possible|arrange|schedule|request|for) … (word|call|chat|conversation
    |phone call) with [{which}] [{real}] [{any}] ({person}|{whoever}|them|him|her)
(discuss|discussing|discussed|go over|sort out|sorted|handle|handled|talked through) … (with
    |by) [{which}] {real} ({human}|person)
(discuss|discussing|go over|sort|talk) (this|it|that|things) [out|over|through] with [{which}] ({person}|{whoever})
(get|have|put) [{which}] ({human}|person|{whoever}) on (the (line|phone)|here)
. human (support|help|assistance|contact) [needed|required|wanted] (.|please|now)
who (is|'s) in charge (over there|here|there|.)|the person in charge
switch [me|us|this] (to|over to) [a|an|the|your] [{real}] ({human}|person|{whoever})
number (for|of|to) [{which}] {real} ({human}|person|people|{crew})
"""

ENGLISH = Language(
    code="en",
    lists=LISTS,
    filler="""
        a an the please pls plz now hi hello hey ok okay yes just i want need to talk with asap thanks thank you
        sir hmm so well ur your
    """,
    whole=r"""
        ({human}|{real} ({human}|person|people)|person|someone|somebody|manager|supervisor|owner|boss|receptionist
            |adviser|advisor)
        (speak|talk|chat) [with|to] ({human}|person|someone)
        (human|live|real) (agent|person|support|help|chat)|live (person|chat|agent|rep)
        (customer|client|technical|support|tech) (service|services|support|care|rep|representative|agent
            |person)( (rep|representative|agent|person))?
        (call|contact) (customer|technical|tech|your)? ?(service|support)|support (agent|person)|front desk
        call me|call ?back|call back
    """,
    customer_request=CUSTOMER_REQUEST,
    complaint=COMPLAINT,
    emergency=EMERGENCY,
    complex_question=COMPLEX_QUESTION,
    ai_confidence_low=AI_CONFIDENCE_LOW,
    unwanted=r"""
        (don't|do not|didn't|doesn't|not|no|never)(?= $)
        (don't|do not|didn't|did not|doesn't|does not|wouldn't|would not) (want|need|wanna|wish|like|have|ask|mean
            |require|intend|care|think)
        no (need|reason|point)
        (needn't|need not|not necessary|rather not|prefer not|without|instead of|not (asking|here|trying|looking
            |wanting))
        (no one|nobody) (needs|wants)
    """,
    asks_what_we_are=r"""
        (are|is) (you|this|it|that)( (really|actually|a|an))?(?= $)
        (am i|i am|i'm) (talking|speaking|chatting)
    """,
    denied=r"""
        not|isn't|aren't|wasn't|ain't|never|no|nothing|none|hardly|without|don't|haven't|hasn't|didn't
        doesn't
    """,
    turns="there|but|just|instead|and|so|if|because|why|though|however|sure|know|yes|please|now",
    unneeded=r"""
        (is|are|isn't|is not|was|not|won't be) [not] (needed|necessary|required|needed)
        (not|isn't) (needed|necessary|required)
    """,
    past=r"""
        last (year|winter|summer|spring|autumn|week|month|night|time)
        (years|months|weeks) ago
        used to
        in case
        what (if|happens)
        how much
        do you (do|offer|sell|stock|have|install|repair|fix|handle)
    """,
    angry=r"""
        (this|that|it|you|you're|your|how|all) [is|are|'s|was|just] [absolutely|so|just|completely|totally|really
            |beyond|a|getting] (ridiculous|absurd|pathetic|insane|bullshit|bs|infuriating|insulting|a joke|nonsense
            |annoying|frustrating|bollocks|crap|shit|rude|idiots?)
        (wtf|ffs|omfg|fuck|fucking|fucked|bullshit|fuckin|goddamn|bloody hell|for fuck's sake|piss off|screw you
            |asshole|assholes|shut up)
        (what|why|who|where|how) the (hell|heck|fuck)
        (are you|you must be|you've got to be|you got to be) (kidding|joking|serious|having a laugh)
        (so|really|very|extremely|absolutely|getting|am|i'm|makes me|making me|totally|bloody) [so|really|very
            |getting|fucking] (angry|furious|pissed|annoyed|frustrated|fed up|livid|mad|fuming|irritated|sick of)
        (fed up|had enough|sick of|sick and tired|pissed off|losing my (patience|mind|temper)|lost my patience
            |enough is enough|for (god's|heaven's|christ's) sake|waste of (time|my time)|wasting my time|unbelievable
            |disgrace|shame on you|how dare you|you people|ridiculous)
    """,
    pleased=r"""
        (thanks?|thank you|thx|love|loved|great|amazing|awesome|perfect|happy|yay|wow|congratulations|wonderful
            |fantastic|excellent|excited)
    """,
    not_knowing=r"""
        (i|we) [really|just|unfortunately|also|still|currently|simply] (don't|do not) [actually|currently|really
            |yet] (know|have (that|this|any|the|enough|an|access|details|information|specific)|see any information
            |understand)
        (i'm|i am|we're|we are) (unsure|uncertain|not [entirely|really|quite|completely|so|too|yet] (sure|certain
            |aware|able|familiar))
        (i|we) (can't|cannot|can not|couldn't|could not|am unable to|are unable to) [unfortunately|currently|directly
            |actually|really] (help|answer|find|assist|tell|say|confirm|provide|see|look|verify|determine|give you
            |access|check)
        unable to (help|answer|find|assist|tell|say|confirm|provide|verify|determine|access)
        (no|not have|have no|without|lack|don't have|there's no|there is no) [any|further|that|the|such|specific
            |more] (information|details|answer|idea|knowledge|data|record)
        (didn't|did not|couldn't|don't) [quite|fully] (understand|catch|get) (that|your|what|the)
        (beyond|outside) (my|what i)|not something i can|not (in|part of) (my|the information)
        (could|can|would) you [please] (rephrase|reword)
    """,
    often_mistyped="""
        human humans person someone somebody agent representative operator manager supervisor complaint complain
        unacceptable emergency flooding understand refund ridiculous insurance useless lawyer service
    """,
)
