"""What data are called in the window: a title, an accession, or a file's name; never "counts.csv.gz" alone. No Qt."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from desktop.core.paths import resources_dir
from desktop.studios.omics import queries

_SAYS_NOTHING = re.compile(
    r"all|counts?|csv|data(set)?|exon|expr(ession)?|features?|featurecounts|filtered|final|genes?|input|matrix|merged|my"
    r"|new|normali[sz]ed|old|output|quant|raw|reads?|results?|samples?|series|suppl(ementary)?|table|tximport|txt|values"
    r"|\d+"
)
_WORDS = re.compile(r"[^\W_]+")


def data_title(place: str, accession: str = "", title: str = "") -> str:
    """What to call the data at `place` (a path or an accession): their own title, else accession, else a name.

    A title that is only the file's name counts as none. A file name that says nothing ("counts.csv.gz") gives way to
    the name of its folder, or of the folder above that.
    """
    path = PurePath(place)
    own = title.strip()
    if own and own not in (path.name, path.name.partition(".")[0]):
        return own
    sample = queries.sample_dataset()
    if Path(place) == sample.data:
        return sample.title
    if accession or "/" not in place:
        return accession or place
    above = [path.name, *(folder.name for folder in path.parents)][:3]
    return next((name for name in above if name and not says_nothing(name)), path.name)


def says_nothing(name: str) -> bool:
    """Whether a file is called what such files are always called."""
    words = _WORDS.findall(name.partition(".")[0].casefold())
    return all(_SAYS_NOTHING.fullmatch(word) for word in words)


def home_words(place: str) -> str:
    """A path as people write it: the home folder as ~, what comes with Benchtop as such."""
    own = resources_dir()
    if Path(place).is_relative_to(own):
        return f"comes with Benchtop: {Path(place).relative_to(own).as_posix()}"
    home = str(Path.home())
    return f"~{place.removeprefix(home)}" if place == home or place.startswith(home.rstrip("/") + "/") else place
