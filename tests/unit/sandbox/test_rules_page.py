"""The page a scientist reads names every rule, package and builtin of the rules themselves."""

from __future__ import annotations

import re

import pytest
import yaml
from packaging.requirements import Requirement

from desktop.core.paths import resources_dir
from desktop.sandbox.policy import check
from tests.unit.sandbox.hostile import BREAKING, HOSTILE

PAGE = resources_dir().parent / "docs" / "guide" / "sandbox-rules.md"
RULES = yaml.safe_load((resources_dir() / "sandbox" / "policy.yaml").read_text(encoding="utf-8"))
IMAGE_PYTHON = {
    "python_version": "3.11",
    "python_full_version": "3.11.9",
    "sys_platform": "linux",
    "platform_machine": "x86_64",
}
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("group", ["libraries", "standard", "refused_builtins"])
def test_every_name_is_on_the_page(group: str) -> None:
    tops = {name.split(".")[0] for name, members in RULES[group].items() if members != []}
    assert {name for name in tops if f"`{name}`" not in TEXT} == set()


def test_every_rule_that_refuses_is_explained() -> None:
    sources = [*HOSTILE.values(), *BREAKING.values()]
    used = {f.rule for s in sources for f in check(s if isinstance(s, bytes) else s.encode()).findings}
    explained = set(
        re.findall(r"`([a-z-]+)`", "".join(line.split("|")[1] for line in TEXT.splitlines() if "| `" in line))
    )
    assert used - explained == set()


def test_image_pins_agree_with_the_application() -> None:
    """Numbers must not depend on where a script runs."""

    def pins(text: str) -> dict[str, str]:
        found = {}
        for line in text.splitlines():
            if "==" in line and line[0] not in "# ":
                wanted = Requirement(line.partition("#")[0].rstrip(" \\"))
                if wanted.marker is None or wanted.marker.evaluate(IMAGE_PYTHON):
                    found[re.sub(r"[-_.]+", "-", wanted.name).lower()] = str(wanted.specifier)
        return found

    image = pins((resources_dir() / "sandbox" / "requirements.txt").read_text(encoding="utf-8"))
    ours = pins((resources_dir().parent / "constraints.txt").read_text(encoding="utf-8"))
    assert {"numpy", "pandas", "scipy", "pydeseq2"} <= set(image) & set(ours)
    assert {name: (image[name], ours[name]) for name in set(image) & set(ours) if image[name] != ours[name]} == {}
