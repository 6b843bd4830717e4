"""Become a command that has listening sockets handed over and ends with its parent.

It is run by path, isolated and without site-packages, so that it starts in milliseconds::

    python -I -S _activate.py PARENT_PID SOCKET,SOCKET,... COMMAND [ARGUMENT ...]

The sockets become descriptors 3, 4, … as the protocol of socket activation has it, see
sd_listen_fds(3), which Gunicorn knows. When the parent ends, in whatever way, the command gets
SIGTERM.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys

_FIRST = 3
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Prepare this process and replace it by the command."""
    parent, sockets, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(1)
    handed = [int(number) for number in sockets.split(",") if number]
    # out of the way first: a socket may have the number that another is to get
    spare = [fcntl.fcntl(number, fcntl.F_DUPFD, _FIRST + len(handed)) for number in handed]
    for place, number in enumerate(spare, start=_FIRST):
        os.dup2(number, place)
        os.close(number)
    for number in handed:
        if number >= _FIRST + len(handed):  # or its port would outlive the one that is closed
            os.close(number)
    if handed:
        os.environ["LISTEN_FDS"] = str(len(handed))
        os.environ["LISTEN_PID"] = str(os.getpid())
    os.execv(command[0], command)  # noqa: S606 - the supervisor's own command


if __name__ == "__main__":
    main()
