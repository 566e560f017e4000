"""The version of this program."""

from functools import cache


@cache
def version() -> str:
    """Return the installed version of the project that this program is part of."""
    from importlib.metadata import version as installed  # slow to import, and --help does not need it

    return installed("mlflow-gateway-fleet")
