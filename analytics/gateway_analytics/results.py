"""The calls in a results file of gateway-eval, as request records."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway_analytics.problems import UsageProblem

SCHEMA_VERSION = 1


def read_results(path: Path) -> list[dict[str, Any]]:
    """One request record per turn; what an evaluation cannot know is None. Raises UsageProblem."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageProblem(f"--results: {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise UsageProblem(
            f"--results: {path} is no JSON. Give a file that gateway-eval run wrote."
        ) from None
    if not isinstance(document, dict) or document.get("tool") != "gateway-eval":
        raise UsageProblem(
            f"--results: {path} was not written by gateway-eval. Give a file that gateway-eval run wrote."
        )
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UsageProblem(
            f"--results: {path} has schema_version {document.get('schema_version')!r}; this program reads"
            f" {SCHEMA_VERSION}. Use the gateway-analytics that came with the gateway-eval that wrote it."
        )
    try:
        return [_record(number, host, turn) for number, (host, turn) in enumerate(_turns(document), start=1)]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageProblem(
            f"--results: {path} is no complete results file ({error!r}). Run gateway-eval again."
        ) from None


def _turns(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every turn with the host that it was put to: a run may ask several."""
    for case in document["cases"]:
        host = urlsplit(case.get("base_url") or document["base_url"]).netloc
        yield from ((host, turn) for turn in case["turns"])


def _record(number: int, host: str, turn: dict[str, Any]) -> dict[str, Any]:
    usage = turn.get("usage") or {}
    same = (
        "endpoint",
        "operation",
        "stream",
        "http_status",
        "error_class",
        "provider",
        "request_model",
        "response_model",
        "service_tier",
        "provider_cost_usd",
        "finish_reason",
        "duration_ms",
        "time_to_first_token_ms",
    )
    tokens = (
        "input_tokens",
        "cached_input_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "input_audio_tokens",
        "output_audio_tokens",
    )
    return {
        "schema_version": 1,
        "request_id": turn["request_id"],
        "boot_id": "results",
        "sequence": number,
        "attempt": 1,
        # What the evaluation tried again was a call of its own: the gateway counted each.
        "final": True,
        "received_at": turn["started_at"],
        "host": host,
        **{name: turn.get(name) for name in same},
        **{name: usage.get(name) for name in tokens},
    }
