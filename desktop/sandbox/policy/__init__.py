"""The policy: reads a script and refuses, with line and remedy, what an analysis does not need. No boundary by itself.

Works on the bytes that would run; see `source` for how they become a tree, `checks` for what is compared, and
resources/sandbox/policy.yaml for the rules.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace

from desktop.core.ports import Finding, Verdict
from desktop.sandbox.policy.checks import Checks
from desktop.sandbox.policy.rules import load_rules
from desktop.sandbox.policy.scopes import lay_out
from desktop.sandbox.policy.source import decode, parse

_log = logging.getLogger(__name__)


def check(source: bytes) -> Verdict:
    """Whether a script may run, and if not every reason with its line. Never raises, whatever the bytes."""
    try:
        verdict = _check(source)
    except Exception as error:  # a bug of ours must refuse, not allow, and not stop the caller
        _log.exception("the policy could not judge a script")
        message = f"The script could not be checked ({type(error).__name__})."
        verdict = Verdict(False, (Finding("unreadable", 1, 0, message, "Simplify the script and report this."),))
    return replace(verdict, sha256=hashlib.sha256(source).hexdigest())


def _check(source: bytes) -> Verdict:
    rules = load_rules()
    text = decode(source, rules)
    if isinstance(text, Finding):
        return Verdict(False, (text,))
    tree = parse(text, rules)
    if isinstance(tree, Finding):
        return Verdict(False, (tree,))
    findings = Checks(lay_out(tree), rules).run()
    return Verdict(not findings, tuple(findings))
