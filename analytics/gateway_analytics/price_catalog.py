"""The price catalogue that ships inside MLflow, read as prices of a price book.

Files are `mlflow/utils/model_catalog/PROVIDER.json`, which mlflow.utils.providers reads there. MLflow is not
imported: the files are found, in a directory, an installed package or a wheel, and read.
"""

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib import metadata, util
from pathlib import Path
from typing import Any

from gateway_analytics.problems import UsageProblem
from gateway_contracts.price_book import LongContext, Price, Rates

_DIRECTORY = "mlflow/utils/model_catalog"

# A provider's name in the gateway's configuration, and the catalogue's files for it where those differ.
_FILES = {
    "ai21labs": ("ai21",),
    "amazon-bedrock": ("bedrock",),
    "cohere": ("cohere", "cohere_chat"),
    "togetherai": ("together_ai",),
}
# What MLflow's gateway reaches directly. Marketplaces sell hundreds of models each: those are for --provider.
USUAL_PROVIDERS = (
    "openai",
    "anthropic",
    "azure",
    "gemini",
    "mistral",
    "cohere",
    "groq",
    "deepseek",
    "xai",
)

_MODES = ("chat", "completion", "embedding", "responses")
_RATES = {
    "input": "input_per_million_tokens",
    "output": "output_per_million_tokens",
    "cached_input": "cache_read_per_million_tokens",
    "cache_write": "cache_write_per_million_tokens",
}
_DECIMALS = Decimal("1e-9")  # as many as a price book takes
_RELEASED = re.compile(r"-(\d{4})-?(\d{2})-?(\d{2})$")

Read = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Prices per provider as MLflow has them, and which MLflow that is."""

    version: str
    read: Read

    def prices(self, provider: str) -> list[Price]:
        """The provider's prices; each `valid_from` is the day on which its entry last changed.

        Raises UsageProblem where the catalogue has no such provider or cannot be understood.
        """
        texts = [self.read(name) for name in _FILES.get(provider, (provider,))]
        if not any(texts):
            raise UsageProblem(
                f"--provider: the catalogue of {self.version} has none {provider!r}."
                f" Use names of the gateway's configuration, such as {', '.join(USUAL_PROVIDERS)}."
            )
        try:
            # Later files do not overrule earlier ones: `cohere` before `cohere_chat`.
            models = {
                name: entry
                for text in reversed(texts)
                if text
                for name, entry in json.loads(text, parse_float=Decimal)["models"].items()
            }
            return list(_grouped(provider, models))
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise UsageProblem(
                f"the catalogue of {self.version} for {provider} is not understood ({error!r})."
                " Use a gateway-analytics made for that MLflow."
            ) from None


def open_catalog(place: Path | None) -> Catalog:
    """The catalogue in a directory or wheel; None is MLflow's, installed here. Raises UsageProblem."""
    if place is None:
        return _installed()
    if place.is_dir():
        directory = place / _DIRECTORY if (place / _DIRECTORY).is_dir() else place
        if not any(directory.glob("*.json")):
            raise UsageProblem(f"--catalog: {place} holds no catalogue. It has files such as openai.json.")
        return Catalog(f"MLflow's catalogue in {place.name}", _in_directory(directory))
    try:
        with zipfile.ZipFile(place) as wheel:
            names = [n for n in wheel.namelist() if n.startswith(_DIRECTORY) and n.endswith(".json")]
            found = {Path(name).stem: wheel.read(name) for name in names}
    except (OSError, zipfile.BadZipFile):
        raise UsageProblem(f"--catalog: {place} is no directory and no wheel. Name one of these.") from None
    if not found:
        raise UsageProblem(
            f"--catalog: {place.name} holds no catalogue: it ships in mlflow, not in mlflow-skinny."
        )
    version = place.name.split("-")[1] if place.name.count("-") > 1 else place.stem
    return Catalog(f"MLflow {version}", found.get)


def _installed() -> Catalog:
    spec = util.find_spec("mlflow")
    for root in (spec.submodule_search_locations if spec else None) or ():
        directory = Path(root) / "utils" / "model_catalog"
        if any(directory.glob("*.json")):
            try:
                version = f"MLflow {metadata.version('mlflow')}"
            except metadata.PackageNotFoundError:
                version = "MLflow"
            return Catalog(version, _in_directory(directory))
    what = "the MLflow installed here has no price catalogue" if spec else "MLflow is not installed here"
    raise UsageProblem(
        f"{what}, and prices are read from it. Install the package mlflow (mlflow-skinny lacks them),"
        " or give --catalog with a directory or a wheel that has it."
    )


def _in_directory(directory: Path) -> Read:
    def read(name: str) -> bytes | None:
        path = directory / f"{name}.json"
        return path.read_bytes() if path.is_file() else None

    return read


def _grouped(provider: str, models: Mapping[str, Any]) -> Iterator[Price]:
    """One price per model; a dated name that costs the same as the name without its date is its alias."""
    priced = {name: entry for name, entry in sorted(models.items()) if _sold_by_token(entry)}
    aliases: dict[str, list[str]] = {}
    for name, entry in priced.items():
        base = _RELEASED.sub("", name)
        if base != name and base in priced and _same(entry, priced[base]):
            aliases.setdefault(base, []).append(name)
    taken = {name for some in aliases.values() for name in some}
    for name, entry in priced.items():
        if name not in taken:
            yield _price(provider, name, tuple(aliases.get(name, ())), entry)


def _sold_by_token(entry: Mapping[str, Any]) -> bool:
    # An input price of 0 is more often one that nobody knew than a gift.
    pricing = entry.get("pricing") or {}
    return entry.get("mode") in _MODES and bool(pricing.get(_RATES["input"]))


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    def priced(entry: Mapping[str, Any]) -> tuple[Any, ...]:
        pricing = entry["pricing"]
        return (_rates(pricing), _tiers(pricing), _long_context(pricing), entry.get("last_updated_at"))

    return priced(one) == priced(other)


def _price(provider: str, name: str, aliases: tuple[str, ...], entry: Mapping[str, Any]) -> Price:
    pricing = entry["pricing"]
    return Price(
        provider=provider,
        model=name,
        aliases=aliases,
        valid_from=date.fromisoformat(entry["last_updated_at"]),
        rates=_rates(pricing),
        service_tiers=_tiers(pricing),
        long_context=_long_context(pricing),
    )


def released(name: str) -> date | None:
    """The day that a model's name ends with, as in `gpt-5-2025-08-07` or `claude-haiku-4-5-20251001`."""
    match = _RELEASED.search(name)
    try:
        return date(*(int(part) for part in match.groups())) if match else None
    except ValueError:
        return None


def _rates(pricing: Mapping[str, Any]) -> Rates:
    audio = (pricing.get("modality") or {}).get("audio") or {}
    found = {name: _amount(pricing.get(key)) for name, key in _RATES.items()}
    found["input_audio"] = _amount(audio.get(_RATES["input"]))
    found["output_audio"] = _amount(audio.get(_RATES["output"]))
    # The catalogue says 0 for what a model does not have, such as the output of an embedding.
    given = {name: amount for name, amount in found.items() if amount}
    return Rates(**given)


def _tiers(pricing: Mapping[str, Any]) -> dict[str, Rates]:
    tiers = pricing.get("service_tiers") or {}
    return {name: _rates(tier) for name, tier in sorted(tiers.items()) if tier.get(_RATES["input"])}


def _long_context(pricing: Mapping[str, Any]) -> LongContext | None:
    steps = [step for step in pricing.get("long_context") or () if step.get(_RATES["input"])]
    # A price book knows one step; of several the lowest keeps no long prompt at the short price.
    step = min(steps, key=lambda s: s["threshold_tokens"], default=None)
    return LongContext(int(step["threshold_tokens"]), _rates(step)) if step else None


def _amount(value: Any) -> Decimal | None:
    if value is None:
        return None
    amount = Decimal(value).quantize(_DECIMALS)
    if amount < 0:
        raise ValueError(f"a price of {amount}")
    return amount.normalize()
