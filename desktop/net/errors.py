"""What can go wrong between this machine and a server, each with what to try.

All of them mean "the input could not be had", so the command line leaves with 2, except a full disk (4).
"""

from __future__ import annotations

import errno

from desktop.core.errors import InputError, OfflineError, RunFailedError


class NetError(InputError):
    """What was asked for could not be fetched."""

    code = "net.error"


class ConsentNeededError(OfflineError):
    """Not in the cache, and the person has not allowed this destination."""

    code = "net.consent_needed"
    retryable = False


class UnreachableError(OfflineError):
    """Not in the cache, and no connection to the server: no network, no such name, connection refused."""


class InsecureUrlError(NetError):
    """Not https (plain http is for this machine only), or an address outside the destination agreed to."""

    code = "net.insecure_url"


class NotFoundError(NetError):
    """404 or 410."""

    code = "net.not_found"


class RefusedError(NetError):
    """The server understood and declined: any other 4xx."""

    code = "net.refused"


class ServerBusyError(NetError):
    """429, 500, 502, 503 or 504 until the attempts were used up. facts: retry_after_s when the server said so."""

    code = "net.server_busy"
    retryable = True


class NetTimeoutError(NetError):
    """No answer in time, or a body that stopped coming."""

    code = "net.timeout"
    retryable = True


class ConnectionLostError(NetError):
    """The connection broke, or fewer bytes came than were announced."""

    code = "net.connection_lost"
    retryable = True


class HtmlInsteadOfDataError(NetError):
    """A web page came where a data file was asked for: an error page, a login, a withdrawn record."""

    code = "net.html_instead_of_data"


class DamagedFileError(NetError):
    """All announced bytes came, and yet the file is not whole (gzip end or checksum)."""

    code = "net.damaged_file"


class BadReplyError(NetError):
    """The reply breaks the protocol: an encoding nobody asked for, a redirect that leads nowhere."""

    code = "net.bad_reply"


class TooLargeError(NetError):
    """Larger than the caller's cap."""

    code = "net.too_large"


class DiskFullError(RunFailedError):
    """No room for the download, or the data folder cannot be written."""

    code = "net.disk_full"


class KeychainError(InputError):
    """There is no usable keychain, or it declined. Nothing is written anywhere else instead."""

    code = "net.no_keychain"


def not_found(url: str) -> NotFoundError:
    """The error of an address the server does not have."""
    return NotFoundError(
        "The server has no such file.",
        hint="Check the accession or the address; it may have been renamed or withdrawn.",
        url=url,
    )


def disk_fault(fault: OSError) -> DiskFullError:
    """The error of a download that cannot be written."""
    is_full = fault.errno in (errno.ENOSPC, errno.EDQUOT)
    return DiskFullError(
        "The disk is full." if is_full else f"The download cannot be written: {fault.strerror}.",
        hint="Make room on the disk of Benchtop's data folder, or check that it can be written.",
    )
