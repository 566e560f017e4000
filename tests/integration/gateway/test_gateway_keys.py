"""Keys and limits as callers meet them: who is let in, what others are told, what the records say."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import requests
import yaml

from support.emulator import Emulator
from support.gateway import Gateway, endpoint, openai_endpoint, running_gateway, wait_until
from support.hostile_server import hostile_server

SECRET = "sk-caller-canary-2b7e151628ae"
ONLY_MINI = "sk-caller-canary-d2a6abf71588"
EXPIRED = "sk-caller-canary-09cf4f3c4fbe"


def key(secret: str, identity: str, **fields: Any) -> dict[str, Any]:
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return {"id": identity, "sha256": digest, "owner": "tests"} | fields


KEYS = [
    key(SECRET, "anything"),
    key(ONLY_MINI, "only-mini", endpoints=["mini"]),
    key(EXPIRED, "expired", valid_until="2020-12-31"),
    *(key(f"{SECRET}-{n}", f"limited-{n}", requests_per_minute=5) for n in range(3)),
    key(f"{SECRET}-tokens", "tokens", tokens_per_minute=50),
]


def write(path: Path, keys: list[dict[str, Any]], **more: Any) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump({"keys": keys} | more))
    fresh.rename(path)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.yaml"
    write(path, KEYS)
    return path


@pytest.fixture(scope="module")
def guarded(config: dict[str, Any], key_file: Path) -> Iterator[Gateway]:
    with running_gateway(config, workers=2, GATEWAY_API_KEYS=str(key_file)) as running:
        yield running


def ask(gateway: Gateway, headers: dict[str, str], model: Any = "chat", **body: Any) -> requests.Response:
    message = {"model": model, "messages": [{"role": "user", "content": "hello"}], **body}
    return gateway.post("/v1/chat/completions", message, headers=headers)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def metric(gateway: Gateway, name: str) -> list[float]:
    """Return the values of a metric's samples."""
    page = requests.get(f"{gateway.url}/metrics", timeout=10).text
    return [float(value) for value in re.findall(rf"(?m)^llm_gateway_{name}(?:{{.*}})? (\S+)$", page)]


@pytest.mark.parametrize(
    "headers",
    [
        bearer(SECRET),
        {"authorization": f"bearer  {SECRET} "},
        {"x-api-key": SECRET},
        {"api-key": SECRET},
        {"Authorization": "Basic dXNlcjpwYXNz", "x-api-key": SECRET},
    ],
    ids=["OpenAI", "spaces and case", "Anthropic", "Azure", "a proxy's own credentials"],
)
def test_a_key_is_let_in_and_named_in_the_record(guarded: Gateway, headers: dict[str, str]) -> None:
    answer = ask(guarded, headers)
    assert answer.status_code == 200
    record = guarded.record_of(answer)
    assert (record["api_key_id"], record["error_class"]) == ("anything", None)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, None),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, None),
        ({"Authorization": "Bearer "}, None),
        (bearer("sk-wrong-canary"), "invalid_api_key"),
        (bearer(hashlib.sha256(SECRET.encode()).hexdigest()), "invalid_api_key"),
        (bearer(EXPIRED), "invalid_api_key"),
        (bearer("é"), "invalid_api_key"),
    ],
    ids=["none", "not a key", "empty", "wrong", "the hash", "expired", "not ASCII"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_who_has_no_valid_key_gets_401_and_a_record(
    guarded: Gateway, emulator: Emulator, headers: dict[str, str], code: str | None, stream: bool
) -> None:
    emulator.reset()
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = ask(guarded, encoded, stream=stream)  # type: ignore[arg-type]
    assert answer.status_code == 401
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, None)
    record = guarded.record_of(answer)
    assert (record["http_status"], record["error_class"]) == (401, "authentication")
    assert (record["api_key_id"], record["endpoint"]) == (None, "chat")
    assert emulator.stats()["received"] == 0


def test_a_key_is_kept_to_its_endpoints(guarded: Gateway, emulator: Emulator) -> None:
    assert ask(guarded, bearer(ONLY_MINI), "mini").status_code == 200
    emulator.reset()
    refused = ask(guarded, bearer(ONLY_MINI), "chat")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
    record = guarded.record_of(refused)
    assert (record["error_class"], record["api_key_id"]) == ("permission", "only-mini")
    body = {"messages": [{"role": "user", "content": "hello"}]}
    by_path = guarded.post("/gateway/chat/invocations", body, headers=bearer(ONLY_MINI))
    assert by_path.status_code == 403
    assert guarded.record_of(by_path)["error_class"] == "permission"
    assert emulator.stats()["received"] == 0


@pytest.mark.parametrize(
    ("body", "status", "error_class"),
    [
        (b'{"model": "nonesuch", "messages": []}', 404, "not_found"),
        (b'{"model": ["chat"], "messages": []}', 404, "not_found"),
        (b"{", 400, "invalid_request"),
        ('{"model": "chat", "messages": [{"role": "user", "content": "hi"}]}'.encode("utf-16"), None, None),
        (b'{"model": "mini", "model": "chat", "messages": []}', 403, "permission"),
    ],
    ids=["unknown", "no text", "no JSON", "another encoding", "named twice"],
)
def test_no_spelling_gets_a_key_beyond_its_endpoints(
    guarded: Gateway, emulator: Emulator, body: bytes, status: int | None, error_class: str | None
) -> None:
    emulator.reset()
    answer = guarded.post(
        "/v1/chat/completions", body, headers=bearer(ONLY_MINI) | {"content-type": "application/json"}
    )
    if status is not None:
        assert answer.status_code == status
        assert guarded.record_of(answer)["error_class"] == error_class
    assert answer.status_code >= 400
    assert emulator.stats()["received"] == 0


def test_pages_need_a_key_and_probes_do_not(guarded: Gateway) -> None:
    for path in ("/api/2.0/endpoints/", "/v1/models", "/v1/models/chat", "/docs", "/openapi.json", "/"):
        assert requests.get(guarded.url + path, timeout=10).status_code == 401, path
    assert guarded.post("/api/2.0/endpoints/limits/", {}).status_code == 401
    listed = requests.get(f"{guarded.url}/api/2.0/endpoints/", headers=bearer(SECRET), timeout=10)
    assert "chat" in [endpoint["name"] for endpoint in listed.json()["endpoints"]]
    assert requests.get(f"{guarded.url}/health", timeout=10).json()["status"] == "OK"
    assert requests.get(f"{guarded.url}/metrics", timeout=10).status_code == 200


def test_client_libraries_raise_what_they_should(guarded: Gateway) -> None:
    messages: Any = [{"role": "user", "content": "hello"}]

    def client(secret: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=secret, max_retries=0, timeout=30)

    answer = client(SECRET).chat.completions.create(model="chat", messages=messages)
    assert answer.choices[0].message.content
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
        client("sk-wrong-canary").chat.completions.create(model="chat", messages=messages)
    with pytest.raises(openai.PermissionDeniedError, match="may not use"):
        client(ONLY_MINI).chat.completions.create(model="chat", messages=messages)
    claude = anthropic.Anthropic(base_url=guarded.url, api_key="sk-wrong-canary", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError, match=r"authentication_error.*Incorrect API key"):
        claude.messages.create(model="claude", max_tokens=9, messages=messages)
    with pytest.raises(anthropic.PermissionDeniedError, match=r"permission_error.*may not use"):
        claude.with_options(api_key=ONLY_MINI).messages.create(
            model="claude", max_tokens=9, messages=messages
        )


def test_a_limit_of_requests_holds_over_both_workers(guarded: Gateway) -> None:
    headers = bearer(f"{SECRET}-0")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(guarded, headers), range(20)))
    assert Counter(answer.status_code for answer in answers) == {200: 5, 429: 15}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    record = guarded.record_of(refused)
    assert (record["error_class"], record["api_key_id"]) == ("rate_limit", "limited-0")
    assert ask(guarded, bearer(f"{SECRET}-1")).status_code == 200  # another key's limit is its own


def test_a_limit_of_tokens_counts_what_providers_counted(guarded: Gateway) -> None:
    headers = bearer(f"{SECRET}-tokens")
    used = 0
    while used < 50:
        answer = ask(guarded, headers, stream=used > 0, stream_options={"include_usage": True})
        assert answer.status_code == 200
        record = guarded.record_of(answer)
        used += record["input_tokens"] + record["output_tokens"]
    refused = ask(guarded, headers)
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "tokens")
    client = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=f"{SECRET}-tokens", max_retries=0)
    with pytest.raises(openai.RateLimitError, match="50 tokens per minute"):
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "hello"}])


def test_a_changed_file_is_live_without_a_restart(config: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    write(path, [key("sk-first", "first")])
    with running_gateway(config, workers=2, GATEWAY_API_KEYS=str(path)) as gateway:
        wait_until(lambda: len(gateway.workers()) == 2, "both workers")
        workers = gateway.workers()

        def wait_for_keys() -> None:
            changed = pytest.approx(path.stat().st_mtime, rel=0, abs=1e-6)
            wait_until(
                lambda: metric(gateway, "api_keys_file_mtime_seconds") == [changed, changed],
                "both workers to have the keys",
                60,
            )

        def statuses(secret: str, calls: int = 10) -> Counter[int]:
            return Counter(ask(gateway, bearer(secret)).status_code for _ in range(calls))

        wait_for_keys()
        assert statuses("sk-first") == {200: 10}
        write(path, [key("sk-second", "second")])
        wait_for_keys()
        assert statuses("sk-second") == {200: 10}
        assert statuses("sk-first") == {401: 10}
        path.write_text("keys: [")
        wait_until(lambda: gateway.said("stay in force"), "the complaint about the broken file", 60)
        wait_until(lambda: metric(gateway, "api_keys_current") == [0], "the metrics to show it", 60)
        wait_until(
            lambda: requests.get(f"{gateway.url}/health", timeout=10).json()["status"] == "DEGRADED",
            "health to show it",
            60,
        )
        assert statuses("sk-second") == {200: 10}
        write(path, [key("sk-third", "third", requests_per_minute=4)], instances=2)
        wait_for_keys()
        assert statuses("sk-second") == {401: 10}
        assert statuses("sk-third", calls=5) == {200: 2, 429: 3}
        wait_until(lambda: metric(gateway, "api_keys_current") == [1], "the metrics to show it", 60)
        assert gateway.count_said("stay in force") == 1
        assert gateway.workers() == workers


def test_keys_go_neither_upstream_nor_into_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    write(path, [key(SECRET, "anything")])
    shown = [bearer(SECRET), {"x-api-key": SECRET}, {"api-key": SECRET}, bearer(f"{SECRET}-wrong")]
    with hostile_server() as provider:
        claude = {"anthropic_api_key": "$PROVIDER_KEY", "anthropic_api_base": f"{provider.url}/v1"}
        config = {
            "endpoints": [
                openai_endpoint("chat", f"{provider.url}/v1"),
                endpoint("claude", "chat", "anthropic", "claude-sonnet-4-5", **claude),
            ]
        }
        with running_gateway(config, GATEWAY_API_KEYS=str(path)) as gateway:
            statuses = [ask(gateway, headers).status_code for headers in shown]
            for path, model in (("/v1/messages", "claude"), ("/v1/responses", "chat")):
                body = {"model": model, "max_tokens": 9, "messages": [], "input": "hello"}
                gateway.post(path, body, headers={"x-api-key": SECRET, **bearer(SECRET)})
            page = requests.get(f"{gateway.url}/api/2.0/endpoints/", headers=bearer(SECRET), timeout=10).text
            gateway.wait_for_records(6)
            texts = [gateway.everything_written(), page]
            texts += [requests.get(gateway.url + path, timeout=10).text for path in ("/health", "/metrics")]
    assert statuses == [200, 200, 200, 401]
    texts += [json.dumps(call.headers) for call in provider.calls]
    assert len(provider.calls) == 5
    for text in texts:
        assert SECRET not in text
        assert hashlib.sha256(SECRET.encode()).hexdigest() not in text


@pytest.mark.parametrize("content", [None, "keys:\n- id: a\n"])
def test_it_does_not_start_with_keys_that_cannot_be_used(
    config: dict[str, Any], tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "keys.yaml"
    if content is not None:
        path.write_text(content)
    with (
        pytest.raises(pytest.fail.Exception, match=r"(?s)ended with 2: .*GATEWAY_API_KEYS: \S+/keys\.yaml "),
        running_gateway(config, GATEWAY_API_KEYS=str(path)),
    ):
        pass
