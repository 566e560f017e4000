"""Case files and suites: read, checked against the published schema, and brought into one form."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from gateway_eval.case_problems import SCHEMA_VERSION, case_problems
from gateway_eval.document import DocumentError, parse_json, parse_yaml, read_document

DEFAULT_SUITE = "smoke"


class CasesError(ValueError):
    """Cases that cannot be used; each problem names its place and the remedy, the message is the first."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        more = f" (and {len(problems) - 1} more: see gateway-eval validate)" if len(problems) > 1 else ""
        super().__init__(f"{source}: {problems[0]}{more}")


@dataclass(frozen=True)
class HttpRequest:
    """One HTTP call, written out in the case. `api_key` is given (the run's), none or wrong."""

    path: str
    method: str
    body: Any = None
    text: str | None = None
    api_key: str = "given"


@dataclass(frozen=True)
class Call:
    """One call of a case: the messages to add before it, or the request, and what is expected of it.

    `expect_error` names the error classes of which one has to happen; empty where the call has to work.
    """

    messages: tuple[dict[str, Any], ...]
    stream: bool
    checks: dict[str, Any] = field(default_factory=dict)
    expect_error: tuple[str, ...] = ()
    request: HttpRequest | None = None


@dataclass(frozen=True)
class Case:
    """A health check, or a conversation with at least one call; `endpoint` is None for the run's."""

    name: str
    calls: tuple[Call, ...]
    endpoint: str | None = None
    health: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    needs_api_key: bool = False

    @property
    def needs_endpoint(self) -> bool:
        """Whether the run's endpoint is called, so that there has to be one."""
        if self.health or self.endpoint:
            return False
        return any(call.request is None or names_endpoint(call.request) for call in self.calls)


def names_endpoint(request: HttpRequest) -> bool:
    """Tell whether a request leaves a place for the endpoint."""
    written = f"{request.path} {request.body}"
    return "{endpoint}" in written or "{chat_path}" in written


def suite_names() -> list[str]:
    """Return the names of the suites that ship with the program."""
    folder = resources.files("gateway_eval").joinpath("suites")
    return sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )


def load_suite(name: str) -> list[Case]:
    """Return the cases of a shipped suite. Raises CasesError for a name that is none."""
    if name not in suite_names():
        raise CasesError("suite", [f"no suite {name!r}; there is: {', '.join(suite_names())}"])
    file = resources.files("gateway_eval").joinpath("suites", f"{name}.json")
    return parse_cases(file.read_text("utf-8"), name)


def load_cases(path: Path) -> list[Case]:
    """Return the cases of a JSON or YAML file. Raises CasesError for one that is unreadable or not valid."""
    try:
        document = read_document(path)
    except DocumentError as error:
        raise CasesError(str(path), [str(error).removeprefix(f"{path}: ")]) from error
    return _cases(document, str(path))


def parse_cases(text: str, source: str) -> list[Case]:
    """Return the cases in text, YAML if the name of its source ends so, else JSON. Raises CasesError."""
    parse = parse_yaml if source.endswith((".yml", ".yaml")) else parse_json
    try:
        document = parse(text, source)
    except DocumentError as error:
        raise CasesError(source, [str(error).removeprefix(f"{source}: ")]) from error
    return _cases(document, source)


def _cases(document: Any, source: str) -> list[Case]:
    if isinstance(document, list):  # the plain form
        document = {"schema_version": SCHEMA_VERSION, "cases": document}
    problems = case_problems(document)
    if problems:
        raise CasesError(source, problems)
    return [_case(entry, document.get("defaults") or {}) for entry in document["cases"]]


def _case(entry: dict[str, Any], defaults: dict[str, Any]) -> Case:
    stream = entry.get("stream", defaults.get("stream", False))
    checks = {**defaults.get("checks", {}), **entry.get("checks", {})}
    expected = _listed(entry.get("expect_error"))
    calls: list[Call] = []
    if "turns" in entry:
        calls = list(_conversation(entry["turns"], stream, checks, expected))
    elif "request" in entry:
        # Defaults are about answers of a model, which this need not be.
        calls = [Call((), False, entry.get("checks", {}), expected, _request(entry["request"]))]
    elif "health" not in entry:
        said = entry.get("messages") or [{"role": "user", "content": entry["input"]}]
        calls = [Call(tuple(said), stream, checks, expected)]
    return Case(
        name=entry["name"],
        calls=tuple(calls),
        endpoint=entry.get("endpoint", defaults.get("endpoint")),
        health="health" in entry,
        parameters={**defaults.get("parameters", {}), **entry.get("parameters", {})},
        tags=frozenset([*defaults.get("tags", []), *entry.get("tags", [])]),
        needs_api_key="needs_api_key" in entry,
    )


def _request(entry: dict[str, Any]) -> HttpRequest:
    default = "POST" if "body" in entry or "text" in entry else "GET"
    return HttpRequest(**{"method": default, **entry})


def _conversation(
    turns: list[dict[str, Any]], stream: bool, checks: dict[str, Any], expected: tuple[str, ...]
) -> Iterator[Call]:
    """Yield the calls of a conversation; the case's checks hold for each, its expected error for the last."""
    last = max(index for index, turn in enumerate(turns) if _makes_call(turn))
    said: list[dict[str, Any]] = []
    for index, turn in enumerate(turns):
        said += [
            {"role": role, "content": turn[role]} for role in ("system", "user", "assistant") if role in turn
        ]
        if _makes_call(turn):
            turn_expects = _listed(turn.get("expect_error")) or (expected if index == last else ())
            yield Call(
                tuple(said), turn.get("stream", stream), {**checks, **turn.get("checks", {})}, turn_expects
            )
            said = []


def _makes_call(turn: dict[str, Any]) -> bool:
    return "user" in turn and "assistant" not in turn


def _listed(value: str | list[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)
