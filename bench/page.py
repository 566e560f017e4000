"""docs/benchmarks.md: each benchmark writes its own section, between two marks."""

import importlib.metadata
import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def write_section(name: str, text: str) -> None:
    """Put the text between the page's marks of that name. Raises ValueError where the page has none."""
    page = PAGE.read_text()
    begin, end = f"<!-- {name}: written by make -->", f"<!-- {name}: end -->"
    section = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not section.search(page):
        raise ValueError(f"{PAGE} has no section {begin} ... {end}; put it back where the figures belong")
    PAGE.write_text(section.sub(lambda _: f"{begin}\n\n{text.strip()}\n\n{end}", page))


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def circumstances() -> str:
    """Return when and on what this was measured, in one sentence without its full stop."""
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores shared by gateway, emulator and client, "
        f"Python {platform.python_version()}, mlflow-skinny {importlib.metadata.version('mlflow-skinny')}, "
        f"load average {load:.1f} before the start"
    )
