"""The keys that let callers in, as a file of keys describes them; docs/keys-and-limits.md has its fields."""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import yaml

MAX_KEYS = 10_000

# Ids stand in records, file names of reports and options of commands.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS = frozenset(
    {
        "id",
        "sha256",
        "owner",
        "team",
        "valid_from",
        "valid_until",
        "endpoints",
        "requests_per_minute",
        "tokens_per_minute",
    }
)
# libyaml's parser where PyYAML was built with it: ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class KeyFileError(ValueError):
    """A file of keys that cannot be used; the message names entry and remedy, never a hash."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key. Limits are per minute over the whole fleet; None is unlimited, or for any endpoint."""

    id: str
    sha256: str
    owner: str
    team: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None  # the first moment at which it is no longer valid
    endpoints: frozenset[str] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def is_valid_at(self, moment: datetime) -> bool:
        """Tell whether the moment is within the key's time."""
        return (self.valid_from is None or self.valid_from <= moment) and (
            self.valid_until is None or moment < self.valid_until
        )


class ApiKeys:
    """The keys of one version of a file."""

    def __init__(self, keys: list[ApiKey], instances: int = 1) -> None:
        self.instances = instances  # gateways over which the load balancers spread a key's calls
        self._by_digest = {bytes.fromhex(key.sha256): key for key in keys}

    def __len__(self) -> int:
        return len(self._by_digest)

    def __iter__(self) -> Iterator[ApiKey]:
        return iter(self._by_digest.values())

    def find(self, secret: bytes) -> ApiKey | None:
        """Return the key that a caller showed; None where there is no such key.

        What an answer's time could tell is about the SHA-256 of a guess, which helps nobody to guess better.
        """
        digest = hashlib.sha256(secret).digest()
        key = self._by_digest.get(digest)
        if key is None or not hmac.compare_digest(bytes.fromhex(key.sha256), digest):
            return None
        return key

    @classmethod
    def parse(cls, text: bytes) -> "ApiKeys":
        """Read a file of keys. Raises KeyFileError."""
        try:
            document = yaml.load(text, _Loader)  # noqa: S506 - a safe loader either way
        except Exception as error:  # beside its own, PyYAML raises whatever a wrong tag makes it stumble over
            mark = getattr(error, "problem_mark", None)
            where = f" in line {mark.line + 1}" if mark else ""
            raise KeyFileError(f"not YAML{where}: {getattr(error, 'problem', 'not readable')}") from None
        if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
            raise KeyFileError(
                "it has no list `keys`; begin it with `keys:` and add entries of `gateway-serve keys new`"
            )
        if unknown := document.keys() - {"keys", "instances"}:
            raise KeyFileError(f"{_names(unknown)} is unknown; use `keys` and `instances`")
        instances = document.get("instances", 1)
        if not _is_count(instances):
            raise KeyFileError("`instances` is no whole number of 1 or more")
        if len(document["keys"]) > MAX_KEYS:
            raise KeyFileError(f"it has more than {MAX_KEYS} keys")
        return cls(list(_unique(document["keys"])), instances)


def _unique(entries: list[Any]) -> Iterator[ApiKey]:
    ids: dict[str, int] = {}
    digests: dict[str, int] = {}
    for number, entry in enumerate(entries, 1):
        key = _key(entry, number)
        for what, seen, value in (("id", ids, key.id), ("sha256", digests, key.sha256)):
            if value in seen:
                raise KeyFileError(
                    f"entries {seen[value]} and {number} have the same {what}; give each key its own"
                )
            seen[value] = number
        yield key


def _key(entry: Any, number: int) -> ApiKey:
    if not isinstance(entry, dict):
        raise KeyFileError(f"entry {number} is no mapping; write it as `gateway-serve keys new` prints it")
    identity = entry.get("id")
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        raise KeyFileError(
            f"entry {number} has no usable `id`; "
            "use at most 64 letters, digits, dots, hyphens and underscores, a letter or digit first"
        )
    label = f"key {identity}"
    if unknown := entry.keys() - _FIELDS:
        raise KeyFileError(f"{label}: {_names(unknown)} is unknown; known are {', '.join(sorted(_FIELDS))}")
    digest = entry.get("sha256")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest.lower()):
        raise KeyFileError(f"{label}: `sha256` is not the 64 hexadecimal digits of a SHA-256, in quotes")
    texts = {name: entry.get(name) for name in ("owner", "team")}
    for name, text in texts.items():
        if not (isinstance(text, str) and text.strip()) and not (name == "team" and text is None):
            raise KeyFileError(f"{label}: `{name}` is no text")
    endpoints = entry.get("endpoints")
    if endpoints is not None and not (
        isinstance(endpoints, list) and endpoints and all(isinstance(name, str) for name in endpoints)
    ):
        raise KeyFileError(f"{label}: `endpoints` is no list of names; leave it out to allow every endpoint")
    for name in ("requests_per_minute", "tokens_per_minute"):
        if entry.get(name) is not None and not _is_count(entry[name]):
            raise KeyFileError(
                f"{label}: `{name}` is no whole number of 1 or more; leave it out for no limit"
            )
    begin = _moment(entry, "valid_from", label)
    end = _moment(entry, "valid_until", label)
    if begin is not None and end is not None and end <= begin:
        raise KeyFileError(f"{label}: `valid_until` is before `valid_from`")
    return ApiKey(
        id=identity,
        sha256=digest.lower(),
        owner=str(texts["owner"]),
        team=texts["team"],
        valid_from=begin,
        valid_until=end,
        endpoints=frozenset(endpoints) if endpoints is not None else None,
        requests_per_minute=entry.get("requests_per_minute"),
        tokens_per_minute=entry.get("tokens_per_minute"),
    )


_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def _moment(entry: Mapping[str, Any], name: str, label: str) -> datetime | None:
    """Return the moment in UTC; a day stands for its beginning, or its end where it is `valid_until`."""
    value: Any = entry.get(name)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
        except ValueError:
            value = ""
    try:
        match value:
            case None:
                return None
            case datetime():
                return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            case date():
                day = datetime.combine(value, time.min, UTC)
                return day + timedelta(days=1) if name == "valid_until" else day
    except OverflowError:
        # The last day that there is, or a time next to it in another zone.
        return _LAST if value.year > 1 else _FIRST
    raise KeyFileError(
        f"{label}: `{name}` is no date or time; write 2026-12-31 or 2026-12-31T18:00:00Z (UTC)"
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _names(names: Any) -> str:
    return ", ".join(sorted(f"`{name}`" for name in names))
