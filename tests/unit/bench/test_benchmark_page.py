"""A benchmark that has run for minutes finds its place in docs/benchmarks.md."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def test_every_section_that_a_benchmark_writes_is_on_the_page() -> None:
    programs = "".join(file.read_text() for file in (REPOSITORY / "bench").glob("*.py"))
    written = set(re.findall(r'page\.write_section\("([a-z]+)"', programs))
    page = (REPOSITORY / "docs" / "benchmarks.md").read_text()
    sections = set(re.findall(r"<!-- ([a-z]+): written by make -->.*?<!-- \1: end -->", page, re.DOTALL))
    assert written
    assert written == sections


def test_every_benchmark_has_a_target_and_is_on_the_page() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^(bench-[a-z]+):", makefile, re.MULTILINE))
    page = (REPOSITORY / "docs" / "benchmarks.md").read_text()
    assert targets
    assert targets == set(re.findall(r"`make (bench-[a-z]+)`", page))
