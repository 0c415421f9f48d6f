"""The samples of a GEO series as a clean table: characteristics, titles and source names to factors.

Every doubt is a caution: titles against sources, mixed assays and organisms, samples without values, repeated runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from desktop.studios.omics.errors import NothingAnalysableError, SamplesDoNotMatchError
from desktop.studios.omics.schema import Caution, Reason, SampleTable
from desktop.studios.omics.sources.sample_sheet import Joined
from desktop.studios.omics.sources.soft import GeoSample, GeoSeries
from desktop.studios.omics.steps.factors import factors_of, partition
from desktop.studios.omics.steps.sample_match import Match, match_samples
from desktop.studios.omics.steps.sample_table import factors_from_names, make_sample_table
from desktop.studios.omics.steps.vocabulary import fold, vocabulary, words

_BULK_RNA = ("", "rna-seq", "ncrna-seq", "mirna-seq", "ssrna-seq", "other", "est", "fl-cdna")


def join_geo(
    names: Sequence[str],
    series: GeoSeries,
    run_table: Mapping[str, Sequence[str]] | None,
    *,
    counts: str,
    are_cells: bool = False,
) -> tuple[Joined, list[Reason]]:
    """Pair the columns of an expression table with the samples of the series and describe them.

    are_cells   the table was made of single cells, so samples of single cells belong to it
    run_table   columns of an SRA run table, to get from runs to samples
    raises      SamplesDoNotMatchError, NothingAnalysableError (no sample of a bulk RNA assay)
    """
    samples = list(series.samples.values())
    match, rows = _match(names, samples, run_table)
    if match is None:
        raise SamplesDoNotMatchError(
            f"The columns of {counts} ({_some(names)}) cannot be matched to the samples of {series.accession} by name.",
            hint=(
                "Give a table of samples that says which column is which sample (for runs such as SRR…, the "
                "SRA run table)."
            ),
            columns=list(names)[:50],
            samples=[f"{sample.accession} {sample.title}" for sample in samples[:50]],
        )
    cautions: list[Caution] = []
    if match.is_proposed:
        pairs = ", ".join(f"{names[at]} = {samples[row].title}" for at, row in list(match.pairs.items())[:8])
        text = (
            f"Columns of {counts} were matched to samples by {match.by}: {pairs}. Confirm this, or give a "
            f"table of samples."
        )
        cautions.append(Caution(code="omics.samples_do_not_match", text=text, blocks=True))
    kept = _assay_gate(sorted(match.pairs), match, samples, cautions, are_cells=are_cells)
    _say_unmatched(names, match, samples, counts, cautions)
    chosen = [samples[match.pairs[at]] for at in kept]
    columns = _columns(chosen)
    if rows is not None and run_table is not None:
        _add_run_columns(columns, run_table, [rows[at] for at in kept])
    reasons = _add_derived(columns, chosen, cautions)
    table = make_sample_table([names[at] for at in kept], columns)
    _say_conflicts(table, chosen, cautions)
    by = f"Columns were matched to the samples of {series.accession} by {match.by} ({match.label})."
    reasons.insert(0, Reason(about="samples", text=by, by="rule:sample_match"))
    return Joined(table, kept, cautions, match), reasons


def _labels(samples: Sequence[GeoSample]) -> dict[str, list[str]]:
    labels = {
        "geo_accession": [s.accession for s in samples],
        "title": [s.title for s in samples],
        "experiment": [s.linked("SRX") or s.linked("ERX") or s.linked("DRX") for s in samples],
        "biosample": [s.linked("SAM") for s in samples],
        "source_name": [s.source_name for s in samples],
    }
    most = max((len(s.description.split("\n")) for s in samples), default=0)
    for line in range(min(most, 6)):
        labels[f"description {line + 1}"] = [(s.description.split("\n")[line : line + 1] or [""])[0] for s in samples]
    labels["description value"] = [re.sub(r"^[^:=]{1,40}[:=]\s*", "", s.description.split("\n")[0]) for s in samples]
    for number in range(min(3, max((len(s.files) for s in samples), default=0))):
        labels[f"file {number + 1}"] = [
            re.sub(r"^GSM\d+_", "", (s.files[number : number + 1] or [""])[0]).split(".")[0] for s in samples
        ]
    for key in dict.fromkeys(key for s in samples for key, _ in s.characteristics if key):
        labels.setdefault(key, [next((value for name, value in s.characteristics if name == key), "") for s in samples])
    return labels


def _match(
    names: Sequence[str], samples: Sequence[GeoSample], run_table: Mapping[str, Sequence[str]] | None
) -> tuple[Match | None, dict[int, int] | None]:
    """Column → sample, directly or through the run table; and column → row of the run table where that was the way."""
    direct = match_samples(names, _labels(samples))
    if direct is not None and not direct.is_proposed and len(direct.pairs) >= max(2, 0.5 * len(names)):
        return direct, None
    if run_table:
        by_run = match_samples(names, run_table)
        if by_run is not None and not by_run.is_proposed:
            place = {sample.accession: at for at, sample in enumerate(samples)}
            links = {
                label: {at: place[values[row]] for at, row in by_run.pairs.items() if values[row] in place}
                for label, values in run_table.items()
            }
            label, pairs = max(links.items(), key=lambda item: len(item[1]), default=("", {}))
            if len(pairs) >= 2:
                rows = set(pairs.values())
                lone = [at for at in range(len(names)) if at not in pairs]
                found = Match(
                    pairs,
                    f"the run table ({by_run.label} to {label})",
                    by_run.label,
                    False,
                    lone,
                    [at for at in range(len(samples)) if at not in rows],
                )
                return found, by_run.pairs
    if direct is not None and len(direct.pairs) >= 2:
        return direct, None
    return None, None


def _assay_gate(
    kept: list[int], match: Match, samples: Sequence[GeoSample], cautions: list[Caution], *, are_cells: bool
) -> list[int]:
    """Keep samples of one organism and of RNA, bulk where the table is; say which were left out and why."""
    wrong = [at for at in kept if samples[match.pairs[at]].strategy.lower() not in _BULK_RNA]
    single = [at for at in kept if not are_cells and "single cell" in samples[match.pairs[at]].library_source.lower()]
    if len(wrong) == len(kept) or (kept and len(single) == len(kept)):
        assay = "single-cell RNA" if single else samples[match.pairs[kept[0]]].strategy
        raise NothingAnalysableError(
            f"The samples are {assay}, not bulk RNA.",
            hint=(
                "Differential expression here is for bulk RNA; single cells need their counts summed per sample first."
            ),
            assays=dict(Counter(sample.strategy for sample in samples)),
        )
    kinds = Counter(samples[match.pairs[at]].strategy.lower() for at in kept if at not in {*wrong, *single})
    small = {"mirna-seq", "ncrna-seq"}
    if small & set(kinds) and set(kinds) - small - {""}:  # small RNA beside messenger RNA: two assays
        use_small = sum(kinds[kind] for kind in small) > sum(n for kind, n in kinds.items() if kind not in small)
        wrong += [at for at in kept if (samples[match.pairs[at]].strategy.lower() in small) != use_small]
    gone = {*wrong, *single}
    if gone:
        text = (
            f"{len(gone)} sample(s) of another assay are left out: "
            f"{_some([samples[match.pairs[at]].title for at in sorted(gone)])}."
        )
        cautions.append(Caution(code="omics.mixed_assays", text=text))
        kept = [at for at in kept if at not in gone]
    organisms = Counter(samples[match.pairs[at]].organism for at in kept)
    if len(organisms) > 1:
        (first, count), (_, second) = organisms.most_common(2)
        text = (
            f"The samples are of {len(organisms)} organisms "
            f"({', '.join(f'{name}: {n}' for name, n in organisms.items())}); only {first} is used."
        )
        cautions.append(Caution(code="omics.mixed_organisms", text=text, blocks=count == second))
        kept = [at for at in kept if samples[match.pairs[at]].organism == first]
    return kept


def _say_unmatched(
    names: Sequence[str], match: Match, samples: Sequence[GeoSample], counts: str, cautions: list[Caution]
) -> None:
    columns = [names[at] for at in match.unmatched_columns]
    if columns:
        rest = [samples[row].accession for row in match.unmatched_rows]
        text = (
            f"{len(columns)} column(s) of {counts} belong to no sample of the series and are left out: "
            f"{_some(columns)}."
        )
        if rest:
            text += f" Samples without a column: {_some(rest)}."
        cautions.append(Caution(code="omics.samples_unmatched", text=text, blocks=bool(rest)))
    elif match.unmatched_rows:
        missing = [f"{samples[row].accession} ({samples[row].title})" for row in match.unmatched_rows]
        cautions.append(
            Caution(
                code="omics.samples_unmatched",
                text=f"{len(missing)} sample(s) of the series have no column in {counts}: {_some(missing)}.",
            )
        )


def _columns(samples: Sequence[GeoSample]) -> dict[str, list[str]]:
    """Accession, title, then a column for each key of the characteristics; a key repeated in a sample is numbered."""
    found: dict[str, dict[int, str]] = {}
    label: dict[str, str] = {}
    for at, sample in enumerate(samples):
        seen: Counter[str] = Counter()
        for key, value in sample.characteristics:
            base = fold(key) or "characteristic"
            seen[base] += 1
            name = base if seen[base] == 1 else f"{base} {seen[base]}"
            label.setdefault(
                name, key or "characteristic" if seen[base] == 1 else f"{key or 'characteristic'} {seen[base]}"
            )
            found.setdefault(name, {})[at] = value
    columns = {"geo_accession": [s.accession for s in samples], "title": [s.title for s in samples]}
    for name, values in found.items():
        columns[label[name]] = [values.get(at, "") for at in range(len(samples))]
    platforms = [s.platform for s in samples]
    if len(set(platforms)) > 1 and all(platforms):  # sequenced on several machines: a batch
        columns["platform"] = platforms
    sources = [s.source_name for s in samples]
    if len(set(sources)) > 1:
        columns["source_name"] = sources
    owners = [s.linked("SAM") for s in samples]
    if all(owners) and len(set(owners)) < len(owners):  # several records of one biological sample
        columns["biosample"] = owners
    return columns


def _add_run_columns(
    columns: dict[str, list[str]], run_table: Mapping[str, Sequence[str]], rows: Sequence[int]
) -> None:
    shapes = {partition(values) for values in columns.values()}
    for label, values in run_table.items():
        picked = [values[row] for row in rows]
        if partition(picked) not in shapes and 1 < len(set(picked)) < len(picked) and label not in columns:
            shapes.add(partition(picked))
            columns[label] = picked


def _add_derived(columns: dict[str, list[str]], samples: Sequence[GeoSample], cautions: list[Caution]) -> list[Reason]:
    """Where no characteristic tells groups, read them from titles, then from source names."""
    plain = {name: values for name, values in columns.items() if name != "source_name"}
    found = factors_of(make_sample_table([s.accession for s in samples], plain))
    if any(f.role == "group" and 1 < f.n_levels <= len(samples) / 2 for f in found.values()):
        return [
            Reason(
                about="samples", text="Groups come from the characteristics of the samples.", by="rule:characteristics"
            )
        ]
    for what, texts in (("titles", [s.title for s in samples]), ("source names", [s.source_name for s in samples])):
        derived = factors_from_names(texts)
        derived.pop("replicate", None)
        if not derived:
            continue
        for name, values in derived.items():
            columns[name if name not in columns else f"{name} in {what}"] = values
        text = f"The characteristics do not tell groups; they were read from the {what} of the samples."
        return [Reason(about="samples", text=text, by=f"rule:{what.replace(' ', '_')}")]
    return [
        Reason(about="samples", text="Neither characteristics, titles nor source names tell groups.", by="rule:titles")
    ]


def _say_conflicts(table: SampleTable, samples: Sequence[GeoSample], cautions: list[Caution]) -> None:
    """A sample whose title or source names another group than its characteristics do."""
    found = factors_of(table)
    doubtful: list[str] = []
    for name, factor in found.items():
        if factor.role not in ("group", "sex") or not 2 <= factor.n_levels <= 8 or name == "source_name":
            continue
        keys = _distinctive(list(table.levels(name)))
        for at, sample in enumerate(samples):
            own = table.factors[name][at]
            for what, text in (("title", sample.title), ("source name", sample.source_name)):
                named = _levels_in(text, keys)
                if named and own not in named:
                    doubtful.append(f"{sample.accession}: {name} is {own!r}, its {what} is {text!r}")
    sides = [(_side(sample.title), _side(sample.source_name)) for sample in samples]
    doubtful += [
        f"{s.accession}: title {s.title!r}, source name {s.source_name!r}"
        for s, (one, other) in zip(samples, sides, strict=True)
        if one and other and one != other
    ]
    if doubtful:
        cautions.append(
            Caution(
                code="omics.labels_conflict",
                text=(
                    f"The labels of {len(doubtful)} sample(s) contradict each other: "
                    f"{'; '.join(dict.fromkeys(doubtful[:5]))}. Check them."
                ),
                blocks=True,
            )
        )


_DISEASED = {
    "tumor",
    "tumour",
    "cancer",
    "carcinoma",
    "tumoral",
    "adenocarcinoma",
    "malignant",
    "melanoma",
    "sarcoma",
    "glioma",
    "glioblastoma",
    "lymphoma",
    "leukemia",
    "hcc",
    "metastasis",
    "metastatic",
}
_HEALTHY = {"normal", "healthy", "nontumor", "nontumour", "noncancerous", "benign", "nonmalignant", "adjacent"}


def _side(text: str) -> str:
    """ "diseased" or "healthy" where the words are plain and of one kind; "" otherwise."""
    joined = re.sub(r"\b(non|not)[ -]?(tumou?r\w*|cancer\w*|malignant|diseased)", "nontumor", text.lower())
    found = set(words(joined))
    ill, well = bool(found & _DISEASED), bool(found & _HEALTHY)
    return "" if ill == well else "diseased" if ill else "healthy"


def _distinctive(levels: Sequence[str]) -> dict[str, set[str]]:
    """Level → its words that no other level has."""
    counts = Counter(word for level in levels for word in set(words(level)))
    return {
        level: {word for word in words(level) if counts[word] == 1 and not word.isdigit() and _tells(word)}
        for level in levels
    }


def _tells(word: str) -> bool:
    """Long enough to mean the level wherever it stands, or one of the short words that do ("wt", "ko")."""
    known = vocabulary()
    return len(word) > 2 or (len(word) == 2 and (known.has("control_levels", word) or known.has("treated_words", word)))


def _levels_in(text: str, keys: Mapping[str, set[str]]) -> set[str]:
    present = set(words(re.sub(r"\b(non|not|un)[ -](?=\w)", "non", text.lower())))
    return {level for level, distinct in keys.items() if distinct & present}


def _some(items: Sequence[str], most: int = 6) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
