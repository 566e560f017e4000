"""The routes that MLflow's gateway does not have: answers are the provider's own, and every call counts."""

from typing import Any

import anthropic
import openai
import pytest
import requests

from gateway_contracts.request_record import problem
from support.emulator import Emulator
from support.gateway import KEY, Gateway, openai_endpoint, running_gateway
from support.gateway import endpoint as make_endpoint
from support.hostile_server import hostile_server, http

MESSAGES = [{"role": "user", "content": "hello"}]


def events(answer: requests.Response) -> list[str]:
    return [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]


def messages(gateway: Gateway, prompt: str, endpoint: str = "claude", **more: Any) -> requests.Response:
    body = {"model": endpoint, "max_tokens": 100, "messages": [{"role": "user", "content": prompt}], **more}
    return gateway.post("/v1/messages", body)


def respond(gateway: Gateway, prompt: str, endpoint: str = "chat", **more: Any) -> requests.Response:
    return gateway.post("/v1/responses", {"model": endpoint, "input": prompt, **more})


def test_models_are_endpoints_and_routes(gateway: Gateway) -> None:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="x")
    assert {"chat", "claude", "split"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("claude").owned_by == "anthropic"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope")


@pytest.mark.parametrize("stream", [False, True])
def test_messages(gateway: Gateway, emulator: Emulator, stream: bool) -> None:
    answer = messages(gateway, "hello [emulator:cached=100] [emulator:cache_write=30]", stream=stream)
    assert answer.status_code == 200
    if stream:
        assert (events(answer)[0], events(answer)[-1]) == ("message_start", "message_stop")
    else:
        assert answer.json()["content"][0]["type"] == "text"
        assert "provider" not in answer.json()
    record = gateway.record_of(answer)
    served = emulator.requests(1)[0]
    assert problem(record) is None
    assert (record["operation"], record["endpoint"], record["provider"]) == (
        "messages",
        "claude",
        "anthropic",
    )
    assert (record["input_tokens"], record["output_tokens"]) == (
        served["input_tokens"],
        served["output_tokens"],
    )
    assert (record["cached_input_tokens"], record["cache_write_tokens"]) == (100, 30)
    assert (record["stream"], record["usage_source"], record["finish_reason"]) == (stream, "provider", "stop")
    assert (record["time_to_first_token_ms"] is not None) is stream


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("endpoint", "provider"), [("chat", "openai"), ("azure", "azure")])
def test_responses(gateway: Gateway, emulator: Emulator, endpoint: str, provider: str, stream: bool) -> None:
    answer = respond(gateway, "hello [emulator:cached=5] [emulator:reasoning=3]", endpoint, stream=stream)
    assert answer.status_code == 200
    if stream:
        assert (events(answer)[0], events(answer)[-1]) == ("response.created", "response.completed")
    else:
        assert answer.json()["object"] == "response"
    record = gateway.record_of(answer)
    served = emulator.requests(1)[0]
    assert problem(record) is None
    assert (record["operation"], record["endpoint"], record["provider"]) == ("responses", endpoint, provider)
    assert (record["input_tokens"], record["output_tokens"]) == (
        served["input_tokens"],
        served["output_tokens"],
    )
    assert (record["cached_input_tokens"], record["reasoning_tokens"]) == (5, 3)
    assert (record["usage_source"], record["finish_reason"]) == ("provider", "stop")


def test_anthropics_client(gateway: Gateway) -> None:
    client = anthropic.Anthropic(base_url=gateway.url, api_key="the-callers-own")
    said = client.messages.create(model="claude", max_tokens=50, messages=MESSAGES)  # type: ignore[arg-type]
    assert said.content[0].type == "text"
    with client.messages.stream(model="claude", max_tokens=50, messages=MESSAGES) as stream:  # type: ignore[arg-type]
        assert "".join(stream.text_stream)
    with pytest.raises(anthropic.RateLimitError, match=r"rate|limit"):
        client.with_options(max_retries=0).messages.create(
            model="claude", max_tokens=50, messages=[{"role": "user", "content": "[emulator:rate_limit]"}]
        )
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="nope", max_tokens=50, messages=MESSAGES)  # type: ignore[arg-type]


def test_openais_client(gateway: Gateway) -> None:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="the-callers-own", max_retries=0)
    assert client.responses.create(model="chat", input="hello").output_text
    with client.responses.stream(model="chat", input="hello") as stream:
        assert [event.type for event in stream][-1] == "response.completed"
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model="chat", input="[emulator:rate_limit]")
    with pytest.raises(openai.NotFoundError, match="endpoint"):
        client.responses.create(model="nope", input="hello")


@pytest.mark.parametrize(
    ("path", "body", "status", "error_class"),
    [
        ("/v1/messages", {"model": "nope"}, 404, "not_found"),
        ("/v1/messages", {"model": "chat", "messages": MESSAGES}, 400, "invalid_request"),
        ("/v1/messages", b"{", 400, "invalid_request"),
        ("/v1/messages", [], 400, "invalid_request"),
        ("/v1/messages", {"messages": MESSAGES}, 404, "invalid_request"),
        ("/v1/responses", {"model": "nope", "input": "x"}, 404, "not_found"),
        ("/v1/responses", {"model": "claude", "input": "x"}, 400, "invalid_request"),
        ("/v1/responses", {"model": "vectors", "input": "x"}, 400, "invalid_request"),
        ("/v1/responses", b"\xff", 400, "invalid_request"),
    ],
)
def test_what_no_endpoint_can_serve(
    gateway: Gateway, emulator: Emulator, path: str, body: Any, status: int, error_class: str
) -> None:
    before = emulator.stats()["received"]
    answer = gateway.post(path, body)
    record = gateway.record_of(answer)
    assert answer.status_code == record["http_status"] == status
    assert answer.json()["error"]["message"]
    assert (answer.json().get("type") == "error") is (path == "/v1/messages")
    if "model" in (body if isinstance(body, dict) else {}):
        assert record["error_class"] == error_class
    assert emulator.stats()["received"] == before


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "error_class"),
    [
        ("authentication", 401, "authentication"),
        ("rate_limit", 429, "rate_limit"),
        ("server_error", 500, "provider"),
        ("html", 502, "provider"),
        ("empty", 502, "provider"),
        ("disconnect", 502, "network"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_a_providers_error_is_passed_on(
    gateway: Gateway, path: str, fault: str, status: int, error_class: str, stream: bool
) -> None:
    ask = messages if path == "/v1/messages" else respond
    answer = ask(gateway, f"[emulator:{fault}]", stream=stream)
    record = gateway.record_of(answer)
    assert answer.status_code == record["http_status"] == status
    assert answer.json()["error"]["message"]
    assert record["error_class"] == error_class


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_a_stream_that_is_cut_says_so(gateway: Gateway, path: str) -> None:
    ask = messages if path == "/v1/messages" else respond
    answer = ask(gateway, "[emulator:tokens=40] [emulator:cut_stream=10]", stream=True)
    assert events(answer)[-1] == "error"
    record = gateway.record_of(answer)
    assert (record["http_status"], record["error_class"], record["usage_source"]) == (
        200,
        "network",
        "partial",
    )


@pytest.mark.parametrize(
    ("path", "endpoint", "passed"),
    [("/v1/messages", "claude", "anthropic-beta"), ("/v1/responses", "chat", "openai-beta")],
)
def test_a_callers_credentials_go_no_further(path: str, endpoint: str, passed: str) -> None:
    """Nor does any other header, but for the one that switches on what is new in the provider's API."""
    sent = {"x-api-key": "callers", "authorization": "Bearer callers", "cookie": "callers", passed: "new-1"}
    with hostile_server() as provider:
        config = {
            "endpoints": [
                openai_endpoint("chat", f"{provider.url}/v1"),
                make_endpoint(
                    "claude",
                    "chat",
                    "anthropic",
                    "claude-sonnet-4-5",
                    anthropic_api_key="$PROVIDER_KEY",
                    anthropic_api_base=f"{provider.url}/v1",
                ),
            ]
        }
        with running_gateway(config) as gateway:
            provider.will(http(200, {"content": [], "output": []}))
            assert gateway.post(path, {"model": endpoint}, headers=sent).status_code == 200
    headers = provider.requests[-1].headers
    assert headers[passed] == "new-1"
    assert KEY in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer "))
    assert "callers" not in str(headers)
