"""Before anything leaves this machine, to fetch data or to ask a model server: says what leaves, and asks."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from desktop.core.errors import AppError, OfflineError
from desktop.core.jobs import JobError
from desktop.ui.bridge import Bridge
from desktop.ui.widgets.sheet import ask_choice, ask_yes

CONSENT_NEEDED = "net.consent_needed"
_NAMES = {"ncbi": "NCBI", "huggingface": "Hugging Face"}
_ONCE, _ALWAYS = "Fetch Once", "Always Allow"


def can_ask(bridge: Bridge, fault: JobError | None) -> bool:
    """Whether a job failed for want of the person's consent, and the settings let us ask for it."""
    return fault is not None and fault.code == CONSENT_NEEDED and bridge.workbench.settings.get("net").mode != "never"


async def ask_consent(
    parent: QWidget, bridge: Bridge, what: str, fault: JobError, *, leaves: str = "the accession"
) -> bool:
    """Whether `what` may be fetched now; `leaves` is what is sent for it. "Always" is written to the settings.

    raises   AppError when that fails
    """
    destination = fault.details.get("destination", "")
    name = _NAMES.get(destination, destination)
    net = bridge.workbench.settings.get("net")
    sent = f"{leaves}, this machine’s address{' and your e-mail address' if net.email else ''}"
    detail = f"It is not on this machine yet. What leaves: {sent}. Your data and questions stay here."
    answer = await ask_choice(parent, f"Fetch {what} from {name}?", detail, (_ONCE, _ALWAYS))
    if answer == _ALWAYS and destination not in net.allowed:
        await bridge.read(_allow, bridge, (*net.allowed, destination))
    return bool(answer)


async def allow_server(parent: QWidget, bridge: Bridge, server: str, address: str) -> None:
    """Ask whether texts may go to a model server, saying what would leave; a yes is written to the settings.

    raises   AppError when the settings cannot be changed, or switch the network off
    """
    net = bridge.workbench.settings.get("net")
    if net.mode == "never":
        raise OfflineError("The network is switched off.", hint="Allow it under Settings → Net, then try again.")
    most = bridge.workbench.settings.get("models").remote_tokens
    detail = (
        f"What leaves this machine for {address}: prompts that you send it by name (benchtop generate --may-leave, "
        f"or a program through the local API), at most {most:,} tokens until Benchtop is closed. Your data, files and "
        "everything an analysis asks a model stay here. Each request is a row in the audit trail. The server's owner "
        "may charge for what it answers."
    )
    if await ask_yes(parent, f"Let “{server}” answer requests?", detail, "Allow") and server not in net.allowed:
        await bridge.read(_allow, bridge, (*net.allowed, server))


async def withdraw_server(bridge: Bridge, server: str) -> None:
    """Nothing goes there any more. Raises AppError when the settings cannot be changed, or allow every destination."""
    net = bridge.workbench.settings.get("net")
    if net.mode == "allow":
        raise AppError(
            "The network is allowed for every destination, so this server is too.",
            hint="Choose “ask” under Settings → Net; then only what was allowed by name is asked.",
        )
    await bridge.read(_allow, bridge, tuple(one for one in net.allowed if one != server))


def _allow(bridge: Bridge, destinations: tuple[str, ...]) -> None:
    bridge.workbench.settings.change("net", allowed=destinations)


def not_fetched(what: str) -> JobError:
    """What is shown after a no."""
    hint = "Retry asks again. Files that are already on this machine can be opened without the network."
    return JobError(CONSENT_NEEDED, f"{what} is not on this machine and was not fetched.", hint, retryable=True)
