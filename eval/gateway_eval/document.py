"""JSON and YAML files that people write, read so that nothing in them is lost without a word."""

import json
from pathlib import Path
from typing import Any

import yaml

_MAX_FILE_BYTES = 32 * 1024 * 1024
_YAML_SUFFIXES = (".yml", ".yaml")


class DocumentError(ValueError):
    """A file that cannot be read; the message names the place and the remedy."""


def read_document(path: Path) -> Any:
    """Return what a file holds: YAML where its name says so, else JSON. Raises DocumentError."""
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise DocumentError(f"{path}: larger than {_MAX_FILE_BYTES // 1024**2} MiB; split it")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise DocumentError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: not UTF-8 text (byte {error.start})") from error
    if path.suffix.lower() in _YAML_SUFFIXES:
        return parse_yaml(text, str(path))
    return parse_json(text, str(path))


def parse_json(text: str, source: str) -> Any:
    """Return JSON text decoded; `source` names it in messages. Raises DocumentError.

    A key given twice is refused: JSON readers keep the last, and so would lose a check without a word.
    """
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        raise DocumentError(f"{source}: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{source}: {error}") from error


def parse_yaml(text: str, source: str) -> Any:
    """Return YAML text decoded into what JSON could hold as well; `source` names it in messages.

    Raises DocumentError, also for keys given twice and for aliases, which can blow up a small file.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader with less in it
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"{source}: {where}{error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise DocumentError(f"{source}: not YAML: {' '.join(str(error).split())}") from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if key in entries:
            raise ValueError(
                f"the key {key!r} is given twice in one object; the first would be lost: remove one"
            )
        entries[key] = value
    return entries


class _Loader(yaml.SafeLoader):
    """Reads what JSON has, and nothing else: no dates, no aliases, no keys but texts."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not read; write it out", problem_mark=event.start_mark
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            problem = None
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                problem = "a key has to be text; put it in quotes"
            elif key.value in seen:
                problem = f"the key {key.value!r} is given twice; the first would be lost: remove one"
            if problem:
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
