"""Secrets from files into this process's environment, where MLflow's configuration looks for them.

A process's initial environment can be read from outside: by `docker inspect`, from /proc/PID/environ.
What is put into `os.environ` later cannot.
"""

import os
import re
from pathlib import Path

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SecretFileError(ValueError):
    """A secret that cannot be used; the message names the file, never its content."""


class SecretFiles:
    """The files of a directory, each named as the environment variable whose value it holds.

    Files whose name starts with a dot are left alone, as mounted secrets bring some along.
    One line feed at the end of a value is dropped.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._loaded: dict[str, str] = {}

    @property
    def values(self) -> frozenset[str]:
        """The secret values now in the environment."""
        return frozenset(self._loaded.values())

    def load(self) -> None:
        """Put all secrets into the environment, and take out those that are gone. Raises SecretFileError."""
        found = self._read()
        for variable in self._loaded.keys() - found.keys():
            os.environ.pop(variable, None)
        os.environ.update(found)
        self._loaded = found

    def _read(self) -> dict[str, str]:
        if self._directory is None:
            return {}
        try:
            files = sorted(path for path in self._directory.iterdir() if not path.name.startswith("."))
            return {path.name: _read(path) for path in files}
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SecretFileError(
                f"GATEWAY_SECRETS_DIR: cannot read {error.filename}: {reason}; "
                f"user {os.getuid()} must be able to"
            ) from None


def _read(path: Path) -> str:
    if not _VARIABLE.fullmatch(path.name):
        raise SecretFileError(
            f"GATEWAY_SECRETS_DIR: {path} is not named as an environment variable, such as OPENAI_API_KEY"
        )
    try:
        value = path.read_bytes().decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise SecretFileError(f"GATEWAY_SECRETS_DIR: {path} is not UTF-8 text") from None
    if not value.strip() or "\0" in value:
        raise SecretFileError(
            f"GATEWAY_SECRETS_DIR: {path} is blank or binary; write the secret into it, or remove it"
        )
    return value
