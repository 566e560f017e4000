"""Callers that call too often are told so by the load balancer, each for itself; metrics stay inside."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import openai
import pytest
import requests

from support.load_balancer import NGINX, LoadBalancer, gateways, load_balancer

pytestmark = pytest.mark.skipif(shutil.which(NGINX) is None, reason="nginx is not installed on this machine")

KEY = "sk-caller-canary-51c2b8"
# Slow enough that no place frees up while a test runs.
LIMIT = {"load_balancer_requests_per_minute": 1, "load_balancer_requests_burst": 2}


def ask(balancer: LoadBalancer, path: str = "/v1/chat/completions", **headers: str) -> requests.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(balancer.url + path, json={}, headers=names, timeout=10)


def from_elsewhere() -> requests.Session:
    """A caller with another address, 127.0.0.2."""
    session = requests.Session()
    session.get_adapter("http://").init_poolmanager(1, 1, source_address=("127.0.0.2", 0))  # type: ignore[attr-defined]
    return session


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_each_key_has_its_own_limit(tmp_path: Path) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address, **LIMIT) as balancer:
        first = [ask(balancer, **bearer(KEY)) for _ in range(5)]
        assert [answer.status_code for answer in first] == [200, 200, 200, 429, 429]
        refused = first[-1]
        assert refused.headers["retry-after"] == "60"
        assert refused.headers["content-type"] == "application/json"
        document = refused.json()
        assert document["error"]["type"] == "requests"
        assert document["error"]["code"] == "rate_limit_exceeded"
        assert document["request_id"] == refused.headers["x-request-id"]
        # The same key, in whichever header it comes; another one is another caller.
        assert ask(balancer, x_api_key=KEY).status_code == 429
        assert ask(balancer, api_key=KEY).status_code == 429
        assert ask(balancer, **bearer(f"{KEY}-2")).status_code == 200
        assert ask(balancer).status_code == 200  # no key: the address
        assert len(gateway.calls) == 5
        records = balancer.records(9)
    assert [record["limited"] for record in records] == [False] * 3 + [True] * 4 + [False] * 2
    limited = records[3]
    assert (limited["http_status"], limited["upstream_address"]) == (429, None)
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    everything = everything.replace((tmp_path / "nginx.conf").read_bytes(), b"")
    assert KEY.encode() not in everything


def test_without_keys_each_address_has_its_limit(tmp_path: Path) -> None:
    with (
        gateways(None) as (gateway,),
        load_balancer(tmp_path, gateway.address, load_balancer_limit_per="address", **LIMIT) as balancer,
    ):
        statuses = [ask(balancer, **bearer(f"made-up-{number}")).status_code for number in range(4)]
        elsewhere = from_elsewhere().post(f"{balancer.url}/v1/embeddings", json={}, timeout=10)
    assert statuses == [200, 200, 200, 429]
    assert elsewhere.status_code == 200


def test_what_is_too_long_for_a_key_counts_for_the_address(tmp_path: Path) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address, **LIMIT) as balancer:
        statuses = [ask(balancer, **bearer(f"{number}" * 300)).status_code for number in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_probes_are_not_limited(tmp_path: Path) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address, **LIMIT) as balancer:
        for _ in range(10):
            assert requests.get(f"{balancer.url}/health", timeout=10).status_code == 200


def test_without_a_limit_nobody_is_limited(tmp_path: Path) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        statuses = Counter(ask(balancer, **bearer(KEY)).status_code for _ in range(50))
        assert statuses == {200: 50}
        assert not any(record["limited"] for record in balancer.records(50))


def test_a_gateways_own_refusal_passes_unchanged(tmp_path: Path) -> None:
    with (
        gateways(lambda handler: handler.reply("tokens", 429, Retry_After="7")) as (gateway,),
        load_balancer(tmp_path, gateway.address, **LIMIT) as balancer,
    ):
        answer = ask(balancer)
        assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (429, "tokens", "7")
        (record,) = balancer.records(1)
    assert record["limited"] is False


def test_a_client_library_raises_what_it_should(tmp_path: Path) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address, **LIMIT) as balancer:
        for _ in range(3):
            ask(balancer, **bearer(KEY))
        client = openai.OpenAI(base_url=f"{balancer.url}/v1", api_key=KEY, max_retries=0)
        with pytest.raises(openai.RateLimitError, match="1 requests per minute"):
            client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "hello"}])


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics?x=1", "//metrics", "/%6detrics", "/x/../metrics", "/./metrics"]
)
def test_metrics_stay_inside(tmp_path: Path, path: str) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        answer = balancer.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b'"code":"not_found"' in answer
        assert gateway.calls == []


def test_what_others_must_not_see_is_not_there_for_them(tmp_path: Path) -> None:
    """Callers of 127.0.0.2 stand for the outside."""
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        for page in ("generation", "status"):
            path = f"/load_balancer/{page}"
            assert requests.get(balancer.url + path, timeout=10).status_code == 200
            answer = from_elsewhere().get(balancer.url + path, timeout=10)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
        assert {record["http_status"] for record in balancer.records(2)} == {404}  # only theirs are calls


def test_who_is_named_may_see_it(tmp_path: Path) -> None:
    allowed = {"load_balancer_internal_from": ["127.0.0.2/31"]}
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address, **allowed) as balancer:
        answer = from_elsewhere().get(f"{balancer.url}/load_balancer/status", timeout=10)
        assert answer.text.startswith("Active connections: ")


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 20000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "request_line_too_large"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400, "bad_request"),
    ],
    ids=["header", "address", "no host", "no length"],
)
def test_what_cannot_be_read_is_refused_in_words(
    tmp_path: Path, request_bytes: bytes, status: int, code: str
) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        header, body = balancer.send(request_bytes).split(b"\r\n\r\n", 1)
        assert header.startswith(f"HTTP/1.1 {status} ".encode())
        assert json.loads(body)["error"]["code"] == code
        assert gateway.calls == []
