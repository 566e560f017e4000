"""Calls to hosts that misbehave: each trouble is told apart, and none takes longer than allowed."""

import contextlib
import json
import socket
import struct
import threading

import pytest

from gateway_eval.chat import ChatOutcome, chat
from gateway_eval.failure import CallError
from gateway_eval.http_client import HttpClient
from gateway_eval.target import Api, Target, discover
from support.hostile_server import (
    LISTING,
    Answer,
    HostileServer,
    close,
    completion,
    cut_body,
    drip_body,
    drip_headers,
    drip_stream,
    event,
    gzip_bomb,
    gzip_garbage,
    hang,
    http,
    reset,
    stream,
)

HELLO = [{"role": "user", "content": "Hello"}]


def ask(host: HostileServer, *answers: Answer, streamed: bool = False, timeout_s: float = 20) -> ChatOutcome:
    host.will(*answers)
    client = HttpClient(host.url, timeout_s=timeout_s)
    target = discover(client)
    return chat(client, target, target.default_endpoint(), HELLO, stream=streamed)


def failure_of(outcome: ChatOutcome) -> str:
    assert outcome.failure is not None, outcome
    assert outcome.failure.advice
    assert "\n" not in outcome.failure.message
    return outcome.failure.failure_class.value


OPENAI_RATE_LIMIT = {
    "error": {"message": "Rate limit reached for gpt-4o", "type": "requests", "code": "rate_limit_exceeded"}
}
OPENAI_QUOTA = {"error": {"message": "No credit", "type": "insufficient_quota", "code": "insufficient_quota"}}
# What MLflow's gateway makes of OpenAI's answer: the code is gone.
MLFLOW_QUOTA = {"detail": "You exceeded your current quota, please check your plan and billing details."}
OPENAI_KEY = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
MISSING_FIELD = {"detail": [{"loc": ["body", "messages"], "msg": "Field required", "input": {}}]}

WHOLE_ANSWERS = {
    "401": (http(401, OPENAI_KEY), "authentication"),
    "403": (http(403, {"detail": "no access to this model"}), "permission"),
    "404": (http(404, {"detail": "Not Found"}), "not_found"),
    "422": (http(422, MISSING_FIELD), "invalid_request"),
    "429 too fast": (http(429, OPENAI_RATE_LIMIT), "rate_limit"),
    "429 no money": (http(429, OPENAI_QUOTA), "quota"),
    "429 no money, through MLflow": (http(429, MLFLOW_QUOTA), "quota"),
    "500 from the provider": (http(500, {"error": {"message": "The server had an error"}}), "provider"),
    "500 from the gateway": (http(500, b"Internal Server Error", "text/plain"), "gateway"),
    "502 from the load balancer": (http(502, b"<html>502 Bad Gateway</html>", "text/html"), "gateway"),
    "504": (http(504, b"<html>504 Gateway Time-out</html>", "text/html"), "timeout"),
    "200 that is an error": (http(200, {"error": {"message": "overloaded", "code": 503}}), "provider"),
    "HTML": (http(200, b"<html>Sign in</html>", "text/html"), "protocol"),
    "JSON cut short": (http(200, b'{"choices": [{"mess'), "protocol"),
    "no choices": (http(200, {"choices": []}), "protocol"),
    "a list": (http(200, [1, 2]), "protocol"),
    "nothing": (http(200, b""), "protocol"),
    "JSON of great depth": (http(200, b"[" * 100_000), "protocol"),
    "redirect to itself": (http(302, b"", Location="/gateway/chat/invocations"), "protocol"),
    "gzip garbage": (gzip_garbage(), "protocol"),
    "gzip bomb": (gzip_bomb(), "protocol"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "protocol"),
    "reset": (reset, "network"),
    "closed": (close, "network"),
    "closed in the body": (cut_body, "network"),
}


@pytest.mark.parametrize("name", WHOLE_ANSWERS)
def test_bad_answer_is_told_apart(host: HostileServer, name: str) -> None:
    answer, expected = WHOLE_ANSWERS[name]
    assert failure_of(ask(host, answer)) == expected
    assert len(host.calls) == 1, "nothing is retried or followed on its own"


@pytest.mark.parametrize("trouble", [hang, drip_headers, drip_body], ids=lambda trouble: trouble.__name__)
def test_timeout_bounds_the_whole_call(host: HostileServer, trouble: Answer) -> None:
    assert failure_of(ask(host, trouble, timeout_s=1)) == "timeout"


@pytest.mark.parametrize("trouble", [hang, drip_stream], ids=lambda trouble: trouble.__name__)
def test_timeout_bounds_a_whole_stream(host: HostileServer, trouble: Answer) -> None:
    assert failure_of(ask(host, trouble, streamed=True, timeout_s=1)) == "timeout"


def test_retry_after_is_told(host: HostileServer) -> None:
    outcome = ask(host, http(429, OPENAI_RATE_LIMIT, Retry_After="7"))
    assert outcome.failure is not None
    assert outcome.failure.retry_after_s == 7


def test_redirect_is_not_followed_but_named(host: HostileServer) -> None:
    outcome = ask(host, http(307, b"", Location="https://gateway.example/"))
    assert outcome.failure is not None
    assert "https://gateway.example/" in outcome.failure.message


HEAD = event({"role": "assistant", "content": ""})
TEXT = event({"content": "Hello"})
END = event(finish="stop")
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}\n\n'
DONE = b"data: [DONE]\n\n"


def error(**fields: str) -> bytes:
    return b"data: " + json.dumps({"error": fields}).encode() + b"\n\n"


STREAMS = {
    "no finish reason": (stream(HEAD, TEXT), "stream_cut"),
    "connection closed": (stream(HEAD, TEXT, whole=False), "stream_cut"),
    "connection closed before usage": (stream(HEAD, TEXT, END, whole=False), "stream_cut"),
    "cut inside an event": (stream(HEAD, TEXT, b'data: {"choices": [{"del'), "stream_cut"),
    "empty": (stream(b"\n"), "stream_cut"),
    "not JSON": (stream(HEAD, b"data: <html>\n\n", TEXT, END, DONE), "protocol"),
    "an event that is a number": (stream(HEAD, b"data: 7\n\n", DONE), "protocol"),
    "error event": (stream(HEAD, error(message="boom", type="server_error")), "provider"),
    "quota in an event": (stream(error(message="x", code="insufficient_quota")), "quota"),
    "rate limit in an event": (stream(error(message="Slow down", type="rate_limit_error")), "rate_limit"),
    "no stream at all": (http(200, completion()), "protocol"),
    "an error instead": (http(429, OPENAI_QUOTA), "quota"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_bad_stream_is_told_apart(host: HostileServer, name: str) -> None:
    answer, expected = STREAMS[name]
    assert failure_of(ask(host, answer, streamed=True)) == expected


def test_what_a_cut_stream_said_is_kept(host: HostileServer) -> None:
    outcome = ask(host, stream(HEAD, TEXT, TEXT), streamed=True)
    assert outcome.output == "HelloHello"
    assert outcome.finish_reason is None


@pytest.mark.parametrize("end", [(END, USAGE, DONE), (END, USAGE)], ids=["OpenAI", "MLflow"])
def test_stream_is_whole_with_or_without_done(host: HostileServer, end: tuple[bytes, ...]) -> None:
    outcome = ask(host, stream(HEAD, TEXT, *end), streamed=True)
    assert outcome.failure is None
    assert (outcome.output, outcome.finish_reason) == ("Hello", "stop")
    assert outcome.usage is not None
    assert (outcome.usage.input_tokens, outcome.usage.output_tokens) == (9, 2)


def test_stream_of_ten_megabytes_in_one_line(host: HostileServer) -> None:
    outcome = ask(host, stream(event({"content": "x" * 10_000_000}), END), streamed=True)
    assert outcome.failure is None
    assert outcome.output is not None
    assert len(outcome.output) == 10_000_000


def test_connection_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(CallError) as caught:
        discover(HttpClient(f"http://127.0.0.1:{port}", timeout_s=5))
    assert caught.value.failure.failure_class == "network"
    assert "refused" in caught.value.failure.message


def test_unknown_host_name() -> None:
    with pytest.raises(CallError) as caught:
        discover(HttpClient("http://no-such-host.invalid", timeout_s=20))
    assert caught.value.failure.failure_class == "network"
    assert "DNS" in caught.value.failure.message


def test_https_to_a_host_without_tls(host: HostileServer) -> None:
    with pytest.raises(CallError) as caught:
        discover(HttpClient(host.url.replace("http:", "https:"), timeout_s=20))
    assert caught.value.failure.failure_class == "network"
    assert "TLS" in caught.value.failure.message


@pytest.mark.parametrize(("read", "linger"), [(65536, None), (5, None), (65536, 0)])
def test_tls_handshake_that_is_broken_off_is_told_as_one(read: int, linger: int | None) -> None:
    """A server that has no TLS there may close in order, with bytes unread, or with a reset."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(read)
            if linger is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, linger))
            connection.close()

        server = threading.Thread(target=hang_up, daemon=True)
        server.start()
        with pytest.raises(CallError) as caught:
            HttpClient(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout_s=20).get_json("/")
        server.join(20)
    assert caught.value.failure.failure_class == "network"
    assert caught.value.failure.message == "TLS: the host closed the connection during the handshake"


def test_connection_is_not_used_again_after_a_failure() -> None:
    """The server closes it when it sees the next request on it: that would look like a second failure."""
    answer = http(500, b"Internal Server Error", "text/plain")
    seen: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for number in range(2):
                connection, _ = listener.accept()
                seen.append(number)
                connection.recv(65536)
                connection.sendall(answer)
                connection.recv(65536)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        client = HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=20)
        for _ in range(2):
            with pytest.raises(CallError) as caught:
                client.get_json("/")
            assert caught.value.failure.failure_class == "gateway"
    assert seen == [0, 1]


def test_timeout_bounds_a_tls_handshake_that_never_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError):
                connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB, byte by byte
                while not over.wait(0.05):
                    connection.sendall(b"\x02")

        server = threading.Thread(target=drip, daemon=True)
        server.start()
        with pytest.raises(CallError) as caught:
            HttpClient(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout_s=1).get_json("/")
        over.set()
        server.join(20)
    assert caught.value.failure.failure_class == "timeout"


def test_no_key_is_taken_from_netrc(
    host: HostileServer, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    ask(host, http(200, completion()))
    assert all("authorization" not in request.headers for request in host.requests)


def test_mlflow_listing_of_several_pages(host: HostileServer) -> None:
    first, second = ({"endpoints": [entry]} for entry in LISTING["endpoints"])
    host.gets = {
        "/api/2.0/endpoints/": http(200, {**first, "next_page_token": "a/b="}),
        "/api/2.0/endpoints/?page_token=a%2Fb%3D": http(200, second),
    }
    target = discover(HttpClient(host.url, timeout_s=5))
    assert [endpoint.name for endpoint in target.endpoints] == ["embeddings", "chat"]


def test_openai_host_is_found_by_asking(host: HostileServer) -> None:
    host.gets = {"/v1/models": http(200, {"data": [{"id": "text-embedding-3-small"}, {"id": "gpt-4o"}]})}
    client = HttpClient(host.url, timeout_s=5)
    target = discover(client)
    assert target.api is Api.OPENAI
    chat(client, target, target.default_endpoint(), HELLO, stream=True)
    assert host.calls[0].path == "/v1/chat/completions"
    assert host.calls[0].body["model"] == "gpt-4o"
    assert host.calls[0].body["stream_options"] == {"include_usage": True}


def test_host_that_is_no_gateway(host: HostileServer) -> None:
    host.gets = {"/api/2.0/endpoints/": http(200, b"<html>Welcome to nginx!</html>", "text/html")}
    with pytest.raises(CallError) as caught:
        discover(HttpClient(host.url, timeout_s=5))
    assert caught.value.failure.failure_class == "protocol"
    assert "--api" in caught.value.failure.advice


def test_host_that_lists_nothing_is_taken_at_the_users_word(host: HostileServer) -> None:
    host.gets = {}
    target = discover(HttpClient(host.url, timeout_s=5), Api.OPENAI)
    assert target == Target(host.url, Api.OPENAI, ())
