"""What a question says outright: the kind of analysis, thresholds, and phrases that adjust, pair or leave out.

Knows nothing of the sample table.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from desktop.studios.omics.schema import AnalysisKind

_NUMBER = r"(\d+(?:[.,]\d+)?(?:e-?\d+)?)"
_FRACTIONS = {"two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "ten": 10.0}

_DIFFERENTIAL = re.compile(
    r"differential|\bdegs?\b|\bde (genes|analysis)|up-?\s?regulat|down-?\s?regulat|\b(induc|repress|activat"
    r"|suppress)|\bup or down\b|\b(increas|decreas|elevat|reduc)"
    r"|chang|differ|affect|alter|respon[ds]|effect|impact|influenc|compar|versus|\bvs\b|regulated|modulat"
    r"|\bhigher\b|\blower\b|perturb|deregulat|dysregulat|interaction"
    r"|\b(go|goes|going|went|turn\w*) (up|down|on|off)\b|\bris(?:e|es|ing)\b|\bfall(?:s|ing)?\b|\bdrop"
    r"|\bsignifican|\bfold\b|\bcontrast\b|\bmarkers?\b",
    re.IGNORECASE,
)
_PCA = re.compile(r"\bpcas?\b|principal[- ]component", re.IGNORECASE)
_CLUSTER = re.compile(r"heat-?\s?map|\bcluster|dendrogram|hierarchical", re.IGNORECASE)
_QC = re.compile(
    (
        r"\bqc\b|quality|\boutliers?\b|sample swaps?|\bswapped\b|mislabel|library sizes?|sequencing depth"
        r"|\bsanity\b|are (all )?the (samples|replicates) (ok|good|fine|consistent)"
    ),
    re.IGNORECASE,
)
_OTHER = re.compile(
    (
        r"\b(pathways?|gene ontology|go terms?|enrich|gsea|kegg|reactome|survival|kaplan|splic|isoform|transcript "
        r"usage|fusion|variants?|snps?|mutation calling|wgcna|network|trajectory|pseudotime"
        r"|cell types? composition|deconvol)"
    ),
    re.IGNORECASE,
)


def kind_of(question: str) -> AnalysisKind | None:
    """The kind of analysis the sentence asks for; None if it says nothing of one."""
    differential = bool(_DIFFERENTIAL.search(question))
    if _PCA.search(question):
        strong = re.search(
            r"differential|\bdegs?\b|up-?\s?regulated|down-?\s?regulated|which genes", question, re.IGNORECASE
        )
        return "differential_expression" if strong else "pca"
    if _CLUSTER.search(question):
        strong = re.search(
            r"differential|\bdegs?\b|up-?\s?regulated|which genes (are|change|differ|respond)", question, re.IGNORECASE
        )
        return "differential_expression" if strong else "clustering"
    if _QC.search(question) and not re.search(r"which genes|differential", question, re.IGNORECASE):
        return "sample_qc"
    return "differential_expression" if differential else None


def other_kind(question: str) -> str | None:
    """Something asked for that no analysis here answers ("pathways")."""
    found = _OTHER.search(question)
    return found.group(0) if found else None


# Possessive, so that a long row of signs is read once.
_BELOW = r"(?:of|at|below|under|<=|<|≤|=|is|less than|smaller than|cut-?off|threshold|:|\s)*+"
_ABOVE = (
    r"(?:of|at least|above|over|greater than|more than|larger than|exceeding|>=|>|≥|=|is|threshold|cut-?off|:|\s)*+"
)
_LFC = r"\|?\s*(?:log2?\s*[-_ ]?(?:fold[- ]?change|fc)|lfc|l2fc|log2foldchange)s?\s*\|?"
_ADJUSTED = (
    r"fdr|false discovery rate|alpha|α|padj|p\.?adj(?:usted)?|adj(?:usted)?\.?\s*p(?:\.?[- ]?val(?:ue)?s?)?"
    r"|q(?:[- ]?values?)?|significance(?: level)?"
)


def alpha_of(question: str) -> float | None:
    """The false discovery rate the sentence sets: "FDR 1%", "padj < 0.01", "at the 5 % level"."""
    for pattern in (
        rf"{_NUMBER}\s*(?:%|percent|per cent)\s*(?:fdr|false discovery|significance|level)",
        rf"(?<![A-Za-z])(?:{_ADJUSTED}){_BELOW}{_NUMBER}\s*(?:%|percent|per cent)",
    ):
        found = re.search(pattern, question, re.IGNORECASE)
        if found:
            return _alpha(_number(found.group(1)) / 100)
    plain = rf"(?<![A-Za-z])(?:{_ADJUSTED}|p(?:[- ]?values?)?){_BELOW}{_NUMBER}(?!\s*-?\s*fold)"
    for found in re.finditer(plain, question, re.IGNORECASE):
        value = _number(found.group(1))
        if 0 < value < 1:
            return value
    return None


def _alpha(value: float) -> float | None:
    return value if 0 < value < 1 else None


def lfc_of(question: str) -> float | None:
    """The least |log2 fold change| the sentence sets: "at least two-fold" is 1."""
    within = re.search(rf"(?:{_LFC}|fold[- ]?changes?){_ABOVE}log_?2?\s*\(\s*{_NUMBER}\s*\)", question, re.IGNORECASE)
    if within:
        return math.log2(_number(within.group(1))) if _number(within.group(1)) > 1 else None
    share = re.search(rf"(?:fold[- ]?)?change\w*{_ABOVE}{_NUMBER}\s*(?:%|percent|per cent)", question, re.IGNORECASE)
    if share and not re.match(r"\s*(?:fdr|false|signif|level)", question[share.end() :], re.IGNORECASE):
        return math.log2(1 + _number(share.group(1)) / 100)
    log2 = re.search(rf"(?:{_LFC}){_ABOVE}{_NUMBER}", question, re.IGNORECASE)
    if log2:
        return _number(log2.group(1))
    words = "|".join(_FRACTIONS)
    fold = re.search(rf"(?:(?<![\w.]){_NUMBER}|\b({words}))\s*(?:-|\s|×|x)*+fold\b", question, re.IGNORECASE)
    if fold is None:
        fold = re.search(rf"fold[- ]?changes?{_ABOVE}(?:{_NUMBER}|\b({words}))", question, re.IGNORECASE)
    if fold:
        times = _number(fold.group(1)) if fold.group(1) else _FRACTIONS[fold.group(2).lower()]
        return math.log2(times) if times > 1 else None
    if re.search(
        r"\b(at least|more than) (double|doubled|halved)\b|\b(at least|more than) twice\b", question, re.IGNORECASE
    ):
        return 1.0
    return None


def _number(text: str) -> float:
    return float(text.replace(",", "."))


@dataclass(frozen=True)
class Phrase:
    """A phrase of the question: what it is, and where what it speaks of stands (character offsets)."""

    kind: str  # "adjust", "ignore", "exclude"
    start: int
    end: int


_STOP = (
    r"(?=[,;.?!]|\s(?:which|what|find|show|list|are|is|do|does|with|at|using|fdr|and (?:which|what|find"
    r"|show|list)|when|while)\b|$)"
)
_PHRASES: tuple[tuple[str, str], ...] = (
    (
        "ignore",
        (
            rf"\b(?:ignor(?:e|ing)|regardless of|irrespective of|not (?:adjust|correct|control|account)\w* for"
            rf"|without (?:adjust|correct|control|account)\w* for|disregard\w*|no (?:adjustment|correction) for)"
            rf"\s+(.+?){_STOP}"
        ),
    ),
    (
        "adjust",
        (
            r"\b(?:adjust(?:ed|ing|s)?|control(?:led|ling|s)?|correct(?:ed|ing|s)?|account(?:ed|ing|s)?|allow(?:ed"
            r"|ing|s)?|compensat(?:ed|ing|e))\s+for\s+(?:the\s+|any\s+)?(.+?)"
        )
        + _STOP,
    ),
    ("adjust", r"\btak(?:e|ing|en)\s+(?:the\s+)?(.+?)\s+into\s+account"),
    (
        "adjust",
        (
            r"\b(?:block(?:ed|ing)?\s+(?:on|by|for)|paired\s+(?:by|within|on|per)|pair(?:ed|ing)?\s+(?:by|within)"
            r"|matched\s+(?:by|on|for)|stratif\w+\s+(?:by|on)|within\s+(?:each|every|the same)"
            r"|remov\w+\s+(?:the\s+)?effects?\s+of|regress\w*\s+out)\s+(?:the\s+)?(.+?)"
        )
        + _STOP,
    ),
    ("adjust", r"\bgiven\s+(?:the\s+)?((?:pairing|batch|donor|patient)\w*)"),
    (
        "exclude",
        (
            r"\b(?:exclud(?:e|es|ing|ed)|leav(?:e|ing)\s+out|omit(?:ting)?|drop(?:ping)?|remov(?:e|ing)|without"
            r"|except(?:\s+for)?|but\s+not)\s+(?:the\s+)?(?:samples?\s+|replicates?\s+)?(.+?)"
        )
        + _STOP,
    ),
)


def phrases_of(question: str) -> list[Phrase]:
    """Phrases that adjust, ignore or leave out, first come first; a later one never overlaps an earlier kind."""
    found: list[Phrase] = []
    for kind, pattern in _PHRASES:
        for match in re.finditer(pattern, question, re.IGNORECASE):
            start, end = match.span(1)
            if not any(other.start < end and start < other.end for other in found):
                found.append(Phrase(kind, start, end))
    return found


def wants_pairing(question: str) -> bool:
    """The sentence says that samples are paired, without naming by what."""
    return bool(
        re.search(
            (
                r"\bpaired\b(?![ -]?(?:end|read))|\bmatched pairs?\b|\bpairwise samples\b|\bmatched (?:samples"
                r"|normals?|controls?)\b"
            ),
            question,
            re.IGNORECASE,
        )
    )


_INTERACTION = re.compile(
    r"\binteract(?:s|ion|ions)?\b"
    r"|\bdiffer\w*\s+(?:of|in)\s+(?:the\s+)?.{0,60}?(?:effects?|responses?|induction|associations?|slopes?)\b"
    r"|\b(?:effects?|responses?|induction|associations?|correlations?|relations?(?:hips?)?|slopes?)\b.{0,80}?\b(?:differ(?:s|ent)?|depends?|dependent|var(?:y|ies)|change[sd]?"
    r"|modif\w+|stronger|weaker|larger|smaller|greater)\b.{0,40}?\b(?:between|on|upon|by|across|in|with|than|over)\b"
    r"|\b(?:respond|react|chang)\w*\b[^,;.?]{0,40}\bdifferently\b|\bdifferent(?:ly|ial)?\s+(?:respon\w+|effects?)\b"
    r"|(?<!dose[- ])(?<!time[- ])\b(?:dependent|specific|selective)\s+(?:effects?|respons\w+|changes?|induction)\b"
    r"|\b(?:effects?|responses?|induction)\b[^.;?]{0,40}?(?<!dose)(?<!time)[- ](?:specific|dependent|selective)\b"
    r"|\bmodif(?:y|ies|ied)\s+the\s+(?:effect|response)\b"
    r"|\b(?:affect|influenc|alter|induc|regulat|behav)\w*\b[^,;.?]{0,40}\bdifferently\b"
    r"|\b(?:the|whose|this|their)\s+(?:[\w-]+\s+){0,4}?(?<!that\s)(?<!which\s)(?<!genes\s)changes?\b[^.;?]{0,60}\bdiffer"
    r"(?:s|ent)?\b.{0,40}\b(?:between|by|across|in|with|from)\b"
    r"|\b(?:affect|respond|react|chang|regulat)\w*\s+differently\b|\bdifferently\s+(?:affected|regulated"
    r"|changed|respond\w*)\b",
    re.IGNORECASE,
)
_HOW = re.compile(
    r"\bdifferences?\b[^.;?]{0,60}\b(?:increas|decreas|grow|shrink|widen|chang|depend|var)\w*\s+(?:with|on|over|across|by)\b"
    r"|\b(?:effects?|responses?|induction)\b[^.;?]{0,60}\b(?:the\s+same|similar|equal|alike|identical|consistent)\b"
    r"[^.;?]{0,20}\b(?:in|between|across|for|at)\b|"
    r"\b(?:respond|react|chang|matter)\w*\s+(?:\w+\s+)?(?:more|less|better|worse|stronger|weaker)\b[^.?!]{0,60}"
    r"\b(?:than|compared|versus|vs)\b"
    r"|\b(?:stronger|weaker|larger|smaller|greater|bigger|reduced|altered|different|enhanced|blunted|impaired)"
    r"\s+(?:\w+\s+)?(?:respons|effect|induction)\w*"
    r"|\b(?:blunt|attenuat|enhanc|potentiat|abolish|prevent|rescu|revers|amplif|dampen|exacerbat|impair|weaken|strengthen)"
    r"\w*\s+(?:the\s+)?(?:[\w-]+\s+){0,3}?(?:respons|effect|induction)\w*"
    r"|\bchanges?\s+from\b.{0,60}\bdiffers?\b|\b(?:act|behav)\w*\s+differently\b|\bdifferen\w+\s+in\s+how\b",
    re.IGNORECASE,
)


def wants_interaction(question: str) -> bool:
    """The sentence asks whether one factor changes the effect of another."""
    return bool(_INTERACTION.search(question) or _HOW.search(question))
