"""The files a run leaves: results in JSON, JUnit's XML, a page in HTML, told apart by suffix."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

SUFFIXES = (".json", ".xml", ".html")


def render(document: dict[str, Any], suffix: str) -> str:
    """Return the results, free of keys, in the form that a suffix stands for."""
    if suffix == ".xml":
        from gateway_eval.junit import as_junit

        return as_junit(document)
    if suffix in (".html", ".htm"):
        from gateway_eval.html_report import as_html  # slow to import

        return as_html(document)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


class ResultFile:
    """A file that is written whole or not at all.

    Making one proves that it can be written, before any money is spent: a file beside it is created, which
    replaces it in the end. Raises ValueError, with the remedy, where that is not possible.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        target = path.resolve()  # where the path is a link, it stays one
        if target.exists() and not target.is_file():
            raise ValueError(f"{path} is not a regular file; name another with --results")
        try:
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        except OSError as error:
            raise ValueError(
                f"{path} cannot be written ({error.strerror}); name another place with --results"
            ) from error
        os.close(handle)
        self._target = target
        self._temporary = Path(name)

    def write(self, text: str) -> None:
        """Write the text and put the file in place. Raises OSError where the disk is full."""
        try:
            with self._temporary.open("w", encoding="utf-8", errors="replace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            self._temporary.chmod(0o666 & ~_umask())
            self._temporary.replace(self._target)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what was prepared, if it was not put in place."""
        self._temporary.unlink(missing_ok=True)


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    current = os.umask(0o077)
    os.umask(current)
    return current
