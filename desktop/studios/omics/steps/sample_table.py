"""A clean table of samples: factor names made fit for a formula, and factors read out of the samples' names.

Values stay as written; what a factor is good for is decided in `factors`.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Mapping, Sequence

from desktop.studios.omics.schema import SampleTable
from desktop.studios.omics.steps.vocabulary import vocabulary

_RESERVED = {
    "C",
    "Q",
    "I",
    "S",
    "T",
    "NA",
    "Intercept",
    "intercept",
    "bs",
    "cr",
    "poly",
    "center",
    "scale",
    "log",
    "exp",
    "sample",
}
_GREEK = str.maketrans({"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "κ": "kappa", "µ": "u", "μ": "u"})


def factor_name(label: str) -> str:
    """The label as a name a formula can hold: "cell line (ATCC)" → "cell_line_ATCC"."""
    plain = unicodedata.normalize("NFKD", label.strip().translate(_GREEK)).encode("ascii", "ignore").decode()
    name = re.sub(r"[^0-9A-Za-z]+", "_", plain).strip("_") or "factor"
    if name[0].isdigit():
        name = f"f_{name}"
    if keyword.iskeyword(name) or name in _RESERVED:
        name = f"{name}_"
    return name


def make_sample_table(samples: Sequence[str], columns: Mapping[str, Sequence[str]]) -> SampleTable:
    """A sample table with names fit for formulas; columns with no value in any sample are left out."""
    factors: dict[str, list[str]] = {}
    for label, values in columns.items():
        cleaned = [value.strip() for value in values]
        if not any(cleaned):
            continue
        name = base = factor_name(label)
        number = 2
        while name in factors:
            if factors[name] == cleaned:
                break
            name = f"{base}_{number}"
            number += 1
        factors[name] = cleaned
    return SampleTable(samples=list(samples), factors=factors)


_REPLICATE = re.compile(
    r"(?:biological |technical |bio |tech )?(?:replicates?|repl?|biorep|n|r|br|tr|#)[ ._-]*#?(\d{1,3}|[a-d])",
    re.IGNORECASE,
)


_PARTS = re.compile(  # not the strokes of "+/+" and "-/-"
    r"(?:[\s,;:()\[\]|]|(?<![+-])/)+|[._](?!\d)|(?<!\d)\.|--+|_|(?<=[A-Za-z])-(?=[A-Z])|-(?=\d+$)"
)


def split_name(name: str) -> tuple[list[str], str]:
    """The words of a sample's name and its replicate mark: "control_Rep1" → (["control"], "1")."""
    text = name.strip()
    replicate = ""
    match = re.search(rf"(?:^|[\s._,;:(\[-]){_REPLICATE.pattern}(?=$|[\s._,;:)\]-])", text, re.IGNORECASE)
    if match is None:
        match = re.search(r"(?<=[A-Za-z0-9])(?:[Rr]ep|REP|[Rr]eplicate)[ ._-]?(\d{1,3})(?=$|[^A-Za-z0-9])", text)
    if match:
        replicate = match.group(1)
        text = text[: match.start()] + " " + text[match.end() :]
    else:
        match = re.search(r"(?:(?<=[A-Za-z)\]])|(?<!/)[\s._#-]+)(\d{1,2})(?=$|\s*[(\[])", text)
        if match and match.start() > 0:
            replicate = match.group(1)
            text = text[: match.start()] + " " + text[match.end() :]
    parts = [part for part in _PARTS.split(text) if part.strip("-._#+ ")]
    return [part.strip("._ ") for part in parts], replicate


def factors_from_names(names: Sequence[str]) -> dict[str, list[str]]:
    """Factors read from samples' names or titles.

    Words that stand in all names are passed over; a replicate mark is told apart; the rest makes "condition", or
    several factors where the names have the same number of words and more than one place varies.
    returns   factor → one value a sample; empty if the names tell nothing (all alike, or all different)
    """
    split = [split_name(name) for name in names]
    parts = [words for words, _ in split]
    replicates = [mark for _, mark in split]
    found: dict[str, list[str]] = {}
    common = set(parts[0]).intersection(*map(set, parts[1:])) if parts else set()
    varying = [[word for word in words if word not in common] for words in parts]
    technical = _technical(varying)
    if technical is not None:
        found["type"] = technical
        varying = [[word for word in words if word not in set(technical)] for words in varying]
    lengths = {len(words) for words in varying}
    if len(lengths) == 1 and 2 <= next(iter(lengths)) <= 4:
        places = [[words[at] for words in varying] for at in range(next(iter(lengths)))]
        useful = [place for place in places if 1 < len(set(place)) < len(names)]
        if len(useful) == len(places) and _distinct_partitions(useful):
            for number, place in enumerate(useful):
                found[_named(place, number, useful, parts)] = place
        elif useful:
            joined = ["_".join(words) for words in varying]
            if 1 < len(set(joined)) < len(names):
                found["condition"] = joined
            else:
                for number, place in enumerate(_distinct(useful)):
                    found[_named(place, number, useful, parts)] = place
    else:
        joined = ["_".join(words) for words in varying]
        if any(joined) and 1 < len(set(joined)) < len(names):
            found["condition"] = [value or "rest" for value in joined]
    if found and any(replicates) and len(set(replicates)) > 1:
        found["replicate"] = [mark or "1" for mark in replicates]
    return {name: values for name, values in found.items() if len(set(values)) > 1}


def _technical(varying: Sequence[Sequence[str]]) -> list[str] | None:
    """One technical word a sample (single-read, paired-end), at least two different ones."""
    words = vocabulary()
    picked = [[word for word in sample if words.has("technical_levels", word)] for sample in varying]
    if any(len(found) != 1 for found in picked):
        return None
    values = [found[0] for found in picked]
    return values if len(set(values)) > 1 else None


def _partition(values: Sequence[str]) -> tuple[int, ...]:
    order: dict[str, int] = {}
    return tuple(order.setdefault(value, len(order)) for value in values)


def _distinct_partitions(places: Sequence[Sequence[str]]) -> bool:
    return len({_partition(place) for place in places}) == len(places)


def _distinct(places: Sequence[list[str]]) -> list[list[str]]:
    seen: dict[tuple[int, ...], list[str]] = {}
    for place in places:
        seen.setdefault(_partition(place), place)
    return list(seen.values())


def _named(place: Sequence[str], number: int, places: Sequence[Sequence[str]], parts: Sequence[Sequence[str]]) -> str:
    """`_place_name`; a bare number is what the word before it says ("patient 3"), else a replicate's number."""
    if not all(re.fullmatch(r"\d{1,3}", value) for value in place):
        return _place_name(place, number, places)
    at = list(parts[0]).index(place[0])
    before = parts[0][at - 1].lower() if at else ""
    return (
        before if vocabulary().has("pairing_names", before) or vocabulary().has("batch_names", before) else "replicate"
    )


def _place_name(place: Sequence[str], number: int, places: Sequence[Sequence[str]]) -> str:
    """What a varying word of the names is called: "condition" for the one with a control word, else by its place."""
    words = vocabulary()
    ranks = [[r for value in set(other) if (r := words.rank("control_levels", value)) is not None] for other in places]
    with_control = [at for at, found in enumerate(ranks) if found]
    main = (
        min(with_control, key=lambda at: min(ranks[at]))
        if with_control
        else min(range(len(places)), key=lambda at: len(set(places[at])))
    )
    if number == main:
        return "condition"
    if sorted(set(place)) == [f"{place[0][:1]}{n}" for n in range(1, len(set(place)) + 1)]:
        return f"name_{number + 1}"  # D1, D2, D3: days or donors, who knows
    if all(re.fullmatch(r"[dDtT](ay)?\d+|\d+(h|hr|hrs|hpi|d|dpi|min|wk|w|mo)", value) for value in place):
        return "time"
    if all(words.has("sex_levels", value) for value in place):
        return "sex"
    return f"name_{number + 1}"


def subset_samples(samples: SampleTable, keep: Mapping[str, Sequence[str]]) -> SampleTable:
    """The samples whose factors have a kept level (`Plan.keep`); the key "sample" keeps samples by name."""
    kept = list(range(len(samples.samples)))
    for name, levels in keep.items():
        values = samples.samples if name == "sample" else samples.factors[name]
        kept = [at for at in kept if values[at] in levels]
    return SampleTable(
        samples=[samples.samples[at] for at in kept],
        factors={name: [values[at] for at in kept] for name, values in samples.factors.items()},
    )
