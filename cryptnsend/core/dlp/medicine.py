"""Which codes and names tell what somebody suffers from or takes? ICD-10-CM blocks and medicines, in their context.

Both lists are our own, from public facts, and not complete: docs/dlp.md says what is left out. A code or a name alone
says nothing about anybody; what stands beside it decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cryptnsend.core.dlp.medicines import MEDICINES
from cryptnsend.core.dlp.text import Reading, context

Span = tuple[int, int]

# Blocks of ICD-10-CM: letter, first and last category.
_BLOCKS = (
    "A00-A09 A15-A28 A30-A99 B00-B10 B15-B20 B25-B83 B85-B97 B99 C00-C26 C30-C41 C43-C58 C60-C96 D00-D49 D50-D89"
    " E00-E13 E15-E16 E20-E46 E50-E68 E70-E89 F01-F99 G00-G14 G20-G26 G30-G32 G35-G37 G40-G47 G50-G65 G70-G73 G80-G83"
    " G89-G99 H00-H05 H10-H11 H15-H22 H25-H28 H30-H36 H40-H44 H46-H47 H49-H57 H59-H62 H65-H75 H80-H83 H90-H95 I00-I02"
    " I05-I16 I1A I20-I28 I30-I52 I5A I60-I89 I95-I99 J00-J06 J09-J18 J20-J22 J30-J47 J4A J60-J70 J80-J86 J90-J99"
    " K00-K14 K20-K31 K35-K38 K40-K46 K50-K52 K55-K68 K70-K77 K80-K87 K90-K95 L00-L08 L10-L14 L20-L30 L40-L45 L49-L60"
    " L62-L76 L80-L99 M00-M1A M02-M36 M40-M54 M60-M63 M65-M67 M70-M73 M75-M87 M88-M96 M97 M99 M1A N00-N08 N10-N23"
    " N25-N53 N60-N65 N70-N77 N80-N99 O00-O08 O09-O16 O20-O48 O60-O77 O80 O82 O85-O94 O98-O99 O9A P00-P05 P07-P29"
    " P35-P39 P50-P61 P70-P78 P80-P84 P90-P96 Q00-Q07 Q10-Q18 Q20-Q45 Q50-Q56 Q60-Q87 Q89-Q93 Q95-Q99 R00-R23 R25-R50"
    " R51-R99 S00-S99 T07 T14-T28 T30-T34 T36-T71 T73-T88 U07 U09 V00-V99 W00-W99 X00-X99 Y00-Y99 Z00-Z23 Z28-Z99 Z3A"
)
CATEGORIES = frozenset(
    f"{block[0]}{number:02d}"
    for block in _BLOCKS.split()
    if block[1:3].isdigit() and block[-2:].isdigit()
    for number in range(int(block[1:3]), int(block[-2:]) + 1)
) | {"I1A", "I5A", "J4A", "M1A", "O9A", "Z3A", "C4A", "C7A", "C7B", "D3A"}
_CODE = re.compile(
    r"(?<![\w.-])([A-TV-Z]\d[0-9AB]|U0[79])(?:\.([0-9A-Z][0-9A-Z]{0,2}[0-9A-Z]?))?(?![\w-])(?!\.\w)", re.IGNORECASE
)
_CODING = context(
    r"\bicd\b|\bicd-?(?:10|9)|\bdx\b|\bdiagn|\bprimary code|\bbilling code|\bdiag\b|\bimpression\b|\bassessment\b"
    r"|\bproblem list\b|\badmitting\b|\bdischarge\b"
)
_CLINICAL = context(
    r"\bpatients?\b|\bpt\b|\bclaim\b|\bcodes?\b|\bcoded\b|\bencounter\b|\bhistory of\b|\bhx\b|\bh/o\b|\bcomplaint\b"
    r"|\bprior auth|\breferr|\btreat|\bcondition\b|\bsymptom|\bchronic\b|\bvisit\b|\bcpt\b|\bunspecified\b"
    r"|\bsuffers?\b|\bdisorder\b|\bdisease\b|\bsyndrome\b|\bicd|\bfollow-?up\b|\bpaciente\b"
)
_THING = context(
    r"\b(?:room|rm|suite|part|model|sku|gate|seat|row|version|v|figure|fig|table|section|building|bldg|vitamin"
    r"|exit|unit"
    r"|flight|aisle|shelf|bin|drawer|cell|column|form|page|item|catalog|invoice|order|locker|parking|level|firmware)"
    r"(?: (?:no\.?|number|#))?[ #:]{0,2}$",
)


def icd10_codes(reading: Reading) -> Iterator[Span]:
    """Yield ICD-10-CM codes beside words of a diagnosis."""
    for found in _CODE.finditer(reading.text):
        start, end = found.span()
        if found[1].upper() not in CATEGORIES or _THING.search(reading.before(start, 24)):
            continue
        around = reading.around(start, end, 80, 50)
        if _CODING.search(around) or (found[2] and found[0][0].isupper() and _CLINICAL.search(around)):
            yield start, end


_DOSE = context(
    r"\d ?(?:mg|mcg|ug|\x{b5}g|\x{3bc}g|g|gm|grams?|ml|units?|iu|meq|%)\b(?:/\w+)?"
    r"|\b(?:tab(?:let)?s?|capsules?|caps?|puffs?|drops?|patch(?:es)?|injections?|inhaler|cream|ointment"
    r"|suspension|syrup"
    r"|nasal spray|tabletas?|pastillas?|c[aá]psulas?|gotas)\b"
)
_TREATMENT = context(
    r"\bpatients?\b|\bpt\b|\bprescri|\brx\b|\brefill|\btak(?:e|es|ing|en)\b|\btook\b|\bstart(?:ed|ing)?\b"
    r"|\bstopp?(?:ed|ing)?\b"
    r"|\bdiscontinu|\bcontinu|\bincreas|\bdecreas|\btaper|\btitrat|\bdaily\b|\b[bt]\.?i\.?d\b"
    r"|\bq\.?[ihd]\.?[ds]?\b|\bqam\b"
    r"|\bqpm\b|\bprn\b|\bonce (?:a|per) (?:day|week)|\btwice\b|\bthree times\b|\bevery (?:\w+ )?(?:hours?"
    r"|morning|night|evening|day)"
    r"|\bat (?:bed|night)|\bbedtime\b|\btolerat|\ballerg|\bside effects?\b|\bmeds?\b|\bmedications?\b|\bhis\b|\bher\b"
    r"|\byour\b|\bpaciente\b|\breceta|\btoma(?:r|ndo)?\b|\bal d[ií]a\b|\bdose of\b|\bdos(?:e|ing|age)\b"
    r"|\bweekly\b|\bsig\b"
    r"|\bpo\b|\bdispense|\bsubcut|\binject|\binfus|\bgiven\b|\breceiv"
)
_STRONG = context(
    r"\bprescri(?:bed|ption|bing)\b|\brefills?\b|\brx\b|\b(?:patient|pt|he|she|mr|mrs|ms|who|they|i|mother"
    r"|father|son|daughter"
    r"|wife|husband|mom|dad|child)\b\.?(?: \w+){0,4}? (?:takes?|taking|took|on|started|stopped|uses?|needs?"
    r"|tolerat\w+)\b"
    r"|\b(?:is|was|been|keep|stay|put|started|remains?|currently) (?:\w+ )?on\b|\ballerg(?:y|ic) to\b"
    r"|\bcurrent med|\bmed(?:ication)? list"
    r"|\bmedications?:|\bmeds:|\byour (?:\w+ ){0,2}prescription|\breceta|\bpaciente (?:toma|recibe)\b|\btaking\b"
    r"|\bstart(?:ed|ing)? (?:\w+ )?on\b"
)
_GOODS = context(
    r"\border(?:s|ed|ing)?\b|\binventor|\bin stock\b|\bstock\b|\bshipment|\binvoice|\bboxes\b|\bcases? of\b"
    r"|\bndc\b|\bwholesale"
    r"|\bprices?\b|\bpricing\b|\bsuppl(?:y|ier|ies)\b|\bstudy\b|\bstudies\b|\btrials?\b|\bguidelines?\b|\bwebinar\b"
    r"|\bconference\b|\barticles?\b|\blectures?\b|\bnews(?:letter)?\b|\bmanufactur|\bshortage|\brecall(?:ed"
    r"|s)?\b|\bfda\b"
    r"|\bresearch|\bjournal\b|\bpublished\b|\bcme\b|\brepresentative\b|\bsamples?\b|\bformulary\b|\bcatalog|\bmarket"
    r"|\bshares?\b|\bgeneric version|\bquantity\b|\bqty\b|\bsymposium\b|\btraining\b|\bplacebo\b|\bapproved\b"
    r"|\bcohort"
)
_PERSON = re.compile(
    r"\bpatients?['\u2019]?s?\b|\bpt\b|\bprescribed\b|\brefill|\b(?:mr|mrs|ms)\b\.? [A-Z]|\bshe\b|\bhe\b"
    r"|\bhis\b|\bher\b|\bdob\b"
    r"|\btakes\b|\btaking\b|\bpaciente\b",
)
_MEDICINE = re.compile(r"(?<![\w@./-])[a-z][a-z-]{2,24}(?![\w@])", re.IGNORECASE)


def drugs(reading: Reading) -> Iterator[Span]:
    """Yield names of medicines that somebody takes."""
    for found in _MEDICINE.finditer(reading.text):
        if found[0].casefold() not in MEDICINES:
            continue
        start, end = found.span()
        around = reading.around(start, end, 100, 100)
        if _GOODS.search(around) and not _is_someones(around):
            continue
        near = reading.around(start, end, 30, 50)
        if _STRONG.search(reading.around(start, end, 60, 40)) or (_DOSE.search(near) and _TREATMENT.search(around)):
            yield start, end


def _is_someones(around: str) -> bool:
    """Say whether words around a medicine are about one person, although others are about trade or research."""
    found = {each[0].casefold().rstrip("s'\u2019") for each in _PERSON.finditer(around)} - {"patient"}
    return bool(found)
