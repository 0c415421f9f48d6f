"""What a run printed is read strictly: progress lines, and a diagnosis that never shows a traceback."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.ports import IsolationChoice, RunOutcome, RunStatus
from desktop.studios.omics.outcome import diagnosis, failure, step_of

TRACEBACK = """[step 5/8] Fit the model
Traceback (most recent call last):
  File "/input/analysis.py", line 1905, in <module>
    main()
  File "/input/analysis.py", line 1790, in main
    fit = fit_counts(counts, design)
          ^^^^^^^^^^^^^^^^^^^^^^^^^^
ValueError: the design is rank-deficient: some of its columns are sums of others
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("[step 1/8] Read the data", (0.0, "Read the data"), id="first"),
        pytest.param("[step 5/8] Fit the model", (0.5, "Fit the model"), id="middle"),
        pytest.param("[step 9/8] Too far", None, id="beyond the last"),
        pytest.param("[step 1/8] <b>x</b>", None, id="markup"),
        pytest.param("[step 0/8] Zero", None, id="zero"),
        pytest.param("[step 1/8] " + "x" * 100, None, id="too long"),
        pytest.param("say [step 1/8] Read", None, id="not at the start"),
        pytest.param("[step 1/8] Read\x1b[2J", None, id="control codes"),
    ],
)
def test_progress_lines(line: str, expected: tuple[float, str] | None) -> None:
    assert step_of(line) == expected


@given(st.text(max_size=200))
def test_any_line_is_no_progress_or_a_share(line: str) -> None:
    step = step_of(line)
    assert step is None or 0 <= step[0] < 1


def test_a_traceback_becomes_its_last_words() -> None:
    found = diagnosis(TRACEBACK)
    assert found.message == (
        "The analysis stopped: the design is rank-deficient: some of its columns are sums of others. It was at line 1790."
    )
    assert "Traceback" not in found.message + found.hint
    assert found.reason == "singular"
    assert found.line == 1790


ARRAY_MEMORY = "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 2.98 GiB for an array"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        pytest.param("ModuleNotFoundError: No module named 'formulaic'", "formulaic", id="package missing"),
        pytest.param("numpy.linalg.LinAlgError: Singular matrix", "cannot be solved", id="singular"),
        pytest.param("MemoryError", "memory", id="memory"),
        pytest.param(ARRAY_MEMORY, "out of memory: Unable to allocate 2.98 GiB", id="memory for an array"),
        pytest.param("KeyError: 'treatment'", "“treatment”", id="column missing"),
        pytest.param("UnicodeDecodeError: 'utf-8' codec can't decode byte", "encoding", id="encoding"),
        pytest.param("pandas.errors.ParserError: Error tokenizing data", "taken apart", id="separator"),
        pytest.param("FileNotFoundError: [Errno 2] No such file or directory: 'a.csv'", "“a.csv”", id="file missing"),
        pytest.param("OSError: [Errno 30] Read-only file system: '/input/x'", "“/input/x”", id="written elsewhere"),
        pytest.param("", "without saying why", id="nothing printed"),
        pytest.param("samples.csv and counts.csv.gz differ", "samples.csv and counts.csv.gz differ", id="SystemExit"),
    ],
)
def test_known_failures_are_named(log: str, said: str) -> None:
    assert said in diagnosis(log).message


@given(st.text(max_size=2000))
def test_a_diagnosis_is_one_printable_line_whatever_was_printed(log: str) -> None:
    found = diagnosis(log, "x = 1\n" * 50, {"samples.csv": ["sample", "dex"]})
    assert found.message.isprintable()
    assert len(found.message) < 600
    assert found.hint


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("timeout", "omics.timed_out"),
        ("out_of_memory", "omics.out_of_memory"),
        ("failed", "omics.analysis_failed"),
        ("refused", "omics.script_refused"),
        ("engine_lost", "omics.engine_lost"),
        ("cancelled", "app.cancelled"),
    ],
)
def test_every_ending_has_its_error(status: RunStatus, code: str) -> None:
    choice = IsolationChoice("process", True, "child")
    error = failure(RunOutcome(status, 1, 2.0, choice, log=TRACEBACK), "/kept/here")
    assert error.code == code
    assert error.hint


def test_memory_that_python_ran_out_of_is_the_same_failure() -> None:
    """So that its repair is offered: more memory, with a yes where a limit was set or the script is somebody's own."""
    outcome = RunOutcome("failed", 1, 2.0, IsolationChoice("process", True, "child"), log=ARRAY_MEMORY)
    assert failure(outcome, "/kept/here").code == "omics.out_of_memory"
