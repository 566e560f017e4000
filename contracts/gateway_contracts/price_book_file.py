"""Reading a price book file, with errors that name the line, the field and the remedy."""

import re
from collections.abc import Collection, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from gateway_contracts.price_book import SCHEMA_VERSION, LongContext, Price, PriceBookError, Rates
from gateway_contracts.suggestion import did_you_mean

_BOOK_FIELDS = ("schema_version", "prices")
_FIELDS = (
    "provider",
    "model",
    "aliases",
    "valid_from",
    "learned_at",
    "source",
    "usd_per_million",
    "service_tiers",
    "long_context",
)
_RATES = ("input", "cached_input", "cache_write", "output", "input_audio", "output_audio")
_BOUND = "above_input_tokens"
_AMOUNT = re.compile(r"\d{1,9}(\.\d{1,9})?")

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_prices(path: Path) -> tuple[Price, ...]:
    """Every entry of the file, in its order. Raises PriceBookError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PriceBookError(
            f"{path}: cannot be read: {error.strerror}. Give a readable price book."
        ) from None
    except UnicodeDecodeError:
        raise PriceBookError(f"{path}: is not UTF-8 text. Save it as UTF-8.") from None
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        return tuple(_book(_Reader(path, loader), root))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise PriceBookError(f"{where}: is no valid YAML: {problem}.") from None
    finally:
        loader.dispose()


class _Reader:
    """Turns YAML nodes into values and mistakes into messages."""

    def __init__(self, path: Path, loader: yaml.SafeLoader) -> None:
        self.path = path
        self.loader = loader
        self.entry = ""

    def error(self, node: yaml.Node | None, problem: str) -> PriceBookError:
        line = f", line {node.start_mark.line + 1}" if node is not None else ""
        return PriceBookError(f"{self.path}{line}: {self.entry}{problem}")

    def value(self, node: yaml.Node) -> Any:
        try:
            return self.loader.construct_object(node, deep=True)
        except ValueError:  # such as a thirteenth month
            raise self.error(
                node, f"{getattr(node, 'value', 'this')!r} is no value that exists. Correct it."
            ) from None

    def mapping(
        self, node: yaml.Node | None, what: str, known: Collection[str] | None = None
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{what} must be a mapping of names to values.")
        self.loader.flatten_mapping(node)
        fields: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            key = str(self.value(key_node))
            if known is not None and key not in known:
                raise self.error(key_node, f"{what} has no field {key!r}.{did_you_mean(key, known)}")
            if key in fields:
                raise self.error(key_node, f"{what} gives {key!r} twice. Keep one of them.")
            fields[key] = value_node
        return fields

    def require(
        self, node: yaml.Node, fields: dict[str, yaml.Node], names: Collection[str], what: str
    ) -> None:
        for name in names:
            if name not in fields:
                raise self.error(node, f"{what} lacks {name!r}. Add it.")

    def sequence(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(node, f"{what} must be a list.")
        return list(node.value)

    def text(self, node: yaml.Node, what: str) -> str:
        value = self.value(node)
        if not isinstance(value, str) or not value.strip() or value != value.strip():
            raise self.error(node, f"{what} must be text without blanks around it, not {value!r}.")
        return value

    def day(self, node: yaml.Node, what: str) -> date:
        value = self.value(node)
        if isinstance(value, str):
            try:
                value = date.fromisoformat(value)
            except ValueError:
                value = None
        if not isinstance(value, date) or isinstance(value, datetime):
            raise self.error(node, f"{what} must be a date such as 2024-05-13.")
        return value

    def amount(self, node: yaml.Node, what: str) -> Decimal:
        value = self.value(node)
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise self.error(node, f'{what} must be in quotes, so that it stays exact: "{node.value}".')
        if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
            raise self.error(
                node,
                f'{what} must be US dollars per million tokens, 0 or more, such as "2.50", not {value!r}.',
            )
        return Decimal(value)

    def rates(self, node: yaml.Node, what: str, fields: dict[str, yaml.Node] | None = None) -> Rates:
        fields = self.mapping(node, what, _RATES) if fields is None else fields
        self.require(node, fields, ["input"], what)
        return Rates(**{name: self.amount(value, f"{what}.{name}") for name, value in fields.items()})

    def long_context(self, node: yaml.Node) -> LongContext:
        fields = self.mapping(node, "long_context", (_BOUND, *_RATES))
        self.require(node, fields, [_BOUND], "long_context")
        bound = self.value(fields.pop(_BOUND))
        if not isinstance(bound, int) or isinstance(bound, bool) or bound < 1:
            raise self.error(node, f"long_context.{_BOUND} must be a number of tokens such as 272000.")
        return LongContext(bound, self.rates(node, "long_context", fields))


def _book(reader: _Reader, root: yaml.Node | None) -> Iterator[Price]:
    if root is None:
        raise reader.error(None, "is empty. A price book has schema_version and prices.")
    book = reader.mapping(root, "a price book", _BOOK_FIELDS)
    reader.require(root, book, _BOOK_FIELDS, "the price book")
    version = reader.value(book["schema_version"])
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise reader.error(
            book["schema_version"],
            f"schema_version {version!r} is not known here. This program reads {SCHEMA_VERSION}.",
        )
    seen: dict[tuple[str, str, date, date], int] = {}
    for number, node in enumerate(reader.sequence(book["prices"], "prices"), start=1):
        reader.entry = f"entry {number}: "
        price = _price(reader, node)
        for name in price.names:
            key = (price.provider, name, price.valid_from, price.known_from)
            if key in seen:
                other = "itself" if seen[key] == number else f"entry {seen[key]}"
                raise reader.error(
                    node,
                    f"{price.provider} {name} from {price.valid_from} is already priced by {other}."
                    " Remove one, or give the newer one another valid_from or learned_at.",
                )
            seen[key] = number
        yield price


def _price(reader: _Reader, node: yaml.Node) -> Price:
    fields = reader.mapping(node, "a price", _FIELDS)
    if "model" in fields:
        reader.entry = f"{reader.entry.rstrip(': ')} ({reader.value(fields['model'])}): "
    reader.require(node, fields, ("provider", "model", "valid_from", "usd_per_million"), "the price")
    tiers = reader.mapping(fields["service_tiers"], "service_tiers") if "service_tiers" in fields else {}
    aliases = reader.sequence(fields["aliases"], "aliases") if "aliases" in fields else []
    return Price(
        provider=reader.text(fields["provider"], "provider"),
        model=reader.text(fields["model"], "model"),
        aliases=tuple(reader.text(alias, "aliases") for alias in aliases),
        valid_from=reader.day(fields["valid_from"], "valid_from"),
        learned_at=reader.day(fields["learned_at"], "learned_at") if "learned_at" in fields else None,
        source=reader.text(fields["source"], "source") if "source" in fields else None,
        rates=reader.rates(fields["usd_per_million"], "usd_per_million"),
        service_tiers={name: reader.rates(tier, f"service_tiers.{name}") for name, tier in tiers.items()},
        long_context=reader.long_context(fields["long_context"]) if "long_context" in fields else None,
    )
