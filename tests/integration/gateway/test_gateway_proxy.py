"""Where the environment names a proxy, calls to providers go through it, and none of the others do."""

import pytest

from support.gateway import endpoint, openai_endpoint, running_gateway
from support.hostile_server import completion, event, hostile_server, http, stream

MESSAGES = [{"role": "user", "content": "hello"}]
NOWHERE = "http://provider.invalid/v1"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_proxy_is_asked_for_the_providers_url(streamed: bool) -> None:
    with hostile_server() as proxy:
        config = {
            "endpoints": [
                openai_endpoint("far", NOWHERE),
                openai_endpoint("near", f"{proxy.url}/v1"),
                endpoint(
                    "claude",
                    "chat",
                    "anthropic",
                    "claude-sonnet-4-5",
                    anthropic_api_key="$PROVIDER_KEY",
                    anthropic_api_base=NOWHERE,
                ),
            ]
        }
        words = stream(event({"content": "Ada"}), event(finish="stop"), b"data: [DONE]\n\n")
        proxy.will(words if streamed else http(200, completion()))
        with running_gateway(config, http_proxy=proxy.url, no_proxy="127.0.0.1") as gateway:
            for name, path in (("far", f"{NOWHERE}/chat/completions"), ("near", "/v1/chat/completions")):
                answer = gateway.chat("hello", name, stream=streamed)
                assert answer.status_code == 200
                assert b"Ada" in answer.content
                assert proxy.calls[-1].path == path
                assert gateway.record_of(answer)["finish_reason"] == "stop"
            proxy.will(http(200, {"content": [], "stop_reason": "end_turn"}))
            for path in ("/v1/messages", "/v1/chat/completions"):
                gateway.post(path, {"model": "claude", "max_tokens": 9, "messages": MESSAGES})
                assert proxy.calls[-1].path == f"{NOWHERE}/messages"


def test_a_proxy_that_is_not_there() -> None:
    config = {"endpoints": [openai_endpoint("far", NOWHERE)]}
    with running_gateway(config, http_proxy="http://127.0.0.1:9") as gateway:
        answer = gateway.chat("hello", "far")
        record = gateway.record_of(answer)
    assert answer.status_code == record["http_status"] == 502
    assert (record["error_class"], record["provider"]) == ("network", "openai")
