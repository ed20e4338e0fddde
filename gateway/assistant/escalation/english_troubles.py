"""What goes wrong, in English; the lists that it names are those of ``english``."""

from __future__ import annotations

COMPLAINT = r"""
(make|file|lodge|raise|submit|register|log|have|put in|place) [a|an|another] [formal|official|serious
    |written] complaint
(complaint|complaints) (about|against|regarding|department|form|procedure against)
. [formal|official] complaint
(want|wish|like|need|have|going) to (complain|make a complaint)
i'm complaining|i am complaining|i complain
unacceptable|not acceptable|outrageous|disgraceful
(want|give|get|need|demand|like|return|expect|where is|where's) … [my|our|the] money back
(demand|want|expect|insist on|give me|gimme|owe me|need|require|entitled to|claim) [a|my|the|full] [full
    |complete] (refund|compensation|reimbursement)
(refund|reimburse|compensate) (me|us)
(want|expect|demand|like|need|have) to be (refunded|compensated|reimbursed)|be compensated
(hear|hearing|contacted) [from|by] (my|our) {lawyer}
(my|our) {lawyer} (will|is going to|shall) (contact|be in touch|write|call|sue|send|hear)
(call|calling|contact|contacting|talk to|get|getting|speak to) (my|our|a) {lawyer}
(sue|suing) (you|your|the|this|them)|(will|gonna|going to|to) sue
(small claims|(take|see) you to|go to|going to|take this to) [small claims|the] court|see you in court
small claims|legal action|trading standards|better business bureau|consumer protection
(report|reporting) (you|your)
report [it|this] to the (police|authorities|council|health department)
{bad} [customer] (service|experience|treatment|haircut|job|work|food|support|workmanship|company|communication|quality)
(service|experience|treatment|work|food|job|haircut) [was|is|were] [just|so|absolutely|really|simply|totally] ({bad})
worst … (ever|i have|i've|in my life|service|experience|haircut|hotel|restaurant|company|meal|place|garage|plumber)
(ripped|ripping|rip) (me|us|people) off|rip-off|scammed|scammers?|scamming|(is|a|total|complete) scam
fraudsters?|conned (me|us)|con artists?|thieves|robbed me|stole (my|from)
(one|1|zero|negative|bad|terrible|awful) star
(leave|write|post) … (bad|negative|terrible|horrible|1) [star] review
(dispute|reverse) (the|this|a|my|your) (charge|payment|transaction)|chargeback|charge back
(very|really|extremely|so|deeply|bitterly|highly|most|extremely) (disappointed|dissatisfied|unhappy|upset) (with|by
    |about|at|in)
(not|never) (happy|satisfied|pleased) (with|about|at all)
(am|i'm|we're|are) (disappointed|dissatisfied|unhappy|disgusted|appalled)
(damaged|broke|ruined|destroyed|wrecked|scratched|flooded) (my|our) … (expect|want|pay|who|demand|you)
(you|he|she|they|technician|plumber|stylist|mechanic|staff|employee|worker|guy|driver|hairdresser) (ruined|damaged
    |destroyed|wrecked|scratched|broke) (my|our)
(was|were|is|been) [so|very|extremely|really|incredibly] (rude|abusive|disrespectful) (to|with|towards)
never (coming|come|going|using|use|buy|buying|order|ordering|book|booking|return|returning) (back|from|here|with
    |there|you|again)
joke of a (company|business|place|restaurant|hotel|garage)|(company|place|business|service) is a joke
(feel|felt|been|was|got|were) (cheated|conned|robbed|deceived|misled|mistreated|disrespected|overcharged|insulted
    |ignored for)
(is|was|absolute|total|such|a) disgrace|overcharged|over-charged|double charged
charged [me|us] (twice|double)|lied to (me|us)
(made|making|makes) (me|us|my \w+|everyone) (sick|ill)|food poisoning
health (inspector|department|authority|inspection)
(waiting|waited|chasing|wait) … for (my|our|a) refund
(where is|where's|still no|not received|never received|never got) (my|our|a) refund
(rude|unprofessional|aggressive|racist|disrespectful) … (staff|employee|driver|waiter|receptionist|technician
    |colleague)
(staff|employee|driver|waiter|waitress|receptionist|technician|plumber|colleague|guy|stylist) … (rude|unprofessional
    |aggressive|racist|disrespectful|shouted|yelled|swore)
nobody [even] (apologi[sz]ed|turned up|showed up|came)
no [one] (apologised|apologized|apology|showed up|turned up)
(botched|messed up|screwed up|butchered) (my|the|our)
without [my|our] (permission|consent|authori[sz]ation|knowledge|approval)
(badly|poorly|terribly|horribly|awfully|disgracefully) treated
treated [me|us] [very|so] (badly|poorly|terribly|horribly|like (dirt|trash|garbage|rubbish|shit|an idiot))
(left|leaving) … (mess|damage|dirty) … (furious|angry|unhappy|put (this|it) right|fix|unacceptable)
put (this|it) right
(furious|livid|outraged) (with|about|at|and|that)
never (using|buying|hiring|booking|visiting) [from] (you|your|here|this)
how (badly|poorly|terribly|horribly) (i|we) (was|were|got|have been) treated
"""

EMERGENCY = r"""
(smell|smells|smelling|smelt|smelled) [of|like|a|some|strong|strongly] [of|strong|like] gas
(stinks|reeks) of gas|gas (smell|odou?r)|(smell|odou?r|stench) of gas
gas [is|pipe|line] (leak|leaks|leaking|escaping|leakage)(?! (tests?|testing|detect*|check*|sensors?|survey*|inspect*
    |certificate|finder|alarms?) )
gas explosion|(an|was an|heard an) explosion|something exploded
(burst|broken|ruptured|exploded) [water|main] (pipes?|main) … (water|now|help|please|flood*|spray*|gushing|pouring
    |everywhere|ceiling)
(have|got|there's|there is|with) [a|got a] burst [water] (pipe|main)|. burst pipe
(pipe|pipes|main|hose|boiler|cylinder|radiator|tank|valve) … [has|have|just|had] [just] (burst|bursted|exploded
    |ruptured|split open)
{water} [is|was|keeps|comes|coming|just] [still] (pouring|gushing|everywhere|rising|spraying|flooding|streaming
    |shooting|bursting|all over|coming (through|up|in|out of (the (ceiling|wall|light)))|running down|dripping (onto
    |on) (the )?(electric*|lights?|sockets?))
({place}) (is|are|has|'s|'re|keeps|getting|got|been) [now|completely|all|totally|getting] [been|getting
    |being] (flooded|flooding|under-water)
(whole|entire|my|our) … (flooded|flooding|under-water)(?! (road|river|last))
(flooding|flood) (in (my|our|the (kitchen|bathroom|basement|cellar|house|flat|shop))|my|our|right now|now|everywhere)
sewage … (coming up|backing up|overflowing|everywhere|in the)
carbon monoxide (leak|poisoning|leaking|(alarm|detector|sensor|monitor) [is|has|just|keeps] [just] (going|went|gone
    |goes|beep*|ringing|sounding|triggered|screaming|chirping))
(co|co2|carbon monoxide|gas|smoke|fire) (alarm|detector|alarms|detectors) [is|are|has|just|keeps
    |keep] [just] (going off|went off|gone off|goes off|beep*|ringing|sounding|screaming|triggered)
(think|have|there's|there is|got|is it) [it's|it is] [a] carbon monoxide(?! (detectors?|alarms?|sensors?|monitors?))
(is|are|'s|on|it's|caught|catching|set) [on] fire(?! (alarm|exit|escape|station|extinguisher|safety|door|drill|proof
    |wood|certificate|pit|place)s? )(?= (.|in|at|now|help|and|please|right|what|inside|behind|under) )
(there|there's) [is] [a] [small|big] fire (.|in|at|on|behind|under|inside|now|help|coming)
. fire .
fire (in|at) (the|our|my) (kitchen|house|boiler*|building|basement|room|garage|shop|oven|lobby|restaurant|roof)
on fire|burning down|in flames|flames (coming|from|out|everywhere|shooting)
(smoke|sparks|fumes) (is|are|coming|pouring|everywhere|filling|billowing|from|out of|flying)
sparking|(smell|smells|smelling) [of|like|something|like something|a|is] burning
burning (smell|plastic smell)|burnt smell
(is|'s|it's|this|have|got|having|there's|an) [an|a|is] [real|dental|medical|urgent|absolute
    |plumbing] emergency(?! (exit|exits|number|numbers|service|services|plumber|dentist|appointments?|contacts?|fee
    |fees|call-?outs?|lighting|lights?|rates?|slots?|charges?|doors?|phone|line|plans?|kit) )(?= (.|and|at|in|help
    |please|with|here|now|my|our|the|i|we|problem|situation|come|can|need|that) )
. emergency (.|please|help|in|at|my|our|the|i|we|pipe|water|gas|need)
emergency (in|at) (my|our|the|room)
{who} (is|are|'s|'re|was|got|am|has|has been|been|gets|looks) [just|really|very] [badly|seriously] (injured
    |unconscious|electrocuted|choking|dying|not breathing|bleeding)
(is|are|am|'s|i'm|got|been|been badly|someone|somebody|badly|seriously) [badly|seriously|got|is|has been|been] hurt
(i'm|i am|he's|she's) (bleeding|choking|injured|dying|hurt)
({who}|has|have|just|he's|she's) [has|just|have] (collapsed|fainted|passed out|lost consciousness|stopped breathing
    |broken (his|her|my) (leg|arm|hip))
bleeding [very|really|so] (heavily|badly|profusely|a lot|much|non-stop|everywhere)
(stop|stopped|stopping|keeps|still) bleeding
(can't|cannot|can not|can hardly|can barely|couldn't|trouble|difficulty|hard to) (breathe|breathing|swallow)
unconscious|heart attack|anaphyla*|not breathing|electric shock
(having|has|have|bad|severe|had) [an|a] [severe|bad|serious] allergic reaction
(knocked|knocked my|knocked his|knocked her|lost|broke|broken) … (tooth|teeth) [out] … (bleed*|pain|face|swollen)
(need|call|send|want) [an|me an] ambulance
(call|called|calling) (911|999|112|the fire (brigade|department))
suicid*|(kill|hurt|harm) (myself|himself|herself)|end my life|want to die
(stuck|trapped|locked) (in|inside) [the|your|an|a] (elevator|lift|building|freezer|cold room|bathroom|sauna)
(being|been|getting) (attacked|robbed|assaulted|threatened)|(breaking|broke) into (my|our|the)
has a (gun|knife)
chemical (spill|burn)|drank (bleach|the|some)|live wires?|exposed wires?
rotten eggs?
choking(?! hazards?)
(slipped|fell|fallen|tripped) … … (can't|cannot|can not|won't) (get up|move|walk|stand)
(he|she|they|who|guest|man|woman|child|baby|kid|customer|husband|wife) … not (moving|responding|waking up)
not conscious|unresponsive|won't wake up|turning blue
{place} (caught|is on|catching|on) fire|\w+ (has )?caught fire
(coming|leaking|pouring|dripping|running|gushing) … through … (ceiling|wall|walls|light|lights|roof)
(big|huge|massive|major|serious|bad) (water )?leak|leak(ing)? (everywhere|badly)
(having|having a|had a|has had a|suffering a) (seizure|stroke|heart attack|fit)
overflowing
smoke (in|inside|all over|filling|from) (the|our|my|room) \w+(?! (alarm|detector)s? )
(ceiling|roof|wall|floor|stairs) (is|has|just|are) [just|about to] (collaps*|caved|caving|coming down|falling|fallen)
"""

COMPLEX_QUESTION = r"""
(covered|cover|covers|paid|pays|pay|reimbursed|reimburse|accepted) [by|for|this|it|under|on|for this|all of this] [my
    |our|the] [home|car|dental|health|household|own] ({insurer})
(my|our|his|her) [own|home|car|dental|health|household|liability] ({insurer}) … (cover|covers|covered|pay|pays
    |reimburse*|accept|accepts|require*|claim|refus*|reject*|deny|denies|denied)
(my|our|the) (insurer|insurance company) (wants?|needs?|asks?|requires?|says)
(for|to|from) (my|our|an|the) [home|car|dental|health] (insurance|insurer|insurance company|insurance claim)(?! (card
    |number))
insurance (claim|claims|report|dispute|assessor|adjuster|loss)
(claim|claiming) (on|from|through|against) (my|our|your|the) ({insurer})
(liable|liability)(?! insurance card)
(legally|legal) (responsible|binding|obliged|required|rights?|advice|question|matter|issue|dispute|responsibility
    |department|notice)
who … (pay|pays|responsible|liable) [for] (if|when|the|any|damage*)
(my|our|legal|your|statutory|consumer|warranty) [legal|statutory] rights
(in writing|written|signed|statement|document|letter|report|documents|invoice|evidence) … (my|our|the|a) ({lawyer}
    |insurer|insurance|court|tribunal|landlord)
(my|our) {lawyer} (needs|need|wants|asked|asks|requires|says|said|requests)
({lawyer}|court|tribunal|judge) (needs|wants|requires|asks)
waiver|indemnity|indemnif*|negligence|subpoena|gdpr|data protection request|power of attorney
(warranty|guarantee) [claim|has been|was|is|isn't|decision|dispute] [was|is|been|has been|decision|not] (rejected
    |refused|denied|void|voided|declined|disput*|not (honou?red|valid)|invalid)
(dispute|disputing|challenge|appeal|refus*|reject*|deny|denied|denying|honou?r|void|voids|contest) … [the|my|our
    |this] (warranty|guarantee)
(clause|clauses|terms) (in|of) (the|our|my|your) (contract|agreement|lease)
(contract|agreement|lease|tenancy) (say|says|state|states|clause|dispute|breach*|terminat*)
(breach|terminate|termination|break|get out) of [the|my|our|your] (contract|agreement)
(commercial|framework|service|maintenance|corporate|annual|yearly|long term|fleet|supply|business
    |wholesale) [maintenance|service] (contract|agreement)s? … (for|proposal|with|cover*|quote)
(contract|agreement) (for|covering) … [our|the|all] [our] (buildings|offices|restaurants|stores|branches|sites
    |locations|units|properties|hotels|vehicles|fleet|apartments|chain)
(custom|bespoke|tailored|bulk|commercial|corporate|wholesale|fleet|volume) (quote|quotes|quotation|pricing|offer
    |proposal|discount|contract|estimate|rates? for)
(quote|quotation|offer|proposal|tender|bid|estimate) … (for|to) (our|all|the|a|an) … (buildings|offices|chain
    |branches|fleet|locations|properties)
(quote|quotation|offer|proposal|tender|bid|estimate|price) … (whole|entire) [\w+] (hotel|school|hospital|office
    |building|estate|block)
(manage|own|run|have) [over|about] \d+ (buildings|properties|apartments|flats|units|sites|hotels|restaurants|vehicles
    |vans)
non-disclosure|nda|invitation to tender|subcontract*|intellectual property
(tenant|landlord|tenants|landlords) … responsib*
legally|consumer (law|rights|act)|by law|against the law|the law says|small print
(right|entitled) to [a|any|the] (refund|replacement|compensation|repair|discount|deduct)
(warranty|guarantee) (terms|conditions|excludes?|clause)|out of warranty but
(will|would|does|can|is|should) [my|our|the|your] ({insurer}) (pay|cover|reimburse|accept this|refuse)
(negotiate|negotiating|sign|draw up|discuss) [a|an|the|our] [\w+] (contract|agreement|deal)
(master|framework) agreement|(contract|agreement) for our
who (is|will be|would be|takes|carries|bears) [to|the] (liable|responsible|responsibility|blame|liability|risk) (for
    |if|when)
(are|is) (you|your company) (liable|responsible) (for|if)
(tenancy|lease|employment|purchase|supply|sales) (agreement|contract)
(terms|conditions) for [a|an|our] … (contract|agreement|supply)
who (pays|will pay|is going to pay|has to pay) (if|when|for the damage|for damages|for any)
(public|professional|product|employer) liability|subcontractors?
"""

AI_CONFIDENCE_LOW = r"""
(you|u|it|bot) [really|just|clearly|obviously|still] (don't|do not|didn't|did not|doesn't|does not|can't|cannot|never
    |aren't|are not|isn't|won't) [even|really|just|actually|seem to] (understand|understanding|get (it|me|what)
    |listen|listening|getting (it|me|what)|read|reading|comprehend|make sense|making sense)
(you're|you are|ur) not (getting|understanding|listening|reading|answering|helping|making)
(isn't|is not|that's not|not|wasn't|was not) (what|the question) [that] i [even|actually] (asked|ask|meant|said
    |wanted|am asking|was asking)
(isn't|not) what i'm asking|wasn't my question|not my question
(not|aren't|isn't|doesn't|didn't|don't|never|without|haven't|hasn't|stop|avoid|avoiding|ignoring|ignored
    |ignore) [actually|really|even|still|ever] (answering|answer|answered|responding to|addressing|address) [my|the
    |me|that] [actual] (questions?|what)
(ignoring|ignored|dodging|avoiding) (my|the|me|what)
(bot|chat ?bot|robot|ai|assistant|thing|machine|chat|you|you're|ur|u) (is|are|'re|'s|r) [so|just|completely|totally
    |absolutely|really|such a|a|pretty|utterly|fucking] (useless|stupid|dumb|hopeless|worthless|rubbish|garbage|crap
    |broken|no help|no use|not (working|helpful|helping)|unhelpful|terrible|pointless|idiot*)
you're (useless|hopeless|no help|stupid|dumb)
(useless|stupid|dumb|idiotic|crap|rubbish|worthless|hopeless) (bot|robot|chat ?bot|machine|ai|assistant|thing|computer)
(are|did|do|can) (you|u) [even|actually|really] (reading|read|listening|listen|understand|understanding) [a word
    |to] (what|my|me|anything|english)
(you|u) [just|always|only] (keep|kept|keeps|are|repeat) [on|just|always] (saying|giving|repeating|sending|asking
    |telling|the) [me|us] [the] (same|yourself|that|it)
(same|identical) (answer|reply|response|thing|message) (again|over|every)
keep (repeating|saying the same)|(going|talking) (round|around) in circles|in circles
(you|u) (misunderstood|misunderstand|misread|got (it|that|me) wrong|have misunderstood|'ve misunderstood)
(wrong|incorrect) answer(?! . i meant)|(that|this|it) (makes|made) no sense
(that|this) doesn't make [any] sense
(already|just) (told|said|answered|explained|asked|wrote|gave|mentioned) [you|that|this|it|u] … (times|twice|already
    |before|again|three|two|repeat*)
(i|i've) (told|asked|said|explained) [you|this|that|it] [this|that|already] (twice|(two|three|four|five|several|many
    |multiple|\d+) times)
(i|i've) already (told you|said (that|so|this)|answered that|explained (that|this|it)|asked (you|that|this))
(isn't|is not|wasn't|not|doesn't|does not|didn't|did not|don't|aren't|are not|won't) [really|very|at all
    |any] (helping|help|helpful)(?= (.|at all|me|anymore) )
(not|isn't|is) [of] no help
(how many|many) times do i have to
not what i (meant|mean|said|asked|wanted)
(that's|that is|this is|you're|you are|it's) [just|completely|totally|all|simply|plain] (wrong|incorrect|nonsense
    |rubbish|not right|irrelevant)
(answers?|replies|responses?|this|that|it|you) (make|makes|making|made) (no|zero|little) sense
(not|don't|can't) understand [simple|plain|basic|any] (english|what|me|my|the question)
i (asked|said|wanted|meant|told you) … (and|but) (you|your|you're) [keep|just] (talking|answering|telling|giving|sent
    |gave|told|said|talk|reply|answered|are)
(talking|speaking) to a (wall|brick wall)|waste of (a )?(bot|chatbot)|nothing to do with (my|what i)
wrong again|(missing|miss|missed) the point
(you|u) … (understand|get) (what i|my (question|problem|point)) … (not|wrong)
don't think you (understand|get|are understanding|know)|not sure you (understand|get)
you (clearly|obviously) (don't|do not|can't|cannot)
"""
