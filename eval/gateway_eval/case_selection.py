"""Which cases a run is about: a suite or a file, and what is chosen from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gateway_eval.cases import DEFAULT_SUITE, Case, CasesError, load_cases, load_suite, suite_names


@dataclass(frozen=True)
class Selection:
    """Cases to run, where they are from, and the names of those that this run cannot put."""

    cases: list[Case]
    source: str
    left_out: list[str]


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --suite, --cases, -k and --tag; the command gets what `select` takes."""
    command = click.option(
        "--tag",
        "tags",
        multiple=True,
        metavar="NAME",
        help="Only cases with this tag; repeatable, any of them.",
    )(command)
    command = click.option("-k", "name_filter", metavar="TEXT", help="Only cases whose name contains this.")(
        command
    )
    command = click.option(
        "--cases",
        "cases_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Your own cases, in JSON or YAML.",
    )(command)
    return click.option(
        "--suite",
        type=click.Choice(suite_names()),
        help=f"Cases that ship with the program. [default: {DEFAULT_SUITE}]",
    )(command)


def select(
    suite: str | None, path: Path | None, name_filter: str | None, tags: Sequence[str], *, has_key: bool
) -> Selection:
    """Return the chosen cases. Raises click.UsageError, with what there is, where none is left."""
    if suite and path:
        raise click.UsageError("--suite and --cases are two sources; give one of them")
    try:
        cases = load_cases(path) if path else load_suite(suite or DEFAULT_SUITE)
    except CasesError as error:
        raise click.UsageError(str(error)) from error
    if name_filter:
        names = ", ".join(case.name for case in cases)
        cases = [case for case in cases if name_filter.casefold() in case.name.casefold()]
        if not cases:
            raise click.UsageError(f"no case's name contains {name_filter!r}; there is: {names}")
    if tags:
        known = ", ".join(sorted({tag for case in cases for tag in case.tags})) or "none"
        cases = [case for case in cases if case.tags & set(tags)]
        if not cases:
            raise click.UsageError(f"no case has the tag {' or '.join(tags)}; there is: {known}")
    left_out = [case.name for case in cases if case.needs_api_key and not has_key]
    cases = [case for case in cases if has_key or not case.needs_api_key]
    if not cases:
        raise click.UsageError(f"{', '.join(left_out)}: needs a key; name its variable with --api-key-env")
    return Selection(cases, str(path) if path else f"suite {suite or DEFAULT_SUITE}", left_out)
