"""Settings: defaults, file, environment, faults with their line, changes that keep the comments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from desktop.core.config import SECTIONS, SettingsError, SettingsStore
from desktop.core.config_file import changed, read
from desktop.core.events import Event, EventBus, SettingsChanged


class RunSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    alpha: float = Field(0.05, gt=0, lt=1, title="Significance", description="Threshold.")
    timeout_s: float = Field(60, gt=0, title="Time limit (s)", description="Stop after.")
    names: tuple[str, ...] = ()
    mode: Literal["ask", "never"] = "ask"


class Rig:
    def __init__(self, path: Path, environ: dict[str, str] | None = None) -> None:
        self.events: list[Event] = []
        bus = EventBus()
        bus.subscribe(self.events.append)
        self.store = SettingsStore(path, {**SECTIONS, "run": RunSettings}, bus, environ=environ or {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def test_without_a_file_everything_has_its_default(path: Path) -> None:
    store = Rig(path).store
    assert store.get("run") == RunSettings()
    assert store.get("general").theme == "system"
    assert store.fault is None


def test_the_file_then_the_environment(path: Path) -> None:
    path.write_text("run:\n  alpha: 0.01\n  timeout_s: 5\n")
    store = Rig(path, {"BENCHTOP_RUN__ALPHA": "0.1", "BENCHTOP_RUN__NAMES": "[a, b]"}).store
    assert store.get("run") == RunSettings(alpha=0.1, timeout_s=5, names=("a", "b"))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param(
            "run:\n  alpha: 0.01\n  timeout_s: soon\n",
            3,
            "run.timeout_s: must be a number, not “soon”",
            id="wrong type",
        ),
        pytest.param("run:\n  # two\n\n  alpha: 2\n", 4, "run.alpha: must be less than 1, not “2”", id="out of range"),
        pytest.param("run:\n  alhpa: 0.01\n", 2, "run.alhpa: there is no such setting; alpha?", id="unknown field"),
        pytest.param("general:\n  theme: dark\nrnu:\n  alpha: 1\n", 3, "run?", id="unknown section"),
        pytest.param("run:\n  alpha: 0.01\n  alpha: 0.02\n", 3, "twice", id="field twice"),
        pytest.param("run:\n  alpha: 0.01\nrun:\n", 3, "twice", id="section twice"),
        pytest.param("run:\n  alpha: [1\n", 3, "not closed", id="not YAML"),
        pytest.param("run: 5\n", 1, "needs fields", id="a value for a section"),
        pytest.param("- a\n- b\n", 1, "sections", id="a list"),
        pytest.param("run:\n  alpha: &a 0.01\n  timeout_s: *a\n", 3, "alias", id="an alias"),
        pytest.param("run:\n  alpha: !!python/object/apply:os.getcwd []\n", 2, "plain values", id="an object"),
        pytest.param("run:\n  api_key: abc\n", 2, "keychain", id="a secret"),
        pytest.param("run:\n  names: {a: 1}\n", 2, "run.names: must be a list", id="wrong shape"),
        pytest.param("run:\n  \t- x\n", 2, "tab", id="a tab"),
        pytest.param("run:\n  mode: maybe\n", 2, "run.mode: must be one of ask or never, not “maybe”", id="a choice"),
    ],
)
def test_a_fault_names_file_and_line_and_the_last_good_values_stay(
    path: Path, text: str, line: int, words: str
) -> None:
    path.write_text("run:\n  alpha: 0.2\n")
    rig = Rig(path)
    assert rig.store.get("run").alpha == 0.2
    _rewrite(path, text)
    assert rig.store.poll()
    assert rig.store.fault is not None
    assert f"config.yaml line {line}: " in rig.store.fault
    assert str(path) in rig.store.fault
    assert words in rig.store.fault
    assert "abc" not in rig.store.fault
    assert not any(word in rig.store.fault for word in ("Input", "valid", "parse", "expected", "permitted"))
    assert rig.store.get("run").alpha == 0.2
    assert rig.events == [SettingsChanged(rig.store.fault)]
    with pytest.raises(SettingsError):
        rig.store.change("run", alpha=0.3)
    assert path.read_text() == text
    _rewrite(path, "run:\n  alpha: 0.4\n")
    assert rig.store.poll()
    assert (rig.store.fault, rig.store.get("run").alpha) == (None, 0.4)


def test_a_fault_in_one_section_leaves_the_others(path: Path) -> None:
    path.write_text("general:\n  theme: dark\nrun:\n  alpha: 7\n")
    store = Rig(path).store
    assert store.get("general").theme == "dark"
    assert store.get("run") == RunSettings()
    assert store.fault is not None


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00bad", b"run:\n  mode: \x00", b"x" * 2_000_000], ids=["bytes", "nul", "huge"]
)
def test_a_file_that_is_no_text_is_a_fault(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    store = Rig(path).store
    assert store.get("run") == RunSettings()
    assert store.fault is not None


@pytest.mark.parametrize("line", ["rnu: {alpha: 1}", "run: 5", "run: {password: x, timeout_s: 9}"])
def test_a_fault_at_start_does_not_undo_what_else_is_set(path: Path, line: str) -> None:
    path.write_text(f"general:\n  theme: dark\n{line}\n")
    store = Rig(path).store
    assert store.fault is not None
    assert "line 3" in store.fault
    assert store.get("general").theme == "dark"
    assert store.get("run").timeout_s == (9 if "timeout" in line else 60)


def test_a_wrong_environment_variable_is_named(path: Path) -> None:
    store = Rig(path, {"BENCHTOP_RUN__ALPHA": "many"}).store
    assert store.get("run") == RunSettings()
    assert store.fault is not None
    assert "BENCHTOP_RUN__ALPHA" in store.fault


def test_nothing_changed_is_not_a_change(path: Path) -> None:
    path.write_text("run:\n  alpha: 0.2\n")
    rig = Rig(path)
    assert not rig.store.poll()
    path.unlink()
    assert rig.store.poll()
    assert rig.store.get("run") == RunSettings()


def test_a_change_is_written_told_and_keeps_comments(path: Path) -> None:
    path.write_text("# mine\nrun:  # the run\n  alpha: 0.2  # strict\n\n# the look\ngeneral:\n  theme: dark\n")
    rig = Rig(path)
    rig.store.change("run", alpha=0.3, names=["a: b", "#c"])
    rig.store.change("general", notify=False)
    text = path.read_text()
    assert [word for word in ("# mine", "# the run", "# strict", "# the look") if word not in text] == []
    assert rig.events == [SettingsChanged(None), SettingsChanged(None)]
    again = Rig(path).store
    assert again.get("run") == RunSettings(alpha=0.3, names=("a: b", "#c"))
    assert (again.get("general").theme, again.get("general").notify) == ("dark", False)
    assert not rig.store.poll()
    assert [one.name for one in path.parent.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    ("fields", "words"), [({"alpha": 5}, "alpha"), ({"nonsense": 1}, "nonsense"), ({"mode": "x"}, "mode")]
)
def test_a_change_that_does_not_fit_is_refused_whole(path: Path, fields: dict[str, object], words: str) -> None:
    rig = Rig(path)
    with pytest.raises(SettingsError, match=words):
        rig.store.change("run", timeout_s=9, **fields)
    assert not path.exists()
    assert rig.store.get("run") == RunSettings()


def test_what_the_environment_sets_cannot_be_changed(path: Path) -> None:
    with pytest.raises(SettingsError, match="BENCHTOP_RUN__ALPHA"):
        Rig(path, {"BENCHTOP_RUN__ALPHA": "0.1"}).store.change("run", alpha=0.2)


def test_a_settings_file_that_cannot_be_written_is_an_expected_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError):
        Rig(tmp_path / "file" / "config.yaml").store.change("run", alpha=0.2)


def test_fields_describe_every_setting(path: Path) -> None:
    path.write_text("run:\n  timeout_s: 5\n")
    fields = {(one.section, one.field): one for one in Rig(path).store.fields()}
    one = fields["run", "timeout_s"]
    assert (one.title, one.help, one.default, one.unit, one.current) == ("Time limit (s)", "Stop after.", 60, "s", 5)
    assert one.schema["exclusiveMinimum"] == 0
    assert ("general", "theme") in fields


def test_a_schema_may_not_declare_a_secret(path: Path) -> None:
    class Leaky(BaseModel):
        access_token: str = ""

    with pytest.raises(ValueError, match="keychain"):
        SettingsStore(path, {"leaky": Leaky}, EventBus(), environ={}).get("leaky")


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))
tables = st.dictionaries(
    st.sampled_from(["a", "b"]), st.dictionaries(st.sampled_from(["x", "y", "z"]), scalars, max_size=3), max_size=2
)


@settings(max_examples=150, deadline=None)
@example(values={}, new={"x": "\x85"}, flow=False)
@given(values=tables, new=st.dictionaries(st.sampled_from(["x", "y", "w"]), scalars, min_size=1), flow=st.booleans())
def test_an_edit_means_exactly_the_change(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, dict[str, object]], new: dict[str, object], flow: bool
) -> None:
    path = tmp_path_factory.mktemp("edit") / "c.yaml"
    path.write_text(yaml.safe_dump(values, default_flow_style=flow), encoding="utf-8")
    text = changed(read(path, known=("a", "b")), "a", new)
    assert yaml.safe_load(text) == {**values, "a": {**values.get("a", {}), **new}}


def _rewrite(path: Path, text: str) -> None:
    """Write so that the change shows, however coarse the file system's clock."""
    stat = path.stat()
    path.write_text(text)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))
