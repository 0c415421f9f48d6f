"""Sentences that ask how expression changes with a measurement: "associated with age", "correlate with dose".

Answers with a contrast without levels: the log2 fold change per unit. A sentence that names levels asks for those.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from desktop.studios.omics.schema import Caution, Contrast, Reason, SampleTable
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps.contrasts import unit_in_words
from desktop.studios.omics.steps.design_matrix import to_number
from desktop.studios.omics.steps.direction import Comparison
from desktop.studios.omics.steps.factors import Factor
from desktop.studios.omics.steps.mentions import Mention
from desktop.studios.omics.steps.places import named_places

_ASKED = re.compile(
    r"\bassociat\w+|\bcorrelat\w+|\blinear\w*|\btrends?\b|\bas a function of\b|\bper\s+(?:additional\s+|extra\s+)?"
    r"(?:unit|year|month|week|day|hour|minute|mg|[uµμ]g|ng|[nuµμm]m|point|kg)\b|\bscales?\s+with\b|\bproportional\b|\bcontinuous\w*"
    r"|\bquantitative\w*|\bgradient\b|\bdose[- ](?:dependent\w*|response)\b|\bregress(?:ed|ion|ing)?\s+(?:on|against)\b"
    r"|\b(?:increas|decreas|ris|declin|fall|grow|climb|drop)\w*\s+(?:steadily\s+|linearly\s+|gradually\s+)?with\b"
    r"|\bwith\s+(?:increasing|rising|growing|higher|advancing|decreasing|falling)\b|\btracks?\s+(?:with\s+)?\b"
    r"|\bpredict\w*\b|\bslopes?\b|\bthe\s+(?:more|higher|older)\b",
    re.IGNORECASE,
)
_PER = re.compile(r"\bper\s+(?:additional\s+|extra\s+|one\s+)?([a-zA-Zµμ%]+(?:\s*/\s*[a-zA-Z]+)?)", re.IGNORECASE)
_MANY_FOLD = 20.0  # from the smallest to the largest value above zero


def wants_slope(question: str) -> bool:
    """The sentence's words ask for a change with an amount."""
    return _ASKED.search(question) is not None


def find_slope(
    question: str, samples: SampleTable, factors: dict[str, Factor], mentions: Sequence[Mention]
) -> Comparison | None:
    """The change per unit of a measurement that the sentence names; None if it asks for something else.

    A factor with many different numbers is one without further words; one with a few levels needs them.
    """
    open_ones = [
        name
        for name, factor in factors.items()
        if factor.role not in ("constant", "identity", "pairing", "replicate", "batch")
        and facts.is_measured([value for value in samples.factors[name] if value])
    ]
    named = [m for m in mentions if m.factor in open_ones]
    doses = [name for name in open_ones if re.search(r"dose|conc", name, re.IGNORECASE)]
    if not named and len(doses) == 1 and (asked := re.search(r"\bdose[- ](?:depend|respon)", question, re.IGNORECASE)):
        named = [Mention(doses[0], None, 0, 0, *asked.span(), 1.5)]
    if not named and (per := _PER.search(question)):
        unit = per[1].lower().replace(" ", "").rstrip("s")
        units = {name: unit_in_words(name, samples).partition(" of ")[0].lower().rstrip("s") for name in open_ones}
        measured = [name for name, one in units.items() if unit in (one, name.lower().rstrip("s"))]
        named = [Mention(name, None, 0, 0, *per.span(), 1.5) for name in measured] if len(measured) == 1 else []
    with_levels = {m.factor for m in mentions if m.level is not None and m.strength >= 1.8}
    asks = wants_slope(question)
    for mention in sorted(named, key=lambda m: -m.strength):
        name = mention.factor
        if mention.level is not None or name in with_levels or mention.strength < 1.0:
            continue
        if factors[name].role != "numeric" and not (asks and factors[name].n_levels > 2):
            continue
        if not asks and any(_is_compared(question, m) for m in mentions if m.factor != name):
            continue  # "treated vs control … age": what is compared has levels
        unit = unit_in_words(name, samples)
        text = f"The sentence asks how expression changes with {name}: the log2 fold change per {unit}."
        keep, reasons = named_places(mentions, [name], samples, factors)
        reasons.insert(0, Reason(about="contrast", text=text, by="rule:measurement"))
        said = [(mention.start, mention.end)]
        return Comparison(Contrast(factor=name), keep, reasons, _uneven(name, samples), spans=said)
    return None


def _is_compared(question: str, mention: Mention) -> bool:
    """A level that does not only say where to look ("in females")."""
    before = question[: mention.start]
    is_place = re.search(r"\b(?:in|among|within|for|of|only)\s+(?:the\s+|only\s+)?$", before, re.IGNORECASE)
    return mention.level is not None and is_place is None


def _uneven(name: str, samples: SampleTable) -> list[Caution]:
    """Values that rise by factors: a straight line leans on the largest."""
    above = sorted(number for number in map(to_number, samples.factors[name]) if number > 0)
    if not above or above[-1] / above[0] < _MANY_FOLD:
        return []
    text = (
        f"{name} spans from {above[0]:g} to {above[-1]:g}, and a straight line over it leans on the largest values. If "
        "its logarithm is meant, add a column with it; if each level is, ask for each level against the lowest."
    )
    return [Caution(code="omics.uneven_measurement", text=text)]
