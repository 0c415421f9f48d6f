"""Write policy-names.json: which public members the modules of policy.yaml have, by looking at the pinned packages.

    python resources/sandbox/make_policy_names.py      (with the packages of requirements.txt importable)

A member whose value is a module is listed only if that module is allowed too and of the same package:
reaching `os` through a library that imports it is refused, whatever is then done with it.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
import warnings
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
FOREIGN = {
    "os",
    "posix",
    "subprocess",
    "importlib",
    "importlib._bootstrap",
    "pickle",
    "_pickle",
    "ctypes",
    "_ctypes",
    "shutil",
    "socket",
    "runpy",
    "inspect",
    "sys",
    "_frozen_importlib",
    "marshal",
    "urllib.request",
    "pkgutil",
}
ALIASES = {
    "numpy",
    "pandas",
    "scipy",
    "scipy.stats",
    "matplotlib",
    "matplotlib.pyplot",
}  # may be reached through others


def modules(rules: dict[str, object]) -> dict[str, object]:
    """Module → "*" or the list of its members."""
    wanted: dict[str, object] = dict(rules["standard"])  # type: ignore[call-overload]
    for package, inner in rules["libraries"].items():  # type: ignore[attr-defined]
        for name in ["", *inner]:
            parts = [package, *name.split(".")] if name else [package]
            for i in range(1, len(parts) + 1):
                wanted.setdefault(".".join(parts[:i]), "*" if i == len(parts) else [])
            wanted[".".join(parts)] = "*"
    wanted.update(rules["library_members"])  # type: ignore[call-overload]
    return wanted


def members(name: str, wanted: object, all_wanted: dict[str, object], rules: dict[str, object]) -> dict[str, object]:
    """{"names": […], "modules": {attribute: module}} of one module."""
    module = importlib.import_module(name)
    refused = {n for names in rules["refused_members"].values() for n in names}  # type: ignore[attr-defined]
    kept = set(rules["kept_members"])  # type: ignore[call-overload]
    canonical = {id(sys.modules[m]): m for m in all_wanted if m in sys.modules}
    names: list[str] = []
    inner: dict[str, str] = {}
    asked = set(wanted) if isinstance(wanted, list) else set()  # a module may make these only when they are asked for
    for attribute in sorted(set(dir(module)) | set(getattr(module, "__all__", ())) | asked):
        if attribute.startswith("_"):
            continue
        try:
            value = getattr(module, attribute)
        except (AttributeError, ImportError, DeprecationWarning, FutureWarning):
            continue
        if isinstance(value, types.ModuleType):
            found = canonical.get(id(value), "")
            own = found.split(".")[0] == name.split(".")[0] or found == "os.path" == f"{name}.{attribute}"
            if (found and own) or found in ALIASES:
                inner[attribute] = found
            continue
        if attribute in refused and f"{name}.{attribute}" not in kept and wanted == "*":
            continue
        origin = getattr(value, "__module__", None)
        if origin in FOREIGN and origin != name and not (isinstance(wanted, list) and attribute in wanted):
            continue
        if wanted == "*" or attribute in wanted:  # type: ignore[operator]
            names.append(attribute)
    return {"names": names, "modules": inner}


def main() -> None:
    warnings.simplefilter("ignore")
    rules = yaml.safe_load((HERE / "policy.yaml").read_text(encoding="utf-8"))
    wanted = modules(rules)
    missing = []
    for name in wanted:
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name}: {error}")
    table = {name: members(name, want, wanted, rules) for name, want in sorted(wanted.items()) if name in sys.modules}
    lines = [f"{json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in table.items()]
    (HERE / "policy-names.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    total = sum(len(entry["names"]) for entry in table.values())  # type: ignore[arg-type]
    print(f"{len(table)} modules, {total} names; not importable: {missing or 'none'}")


if __name__ == "__main__":
    main()
