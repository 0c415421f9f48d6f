"""Qt lives here and nowhere else.

PySide6 6.12 takes None, True and False to be immortal, which they are from Python 3.12 on. On 3.11 it drops a reference
to one of them at every other call, and the interpreter aborts after some thousands. Until 3.11 goes, these objects are
given more references than a year of calls can drop.
"""

import sys

_ENOUGH = 1 << 44


def _keep_singletons() -> None:
    import ctypes

    for one in (None, True, False, NotImplemented, Ellipsis):
        ctypes.c_ssize_t.from_address(id(one)).value += _ENOUGH


if sys.version_info < (3, 12) and sys.implementation.name == "cpython" and sys.getrefcount(None) < _ENOUGH:
    _keep_singletons()
