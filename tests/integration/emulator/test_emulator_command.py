"""`gateway-eval emulator` as a program."""

import base64
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from support.certificates import certificate_for
from support.emulator import running_emulator

PROGRAM = str(Path(sys.executable).with_name("gateway-eval"))


def chat(emulator, key="any", model="gpt-4o", path="/v1/chat/completions", **options):
    return requests.post(
        emulator.base_url + path,
        json={"model": model, "messages": [{"role": "user", "content": "Say hello"}], **options},
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=30,
        verify=emulator.verify,
    )


def raw_chat(content):
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": content}]})
    return (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def run(*arguments):
    return subprocess.run(
        [PROGRAM, "emulator", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
def test_accepts_only_the_keys_that_it_was_given(path):
    with running_emulator(api_key=["sk-right", "sk-other"]) as emulator:
        assert chat(emulator, "sk-right", path=path).status_code == 200
        wrong = chat(emulator, "sk-wrong-7f1d2c3b", path=path)
        assert wrong.json()["error"]["code"] == "invalid_api_key"
        assert "7f1d2c3b" not in wrong.text
        assert chat(emulator, None, path=path).status_code == 401
        assert emulator.stats()["by_status"] == {"200": 1, "401": 2}


def test_serves_only_the_models_that_it_was_given():
    with running_emulator(model=["gpt-4o"]) as emulator:
        assert chat(emulator).status_code == 200
        assert chat(emulator, model="gpt-4").json()["error"]["code"] == "model_not_found"
        listed = requests.get(
            emulator.openai_url + "/models", headers={"Authorization": "Bearer any"}, timeout=10
        ).json()
        assert [model["id"] for model in listed["data"]] == ["gpt-4o"]


def test_fails_as_often_as_it_was_told_to():
    with running_emulator(error_rate=1) as emulator:
        assert chat(emulator).status_code == 500
    with running_emulator(error_rate=0.5) as emulator:
        statuses = [chat(emulator).status_code for _ in range(40)]
        assert set(statuses) == {200, 500}


def test_waits_as_long_as_it_was_told_to():
    with running_emulator(delay_ms=100, token_delay_ms=20) as emulator:
        # "hello" is one token.
        assert chat(emulator).elapsed.total_seconds() >= 0.12


def test_remembers_as_many_calls_as_it_was_told_to():
    with running_emulator(keep=2) as emulator:
        for _ in range(3):
            chat(emulator)
        assert len(emulator.requests()) == 2
        assert emulator.stats()["completed"] == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_even_while_a_call_hangs(number, code):
    with running_emulator() as emulator, socket.create_connection(("127.0.0.1", emulator.port)) as connection:
        connection.sendall(raw_chat("[emulator:hang]"))
        emulator.wait_until("in_flight == 1")
        emulator.process.send_signal(number)
        assert emulator.process.wait(20) == code


def test_a_call_that_is_being_answered_ends_before_the_process_does():
    with (
        running_emulator(delay_ms=500) as emulator,
        socket.create_connection(("127.0.0.1", emulator.port)) as connection,
    ):
        connection.settimeout(20)
        connection.sendall(raw_chat("Say hello"))
        emulator.wait_until("in_flight == 1")
        emulator.process.send_signal(signal.SIGTERM)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert emulator.process.wait(20) == 0


def test_a_port_in_use_is_one_clear_line():
    with running_emulator() as emulator:
        second = run("--port", str(emulator.port))
    assert second.returncode == 2
    assert f"cannot listen on 127.0.0.1:{emulator.port}: Address already in use" in second.stderr
    assert "choose another --host or --port" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "--port"),
        (["--error-rate", "2"], "--error-rate"),
        (["--delay-ms", "soon"], "--delay-ms"),
        (["--host", "no.such.host.invalid"], "choose another --host"),
        (["--tls-certificate", __file__], "--tls-certificate and --tls-key belong together"),
        (
            ["--tls-certificate", __file__, "--tls-key", __file__],
            "give a PEM certificate and its unencrypted PEM key",
        ),
        (["--tls-certificate", "/nowhere.pem"], "/nowhere.pem"),
    ],
)
def test_bad_options_are_refused_with_a_remedy(arguments, said):
    refused = run(*arguments)
    assert refused.returncode == 2
    assert said in refused.stderr.replace("\n", " ")
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""


@pytest.fixture
def certificate(tmp_path):
    return certificate_for(tmp_path, "localhost")


def test_serves_https(certificate):
    with running_emulator(
        host="localhost", tls_certificate=certificate[0], tls_key=certificate[1]
    ) as emulator:
        assert emulator.base_url.startswith("https://localhost:")
        assert chat(emulator).status_code == 200


def test_faults_by_chance_strike_a_part_of_the_calls_the_same_in_every_run():
    def statuses():
        with running_emulator(fault=["0.3:rate_limit", "0.2:status=503"]) as emulator:
            return [
                requests.post(
                    f"{emulator.openai_url}/chat/completions",
                    json={"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
                    headers={"authorization": "Bearer any"},
                    timeout=10,
                ).status_code
                for _ in range(60)
            ]

    seen = statuses()
    assert set(seen) == {200, 429, 503}
    assert seen == statuses()


def test_delays_may_differ_from_call_to_call():
    with running_emulator(delay_ms="20-200") as emulator:
        for _ in range(5):
            requests.post(
                f"{emulator.openai_url}/chat/completions",
                json={"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
                headers={"authorization": "Bearer any"},
                timeout=10,
            )
        took = [entry["duration_ms"] for entry in emulator.requests()]
    assert min(took) >= 19  # its clock has milliseconds
    assert len({round(time / 10) for time in took}) > 1


def test_tokens_are_counted_by_a_vocabulary_where_one_is_given(tmp_path):
    tokens = [bytes([value]) for value in range(256)]  # every character a token
    vocabulary = tmp_path / "bytes.tiktoken"
    vocabulary.write_bytes(
        b"".join(b"%b %d\n" % (base64.b64encode(token), n) for n, token in enumerate(tokens))
    )
    call = {"model": "m", "messages": [{"role": "user", "content": "Say hello"}]}
    with running_emulator(vocabulary=vocabulary) as emulator:
        answer = requests.post(
            f"{emulator.openai_url}/chat/completions",
            json=call,
            headers={"authorization": "Bearer any"},
            timeout=10,
        ).json()
    assert answer["usage"]["completion_tokens"] == len("hello")
    assert answer["usage"]["prompt_tokens"] == 3 + 3 + len("user") + len("Say hello")
