"""Exit codes of the command lines."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means; the same in every program."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    AUTHENTICATION = 4
    QUOTA = 5
    RATE_LIMITED = 6
    INTERNAL = 70
    INTERRUPTED = 130
