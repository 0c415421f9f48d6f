"""What kind of gene identifiers a column holds, and what a spreadsheet did to them. Maps nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from desktop.studios.omics.schema import IdType

_PATTERNS: tuple[tuple[IdType, re.Pattern[str]], ...] = (
    ("ensembl", re.compile(r"ENS[A-Z]{0,6}[GTP]\d{11}(\.\d+)?(_PAR_Y)?([|_:,;].*)?|ENS[A-Z]{0,6}G\d{11}.*")),
    ("flybase", re.compile(r"FBgn\d{7}|FBtr\d{7}")),
    ("wormbase", re.compile(r"WBGene\d{8}|[A-Z][A-Z0-9]{1,7}\.\d{1,3}[a-z]?(\.\d+)?|[2-6]?[LR]\d{1,3}\.\d{1,2}")),
    ("refseq", re.compile(r"[NX][MRP]_\d{6,9}(\.\d+)?")),
    (
        "probe",
        re.compile(
            r"\d+(_[a-z]{1,2}){0,2}_at|A_\d{2}_P\d+|ILMN_\d+|AFFX-.*|cg\d{8}|TC\d+\.hg\.\d+|\d{7,8}_st|ASHG.*|hsa-.*_st"
        ),
    ),
    ("entrez", re.compile(r"[1-9]\d{0,8}")),
    ("symbol", re.compile(r"[A-Za-z][A-Za-z0-9]{0,9}([-.@_/()'][A-Za-z0-9]{1,9}){0,3}|\d{7}[A-Z]\d{2}Rik|LOC\d{5,10}")),
)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec"
_EATEN = re.compile(
    rf"\d{{1,2}}[-/ ]({_MONTHS})([-/ ]\d{{2,4}})?|({_MONTHS})[-/ ]\d{{1,2}}([-/ ]\d{{2,4}})?"
    r"|\d{4}-\d{2}-\d{2}([T ]00:00:00)?|\d{1,2}/\d{1,2}/\d{2,4}|\d+(\.\d+)?E[+]\d+",
    re.IGNORECASE,
)


def id_type_of(ids: Sequence[str]) -> IdType:
    """The kind most of these identifiers are (at least 7 in 10); symbols also when a few look otherwise."""
    shown = [identifier.strip() for identifier in ids if identifier.strip()]
    if not shown:
        return "unknown"
    if len(shown) > 5000:
        shown = shown[:: len(shown) // 5000]
    kinds: Counter[IdType] = Counter()
    for identifier in shown:
        kinds[next((kind for kind, pattern in _PATTERNS if pattern.fullmatch(identifier)), "unknown")] += 1
    kind, count = kinds.most_common(1)[0]
    if count >= 0.7 * len(shown):
        if kind == "entrez" and len(shown) >= 50 and _is_probe_set(shown):
            return "probe"
        return kind
    if (kinds["wormbase"] + kinds["symbol"]) >= 0.7 * len(shown):
        return "wormbase" if kinds["wormbase"] > kinds["symbol"] else "symbol"
    return "unknown"


def _is_probe_set(ids: Sequence[str]) -> bool:
    """Whole numbers of seven or eight digits throughout, as Affymetrix gene arrays number their transcript clusters."""
    return sum(len(identifier) in (7, 8) for identifier in ids) > 0.95 * len(ids)


def eaten_symbols(ids: Sequence[str], *, are_symbols: bool = False) -> list[str]:
    """Identifiers a spreadsheet turned into dates or powers of ten ("1-Mar", "2-Sep", "2.31E+13"), as they stand.

    are_symbols   the others are symbols, so a number of a day since 1900 (44256) was one as well
    """

    def is_eaten(identifier: str) -> bool:
        is_day = are_symbols and bool(re.fullmatch(r"[34]\d{4}", identifier))
        return is_day or bool(_EATEN.fullmatch(identifier))

    return [identifier for identifier in ids if len(identifier) < 25 and is_eaten(identifier.strip())]


def is_date_like(ids: Sequence[str]) -> bool:
    """Most of the values are dates: not gene identifiers at all."""
    return bool(ids) and len(eaten_symbols(ids)) > 0.5 * len(ids)


def duplicated(ids: Sequence[str]) -> dict[str, int]:
    """Identifier → how often, for those that stand more than once."""
    return {identifier: count for identifier, count in Counter(ids).items() if count > 1}
