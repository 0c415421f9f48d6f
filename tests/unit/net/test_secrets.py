"""The keychain, and secrets in logs."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from keyring.backends import fail

from desktop.net.errors import KeychainError
from desktop.net.secrets import Redactor, Secrets
from tests.unit.net.conftest import MemoryKeyring


def test_a_secret_comes_back_and_goes_away(keychain: MemoryKeyring) -> None:
    secrets = Secrets(Redactor(), keychain)
    secrets.set("ncbi_api_key", "v")
    assert Secrets(Redactor(), keychain).get("ncbi_api_key") == "v"
    secrets.delete("ncbi_api_key")
    secrets.delete("ncbi_api_key")
    assert secrets.get("ncbi_api_key") is None
    assert keychain.values == {}


def test_without_a_keychain_nothing_is_stored_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    secrets = Secrets(Redactor(), fail.Keyring())
    assert secrets.get("x") is None
    assert "no keychain" in str(secrets.fault())
    with pytest.raises(KeychainError) as caught:
        secrets.set("x", "plain-text")
    assert "never writes them to a file" in caught.value.hint
    assert list(tmp_path.rglob("*")) == []


def test_a_keychain_that_declines_is_said_without_the_value(keychain: MemoryKeyring) -> None:
    class Locked(MemoryKeyring):
        def set_password(self, service: str, username: str, password: str) -> None:
            raise PermissionError(password)

    with pytest.raises(KeychainError) as caught:
        Secrets(Redactor(), Locked()).set("x", "s3cret")
    assert "s3cret" not in f"{caught.value!r}{caught.value.hint}{caught.value.facts}{caught.value.__cause__}"


def test_secrets_never_reach_a_log(keychain: MemoryKeyring) -> None:
    redactor, out = Redactor(), io.StringIO()
    Secrets(redactor, keychain).set("x", "s3cret")
    handler = logging.StreamHandler(out)
    handler.addFilter(redactor)
    log = logging.getLogger("tests.secrets")
    log.addHandler(handler)
    log.propagate = False
    try:
        log.warning("GET %s", "https://eutils/esearch.fcgi?db=gds&api_key=abc123&term=x")
        log.warning("value %s and %d", "s3cret", 3)
        try:
            raise ValueError("s3cret")
        except ValueError:
            log.exception("failed")
    finally:
        log.removeHandler(handler)
    text = out.getvalue()
    assert "abc123" not in text
    assert "s3cret" not in text
    assert "term=x" in text
    assert "ValueError" in text
