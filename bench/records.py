"""Realistic request records in bulk: a fleet's calls, hour after hour, as its gateways write them.

    python -m bench.records --records 10000000 STORE

Three hosts of two instances with four workers each, 40 keys, 3,000 users, eight endpoints of four providers.
Tokens and times are log-normal, with the ratios that chat traffic has; 3 calls in 100 fail; half are streams.
"""

import argparse
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from gateway_contracts.request_record import FIELDS, SCHEMA_VERSION

_WORKERS = 24
ENDPOINTS = (
    ("chat", "openai", "gpt-4o", "gpt-4o-2024-08-06", 40),
    ("chat-small", "openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", 30),
    ("reason", "openai", "o3", "o3-2025-04-16", 5),
    ("claude", "anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", 10),
    ("claude-small", "anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001", 5),
    ("azure-chat", "azure", "gpt-4o", "gpt-4o-2024-11-20", 5),
    ("mistral", "mistral", "mistral-large-latest", "mistral-large-2411", 3),
    ("embed", "openai", "text-embedding-3-small", "text-embedding-3-small", 2),
)
_FAILURES = ((429, "rate_limit"), (400, "invalid_request"), (499, "client_disconnect"), (502, "provider"))


def lines(
    number: int, per_second: float, start: datetime, seed: int = 1
) -> Iterator[tuple[int, datetime, bytes]]:
    """So many records in the order in which calls end: the worker, the time, and the line."""
    chance = random.Random(seed)
    boots = [f"{chance.getrandbits(128):032x}" for _ in range(_WORKERS)]
    sequences = [0] * _WORKERS
    weights = [weight for *_, weight in ENDPOINTS]
    now = start
    for _ in range(number):
        now += timedelta(microseconds=int(chance.expovariate(per_second) * 1e6))
        worker = chance.randrange(_WORKERS)
        sequences[worker] += 1
        yield (
            worker,
            now,
            _line(chance, chance.choices(ENDPOINTS, weights)[0], worker, boots, sequences, now),
        )


def _line(
    chance: random.Random,
    endpoint: tuple[str, str, str, str, int],
    worker: int,
    boots: list[str],
    sequences: list[int],
    now: datetime,
) -> bytes:
    name, provider, model, answered, _ = endpoint
    failed = chance.random() < 0.03
    status, error = chance.choice(_FAILURES) if failed else (200, None)
    embeds, reasons = name == "embed", name == "reason"
    input_tokens = int(chance.lognormvariate(6.6, 1.1))
    output_tokens = 0 if embeds else int(chance.lognormvariate(5.2, 1.0)) * (3 if reasons else 1)
    streams = not embeds and chance.random() < 0.5
    upstream = 60 + output_tokens * chance.uniform(8, 16) + chance.lognormvariate(5.5, 0.6)
    cached = input_tokens // 128 * 128 if chance.random() < 0.3 else 0
    usage = not failed
    values = (
        SCHEMA_VERSION,
        _text(f"{chance.getrandbits(128):032x}"),
        _text(boots[worker]),
        sequences[worker],
        1,
        "true",
        _text(f"{now:%Y-%m-%dT%H:%M:%S.%f}Z"),
        _text(f"gateway-{1 + worker // 8}"),
        _text(f"llm-gateway-{1 + worker // 4 % 2}"),
        _text(f"10.3.{chance.randrange(4)}.{chance.randrange(250)}"),
        _text(f"team-{int(chance.triangular(1, 40, 5)):02}"),
        _text(f"user-{int(3000 * chance.random() ** 2):04}") if chance.random() < 0.6 else "null",
        _text(name),
        _text("embeddings" if embeds else "chat"),
        "true" if streams else "false",
        _text(provider),
        _text(model),
        _text(answered) if usage else "null",
        _text("default") if usage and provider == "openai" else "null",
        status,
        _text(error) if error else "null",
        input_tokens if usage else "null",
        cached if usage else "null",
        (0 if provider == "anthropic" else "null") if usage else "null",
        output_tokens if usage else "null",
        (int(output_tokens * 0.6) if reasons else 0) if usage and provider == "openai" else "null",
        0 if usage and provider == "openai" else "null",
        0 if usage and provider == "openai" else "null",
        _text("provider") if usage else "null",
        "null",
        _text("stop") if usage and not embeds else "null",
        round(upstream + chance.uniform(0.6, 3), 3),
        round(upstream, 3),
        round(chance.lognormvariate(5.8, 0.5), 3) if streams and usage else "null",
        input_tokens * 4 + chance.randrange(120, 400),
        output_tokens * (180 if streams else 5) + chance.randrange(280, 420),
        _text("0.1.0"),
        _text("3f9a0c5be177"),
    )
    return b"{%s}\n" % ",".join(map("%s:%s".__mod__, zip(_KEYS, values, strict=True))).encode()


_KEYS = [f'"{known.name}"' for known in FIELDS]


def _text(value: str) -> str:
    return f'"{value}"'


def write(incoming: Path, number: int, per_second: float, start: datetime) -> None:
    """Write records into files of workers and hours, named as gateways name them."""
    incoming.mkdir(parents=True, exist_ok=True)
    hour = ""
    files: dict[int, IO[bytes]] = {}
    for worker, now, line in lines(number, per_second, start):
        if f"{now:%Y%m%dT%H}" != hour:
            hour = f"{now:%Y%m%dT%H}"
            for file in files.values():
                file.close()
            files = {}
        if worker not in files:
            host, instance = 1 + worker // 8, 1 + worker // 4 % 2
            name = f"requests-gateway-{host}-llm-gateway-{instance}-{worker:08x}-{hour}.jsonl"
            files[worker] = (incoming / name).open("ab")
        files[worker].write(line)
    for file in files.values():
        file.close()


def main() -> None:
    """Fill a store's incoming/."""
    parser = argparse.ArgumentParser(description="Fill a store's incoming/ with realistic request records.")
    parser.add_argument("store", type=Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--per-second", type=float, default=100.0, help="calls a second over the whole fleet")
    arguments = parser.parse_args()
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
    write(arguments.store / "incoming" / "requests", arguments.records, arguments.per_second, start)


if __name__ == "__main__":
    main()
