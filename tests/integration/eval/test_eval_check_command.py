"""`gateway-eval check`: what it tells, and that it never costs anything."""

import datetime
import socket
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.emulator import running_emulator
from support.evaluation import gateway_eval
from support.hostile_server import HostileServer, echo_key, hang, http

CANARY = "sk-canary-0d9b52e66f1a4c3e"


@pytest.fixture
def nowhere() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_healthy_mlflow_gateway(host: HostileServer, tmp_path: Path) -> None:
    host.gets["/openapi.json"] = http(200, {"info": {"title": "MLflow AI Gateway", "version": "3.17.2"}})
    ended = gateway_eval(tmp_path, "check", host.url)
    assert ended.code == 0, ended.err
    for words in ("ok (/health in ", "mlflow", "MLflow AI Gateway 3.17.2", "gpt-4o-mini", "embeddings"):
        assert words in ended.out
    assert not host.calls


def test_json(host: HostileServer, tmp_path: Path) -> None:
    document = gateway_eval(tmp_path, "check", "--json", host.url).json()
    assert set(document) == {"schema_version", "command", "range", "rows", "totals", "warnings"}
    (row,) = document["rows"]
    assert row["status"] == "ok"
    assert (row["reachable"], row["healthy"], row["api"], row["version"]) == (True, True, "mlflow", None)
    assert row["endpoints"][1] == {
        "name": "chat",
        "type": "chat",
        "provider": "openai",
        "model": "gpt-4o-mini",
    }
    assert row["tls"] is None
    assert document["totals"] == {"hosts": 1, "ok": 1}


def test_litellm_is_not_asked_for_the_health_that_calls_its_models(
    host: HostileServer, tmp_path: Path
) -> None:
    host.gets = {
        "/v1/models": http(200, {"data": [{"id": "gpt-4o"}]}),
        "/health/readiness": http(200, {"status": "healthy", "litellm_version": "1.109.0"}),
        "/health": http(200, {"healthy_endpoints": []}),
    }
    document = gateway_eval(tmp_path, "check", "--json", host.url).json()
    assert document["rows"][0]["healthy"] is True
    assert document["rows"][0]["version"] == "1.109.0"
    assert "/health" not in [request.path for request in host.requests]


def test_host_that_says_it_is_not_well(host: HostileServer, tmp_path: Path) -> None:
    host.gets["/health"] = http(503, {"status": "draining"})
    ended = gateway_eval(tmp_path, "check", "--json", host.url)
    assert ended.code == 1
    (row,) = ended.json()["rows"]
    assert (row["status"], row["reachable"], row["healthy"]) == ("unhealthy", True, False)
    assert "draining" in row["error"]["message"]


def test_host_that_serves_but_complains(host: HostileServer, tmp_path: Path) -> None:
    host.gets["/health"] = http(200, {"status": "DEGRADED", "problems": ["the spool is full", "and more"]})
    ended = gateway_eval(tmp_path, "check", "--json", host.url)
    assert ended.code == 1
    (row,) = ended.json()["rows"]
    assert (row["status"], row["reachable"], row["healthy"]) == ("degraded", True, True)
    assert "DEGRADED: the spool is full; and more" in ended.err
    health_alone = tmp_path / "cases.json"
    health_alone.write_text('[{"name": "a", "health": true}]')
    assert gateway_eval(tmp_path, "run", host.url, "--cases", str(health_alone)).code == 0


def test_host_without_health_is_no_failure(host: HostileServer, tmp_path: Path) -> None:
    host.gets = {"/v1/models": http(200, {"data": [{"id": "gpt-4o"}]})}
    ended = gateway_eval(tmp_path, "check", host.url)
    assert ended.code == 0
    assert "not offered" in ended.out


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        (http(401, {"error": {"message": "no key"}}), 4, "refused"),
        (http(200, b"<html></html>", "text/html"), 1, "unusable"),
        (http(502, b"<html></html>", "text/html"), 1, "unusable"),
        (http(301, b"", Location="https://gateway.example/"), 1, "unusable"),
    ],
)
def test_host_that_answers_but_cannot_be_used(
    host: HostileServer, tmp_path: Path, answer: bytes, code: int, status: str
) -> None:
    host.gets["/api/2.0/endpoints/"] = answer
    ended = gateway_eval(tmp_path, "check", "--json", host.url)
    assert ended.code == code
    assert ended.json()["rows"][0]["status"] == status


def test_host_that_does_not_answer(host: HostileServer, tmp_path: Path) -> None:
    host.gets["/api/2.0/endpoints/"] = hang
    ended = gateway_eval(tmp_path, "check", "--timeout", "1", host.url)
    assert ended.code == 3
    assert "timeout" in ended.err


def test_several_hosts_are_all_told_and_the_worst_decides(
    host: HostileServer, nowhere: str, tmp_path: Path
) -> None:
    ended = gateway_eval(tmp_path, "check", "--json", host.url, nowhere)
    assert ended.code == 3
    assert [row["status"] for row in ended.json()["rows"]] == ["ok", "unreachable"]
    assert ended.json()["totals"] == {"hosts": 2, "ok": 1}


@pytest.mark.parametrize("form", ["table", "json"])
def test_key_is_nowhere_even_if_the_host_repeats_it(host: HostileServer, tmp_path: Path, form: str) -> None:
    host.gets["/api/2.0/endpoints/"] = echo_key
    ended = gateway_eval(tmp_path, "check", host.url, "--api-key-env", "KEY", "--format", form, KEY=CANARY)
    assert ended.code == 4
    assert host.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in ended.out + ended.err


def test_help_names_every_exit_code(tmp_path: Path) -> None:
    ended = gateway_eval(tmp_path, "--help")
    assert ended.code == 0
    for code in ("0 pass", "3", "unreachable", "4 authentication", "5 quota", "6 rate limited", "130"):
        assert code in ended.out


def test_wrong_url_is_usage(tmp_path: Path) -> None:
    ended = gateway_eval(tmp_path, "check", "10.3.49.202:5000")
    assert ended.code == 2
    assert "http://10.3.49.202:5000" in ended.err


def write_certificate(directory: Path, days_left: int) -> tuple[Path, Path]:
    """Make a certificate for localhost that signs itself; return it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=days_left, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = directory / "certificate.pem", directory / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return pem, private


def test_tls_is_described_and_its_end_announced(tmp_path: Path) -> None:
    pem, private = write_certificate(tmp_path, days_left=5)
    arguments = ["check", "--json", "--api-key-env", "KEY"]
    with running_emulator(host="localhost", tls_certificate=pem, tls_key=private) as emulator:
        ended = gateway_eval(tmp_path, *arguments, emulator.base_url, KEY=CANARY, REQUESTS_CA_BUNDLE=str(pem))
        untrusted = gateway_eval(tmp_path, *arguments, emulator.base_url, KEY=CANARY)
    assert ended.code == 0, ended.err
    tls = ended.json()["rows"][0]["tls"]
    assert (tls["version"], tls["subject"], tls["days_left"]) == ("TLSv1.3", "gateway test", 5)
    assert "the certificate expires in 5 days" in ended.err
    assert ended.json()["warnings"]
    assert untrusted.code == 3
    assert "not trusted" in untrusted.err
    assert "REQUESTS_CA_BUNDLE" in untrusted.err


def test_expired_certificate_is_told(tmp_path: Path) -> None:
    pem, private = write_certificate(tmp_path, days_left=-1)
    with running_emulator(host="localhost", tls_certificate=pem, tls_key=private) as emulator:
        ended = gateway_eval(tmp_path, "check", emulator.base_url, REQUESTS_CA_BUNDLE=str(pem))
    assert ended.code == 3
    assert "expired" in ended.err


FLEET = """
gateway:
  hosts: {{gw-1: {{}}}}
  vars: {{ansible_connection: local, gateway_bind_address: 127.0.0.1, gateway_first_port: {port}}}
load_balancer:
  hosts: {{gw-1: {{load_balancer_port: {port}}}}}
"""


def test_a_whole_inventory(host: HostileServer, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(FLEET.format(port=host.url.rpartition(":")[2]))
    ended = gateway_eval(tmp_path, "check", "-i", str(inventory))
    assert ended.code == 0, ended.err
    assert "gw-1/1   gateway         ok" in ended.out
    assert "2 of 2 ok" in ended.out
    rows = gateway_eval(tmp_path, "check", "-i", str(inventory), "--json").json()["rows"]
    assert [(row["name"], row["role"]) for row in rows] == [("gw-1", "load_balancer"), ("gw-1/1", "gateway")]
    assert not host.calls


def answer_with_key(connection: socket.socket, server: HostileServer) -> None:
    """Refuse calls without the right key, and then find fault with their content, as gateways do."""
    right = server.requests[-1].headers.get("authorization") == f"Bearer {CANARY}"
    connection.sendall(http(422, {"detail": "no messages"}) if right else http(401, {"detail": "no key"}))


@pytest.mark.parametrize(
    ("key", "word", "code"), [(CANARY, "accepted", 0), ("sk-some-other-key", "refused", 4)]
)
def test_key_is_tried_without_a_model(
    host: HostileServer, tmp_path: Path, key: str, word: str, code: int
) -> None:
    host.will(answer_with_key)
    ended = gateway_eval(tmp_path, "check", "--json", host.url, "--api-key-env", "KEY", KEY=key)
    assert ended.code == code
    assert ended.json()["rows"][0]["key"] == word
    assert [call.body for call in host.calls] == [{}, {}], "a call without content reaches no model"


@pytest.mark.parametrize(("options", "word"), [([], "missing"), (["--api-key-env", "KEY"], "refused")])
def test_host_that_tells_only_its_health_without_a_key(
    host: HostileServer, tmp_path: Path, options: list[str], word: str
) -> None:
    refusal = http(401, {"error": {"message": "no key"}})
    host.gets |= dict.fromkeys(["/api/2.0/endpoints/", "/v1/models", "/health/readiness"], refusal)
    ended = gateway_eval(tmp_path, "check", "--json", host.url, *options, KEY="sk-some-other-key")
    assert ended.code == 4
    (row,) = ended.json()["rows"]
    assert (row["status"], row["key"], row["healthy"], row["health_path"]) == (
        "refused",
        word,
        True,
        "/health",
    )


def test_key_that_nobody_asks_for(host: HostileServer, tmp_path: Path) -> None:
    host.will(http(422, {"detail": "no messages"}))
    ended = gateway_eval(tmp_path, "check", host.url, "--api-key-env", "KEY", KEY=CANARY)
    assert ended.code == 0
    assert "not asked for" in ended.out


def test_key_of_a_host_that_fails_without_one(host: HostileServer, tmp_path: Path) -> None:
    """LiteLLM without a database answers 500 to a call without a key."""
    host.will(http(500, b"Internal Server Error", "text/plain"), http(400, {"error": {"message": "x"}}))
    ended = gateway_eval(tmp_path, "check", "--json", host.url, "--api-key-env", "KEY", KEY=CANARY)
    assert ended.json()["rows"][0]["key"] == "accepted"
    host.will(http(500, b"Internal Server Error", "text/plain"))
    ended = gateway_eval(tmp_path, "check", "--json", host.url, "--api-key-env", "KEY", KEY=CANARY)
    assert (ended.code, ended.json()["rows"][0]["key"]) == (0, None)


def test_what_a_gateway_says_of_itself_is_shown(host: HostileServer, tmp_path: Path) -> None:
    host.gets["/health"] = http(200, {"status": "OK", "version": "0.1.0", "spool": "writable", "more": {}})
    ended = gateway_eval(tmp_path, "check", host.url)
    assert "spool writable" in ended.out
    assert "0.1.0" in ended.out


def test_timeout_bounds_all_that_a_host_is_asked(host: HostileServer, tmp_path: Path) -> None:
    """Each of the questions alone would be answered in time."""

    in_time = dict(host.gets)

    def late(connection: socket.socket, server: HostileServer) -> None:
        server.over.wait(0.8)
        answer = in_time[server.requests[-1].path]
        assert isinstance(answer, bytes)
        connection.sendall(answer)

    host.gets = dict.fromkeys(host.gets, late)
    ended = gateway_eval(tmp_path, "check", "--timeout", "1", host.url)
    assert ended.code == 3
    assert "timeout" in ended.err


def test_store_that_lags(host: HostileServer, tmp_path: Path) -> None:
    incoming = tmp_path / "store" / "incoming" / "requests"
    incoming.mkdir(parents=True)
    (incoming / "a.jsonl").write_text('{"host": "gw-1", "received_at": "2026-01-01T00:00:00.000000Z"}\n')
    arguments = ["check", host.url, "--store", "store"]
    seen = gateway_eval(tmp_path, *arguments)
    assert seen.code == 0
    assert "gw-1" in seen.out
    lags = gateway_eval(tmp_path, *arguments, "--max-lag", "60")
    assert lags.code == 1
    assert "no record within 60 s of the store, gw-1" in lags.err
    assert gateway_eval(tmp_path, "check", host.url, "--store", "nowhere").code == 1
    assert gateway_eval(tmp_path, "check", host.url, "--max-lag", "60").code == 2
