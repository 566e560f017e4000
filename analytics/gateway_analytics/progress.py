"""A sign of life on standard error while a question takes longer than a moment."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_PATIENCE_SECONDS = 1.0
_INTERVAL_SECONDS = 0.25
_CLEAR = "\r\x1b[K"


@contextmanager
def progress(connection: "duckdb.DuckDBPyConnection") -> Iterator[None]:
    """Say how far the running query is, on a terminal, from the first second on."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()

    def tell() -> None:
        if done.wait(_PATIENCE_SECONDS):
            return
        while not done.wait(_INTERVAL_SECONDS):
            percent = connection.query_progress()
            known = f" {percent:.0f} %" if percent > 0 else ""
            sys.stderr.write(f"{_CLEAR}reading the store ...{known}")
            sys.stderr.flush()
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
