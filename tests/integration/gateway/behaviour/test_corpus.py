"""A corpus of requests gets MLflow's own answers from this gateway, but for differences that docs list."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import requests
import yaml

from support.gateway import Gateway, openai_endpoint

CORPUS = yaml.safe_load(Path(__file__).with_name("corpus.yml").read_text())
PAGE = Path(__file__).parents[4] / "docs" / "gateway.md"

# What differs between any two calls.
_CHANGING_KEYS = {"id", "created"}
_CHANGING_TEXT = re.compile(r"emulator0[0-9a-f]+")
# What providers say and MLflow's schema leaves out; and the version, in /health.
ADDED = {
    "annotations",
    "content_filter_results",
    "logprobs",
    "prompt_filter_results",
    "refusal",
    "service_tier",
    "system_fingerprint",
    "version",
}
SEEN: Counter[str] = Counter()


class Answer(NamedTuple):
    """What a caller sees; `body` is decoded where it is JSON, or a list of decoded events."""

    status: int
    kind: str
    body: Any
    whole: bool = True


def request_of(case: dict[str, Any]) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Return method, path, body and headers of a case."""
    method, path = case.get("method", "POST"), case.get("path", "/v1/chat/completions")
    kind = case.get("type", "application/json")
    headers = {"content-type": kind} if kind else {}
    if method == "GET":
        return method, path, None, {}
    if "raw_hex" in case:
        return method, path, bytes.fromhex(case["raw_hex"]), headers
    if "raw" in case:
        text = case["raw"]
    elif "whole" in case:
        text = json.dumps(case["whole"])
    else:
        body: dict[str, Any] = {"model": case.get("model", "chat")} if path.startswith("/v1/") else {}
        if "ask" in case:
            body["messages"] = [{"role": "user", "content": case["ask"]}]
        body |= case.get("body", {})
        text = json.dumps({name: value for name, value in body.items() if value is not None})
    deep = case.get("deep", 0)
    text = text.replace("FILLER", "A" * case.get("filler", 0)).replace('"DEEP"', "[" * deep + "]" * deep)
    return method, path, text.encode(), headers


def ask(base: str, case: dict[str, Any]) -> Answer:
    """Send a case and return the answer without what changes from call to call."""
    method, path, body, headers = request_of(case)
    with requests.request(
        method, base + path, data=body, headers=headers, timeout=60, stream=True, allow_redirects=False
    ) as found:
        content, whole = b"", True
        try:
            for part in found.iter_content(None):
                content += part
        except requests.RequestException:
            whole = False
        kind = found.headers.get("content-type", "").split(";")[0]
        return Answer(found.status_code, kind, decoded(kind, content), whole)


def decoded(kind: str, content: bytes) -> Any:
    """Return JSON or events decoded, and without ids and times."""
    text = content.decode("utf-8", "replace")
    if kind == "text/event-stream":
        lines = [line.removeprefix("data:").strip() for line in text.splitlines() if line.strip()]
        return [steady(json.loads(line)) if line.startswith("{") else line for line in lines]
    if kind == "application/json" and text:
        return steady(json.loads(text))
    return text


def steady(value: Any) -> Any:
    """Blank out ids and times."""
    if isinstance(value, dict):
        return {key: "" if key in _CHANGING_KEYS else steady(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [steady(inner) for inner in value]
    return _CHANGING_TEXT.sub("", value) if isinstance(value, str) else value


def holds(ours: Any, theirs: Any) -> bool:
    """Tell whether all that MLflow says is in our answer.

    MLflow drops what its schema does not know, puts null where the provider said nothing, and leaves out the
    `[DONE]` that ends a stream.
    """
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return all(holds(ours.get(name), value) for name, value in theirs.items())
    if isinstance(theirs, list) and isinstance(ours, list):
        ours = ours[:-1] if ours[-1:] == ["[DONE]"] else ours
        return len(ours) == len(theirs) and all(map(holds, ours, theirs))
    return bool(ours == theirs) or (ours is None and says_nothing(theirs))


def added(ours: Any, theirs: Any) -> set[str]:
    """Return the names of the fields that only our answer has."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = set(ours) - set(theirs)
        return found.union(*(added(value, theirs.get(name)) for name, value in ours.items()))
    if isinstance(theirs, list) and isinstance(ours, list):
        return set().union(*map(added, ours, theirs))
    return set()


def says_nothing(value: Any) -> bool:
    """Tell whether a value is null, or an object of nulls."""
    return value in (None, "") or (isinstance(value, dict) and all(map(says_nothing, value.values())))


@pytest.mark.parametrize("case", CORPUS, ids=[case["name"] for case in CORPUS])
def test_the_answer_is_mlflows_or_the_difference_is_listed(
    gateway: Gateway, stock: str, case: dict[str, Any]
) -> None:
    theirs, ours = ask(stock, case), ask(gateway.url, case)
    if "differs" not in case:
        assert ours[:2] == theirs[:2]
        assert ours.body == theirs.body if ours.status >= 400 else holds(ours.body, theirs.body)
        assert added(ours.body, theirs.body) <= ADDED
        SEEN["the same" if ours == theirs else "the same and what MLflow drops of the provider's words"] += 1
        return
    SEEN["listed one by one"] += 1
    assert (ours.status, theirs.status) == (case["here"], case["mlflow"])
    assert ours != theirs
    assert ours.whole


def test_the_corpus_is_large_and_its_differences_are_documented(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = Counter(case["name"] for case in CORPUS)
    assert [name for name, times in names.items() if times > 1] == []
    listed = [case for case in CORPUS if "differs" in case]
    section = PAGE.read_text().split("## What differs from MLflow")[1].split("\n## ")[0]
    rows = {line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")}
    assert {case["differs"] for case in listed} <= rows
    assert len(CORPUS) >= 80
    with capsys.disabled():
        click.echo(
            f"\n{len(CORPUS)} cases: " + "; ".join(f"{count} {how}" for how, count in SEEN.most_common())
        )


def test_the_routes_for_calls_are_those_of_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new route for calls in a later MLflow would go unrecorded: then this fails."""
    from mlflow.gateway.app import create_app_from_config
    from mlflow.gateway.config import GatewayConfig

    monkeypatch.setenv("MLFLOW_GATEWAY_RESOLVE_API_KEY_FROM_ENV", "true")
    monkeypatch.setenv("PROVIDER_KEY", "k")
    one = {"endpoints": [openai_endpoint("chat", "http://127.0.0.1:9/v1")]}
    app = create_app_from_config(GatewayConfig(**one))
    posts = {route.path for route in app.routes if "POST" in (getattr(route, "methods", None) or ())}
    assert posts == {
        "/gateway/chat/invocations",
        "/endpoints/chat/invocations",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/api/2.0/endpoints/limits/",
        "/api/2.0/gateway/limits/",
    }
