"""Golden files: outputs as they have to be, to the byte."""

import os
from pathlib import Path


def assert_golden(file: Path, text: str) -> None:
    """Compare a text with a golden file; with UPDATE_GOLDEN=1 in the environment, write it instead."""
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text(), f"compare with {file}; after a wanted change: UPDATE_GOLDEN=1 pytest ..."
