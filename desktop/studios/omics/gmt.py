"""A file of gene sets in the GMT form, read: one set a line, name, description and genes with tabs between.

Checks the form only; whether the genes are those of some table is for `gene_sets.py` to find.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from desktop.studios.omics.errors import BadGeneSetsError
from desktop.studios.omics.steps.gene_ids import id_type_of

if TYPE_CHECKING:
    from desktop.studios.omics.schema import IdType

MAX_BYTES = 64 * 1024 * 1024  # unpacked; the largest collections of public databases have a quarter of it
_ACCESSION = re.compile(r"[A-Za-z]{2,6}[:_-]?([A-Z]{3}-)?\d{4,}")
_WEIGHT = re.compile(r",-?\d+(\.\d+)?$")
_HINT = "A GMT file has one set a line: its name, a description and its genes, with tabs between them."


@dataclass(frozen=True, slots=True)
class GmtSet:
    """One set: `set_id` the first cell, `name` what a person reads, `genes` each once in the file's order."""

    set_id: str
    name: str
    genes: tuple[str, ...]


def parse_gmt(data: bytes, file: str) -> list[GmtSet]:
    """The sets of a GMT file, gzipped or not.

    raises   BadGeneSetsError: empty, too large, no text, without tabs, a set twice, no set with a gene
    """
    lines = [line for line in _text(data, file).splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise BadGeneSetsError(f"{file} is empty.", hint=_HINT, file=file)
    sets = []
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) < 2:
            raise BadGeneSetsError(f"Line {number} of {file} has no tabs.", hint=_HINT, file=file, line=line[:200])
        if not cells[0]:
            raise BadGeneSetsError(f"Line {number} of {file} has a set without a name.", hint=_HINT, file=file)
        genes = dict.fromkeys(_WEIGHT.sub("", cell) for cell in cells[2:] if cell)
        sets.append(GmtSet(cells[0], _name(cells[0], cells[1]), tuple(genes)))
    twice = [set_id for set_id, count in Counter(one.set_id for one in sets).items() if count > 1]
    if twice:
        raise BadGeneSetsError(
            f"{file} has {len(twice):,} sets more than once, such as {twice[0]!r}.",
            hint="Give each set a name of its own, or leave the repeated ones out.",
            file=file,
            sets=", ".join(twice[:20]),
        )
    sets = [one for one in sets if one.genes]
    if not sets:
        raise BadGeneSetsError(f"No set of {file} has genes.", hint=_HINT, file=file)
    return sets


def id_type_of_sets(sets: list[GmtSet]) -> IdType:
    """The kind of identifier the sets' genes are."""
    return id_type_of(list(dict.fromkeys(gene for one in sets for gene in one.genes)))


def _text(data: bytes, file: str) -> str:
    try:
        if data[:2] == b"\x1f\x8b":
            unpack = zlib.decompressobj(wbits=31)
            data, left = unpack.decompress(data, MAX_BYTES + 1), unpack.unconsumed_tail
            if not left and not unpack.eof:
                raise EOFError
        if len(data) > MAX_BYTES:
            raise BadGeneSetsError(
                f"{file} is larger than {MAX_BYTES // 1024**2} MB.", hint="Take the sets you need from it.", file=file
            )
        text = data.decode("utf-8-sig")
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise BadGeneSetsError(
            f"{file} is damaged: it cannot be unpacked.", hint="Fetch it again.", file=file
        ) from error
    except UnicodeDecodeError as error:
        raise BadGeneSetsError(f"{file} is not text.", hint=_HINT, file=file) from error
    if "\x00" in text:
        raise BadGeneSetsError(f"{file} is not text.", hint=_HINT, file=file)
    return text


def _name(set_id: str, description: str) -> str:
    """The description where the first cell is an accession and the description is words; else the first cell."""
    is_words = " " in description and "://" not in description
    return description if is_words and _ACCESSION.fullmatch(set_id) else set_id
