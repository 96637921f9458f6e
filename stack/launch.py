"""Becomes another program, as another user where asked, that ends when its parent ends.

Run as a file by `python -I -S launch.py PARENT SIGNAL UID GID TRAVERSE -- PROGRAM ARGUMENT...`,
so it imports nothing but the standard library. A `preexec_fn` would run Python between fork and
exec of a process that has threads; this runs it after.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
LINUX = sys.platform == "linux"


def _prctl(option: int, *arguments: int) -> bool:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, *padded) == 0)


def become(uid: int, gid: int, traverse: bool) -> None:
    """Gives root up for `uid` and `gid`; `traverse` keeps the right to pass closed folders."""
    keep = traverse and LINUX
    if keep:
        # access(2) forgets capabilities unless told not to, and initdb asks it about its programs.
        _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
        _prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if keep:
        _keep_traversal()


def _keep_traversal() -> None:
    # A clone below /root (mode 0700) is out of reach for any other user. Reading its programs
    # through a capability leaves the modes of folders that are not ours alone.
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if _have_only(1 << capability):
            _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
            return
    if not _have_only(0):
        sys.exit("root's capabilities cannot be given up")


def _have_only(bits: int) -> bool:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    return bool(ctypes.CDLL(None).capset(header, sets) == 0)


def main(arguments: list[str]) -> None:
    """Drops to the user, ties this process to its parent, and becomes the program."""
    parent, stop_signal, uid, gid, traverse = (int(text) for text in arguments[:5])
    program = arguments[6:]
    if uid != os.geteuid():
        become(uid, gid, bool(traverse))
    if LINUX:
        # After the change of user, which resets it.
        _prctl(PR_SET_PDEATHSIG, stop_signal)
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")
    try:
        os.execv(program[0], program)  # noqa: S606 - becoming the program is the point
    except OSError as error:
        sys.exit(f"{program[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
