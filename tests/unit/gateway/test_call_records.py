"""Whatever a provider says, the records of a call are valid as they are made, without a check at the end."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_contracts.error_class import ErrorClass
from gateway_contracts.request_record import FIELDS, MAX_LINE_BYTES, encode, encode_valid, problem
from gateway_serve.call import Attempt, Call
from gateway_serve.endpoints import Endpoint

COMMON = {
    "boot_id": "b" * 32,
    "sequence": 1,
    "host": "host-1",
    "instance": "gw-1",
    "gateway_version": "1.0",
    "config_digest": "abc",
}
ENDPOINT = Endpoint("chat", "chat", "openrouter", "gpt-4o")

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(min_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cost")
USAGE = st.dictionaries(st.sampled_from((*KEYS, "prompt_tokens_details")), ANYTHING)
ANSWER = st.fixed_dictionaries(
    {},
    optional={
        "model": ANYTHING,
        "service_tier": ANYTHING,
        "usage": USAGE | ANYTHING,
        "choices": st.lists(st.fixed_dictionaries({"finish_reason": ANYTHING})) | ANYTHING,
        "error": ANYTHING,
        "type": ANYTHING,
    },
)


def valid(record: dict[str, Any]) -> None:
    whole = record | COMMON
    line = encode_valid(whole)
    assert line.endswith(b"\n")
    assert len(line) <= MAX_LINE_BYTES
    found = json.loads(line)
    assert found == json.loads(encode(whole))
    assert list(found) == [known.name for known in FIELDS]
    assert problem(found) is None


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(answers=st.lists(ANSWER, max_size=2), streamed=st.booleans(), error=ANYTHING)
def test_a_providers_words(answers: list[Any], streamed: bool, error: Any) -> None:
    call = Call("id-1", "127.0.0.1")
    for body in answers:
        attempt = Attempt(ENDPOINT)
        attempt.error_body = error
        attempt.status = 429
        if streamed:
            attempt.answer.read_lines(b"data: " + json.dumps(body).encode() + b"\n")
        else:
            attempt.answer.read_whole(body)
        call.attempts.append(attempt)
    records = call.records()
    assert [record["final"] for record in records] == [False] * (len(records) - 1) + [True]
    for record in records:
        valid(record)


def test_a_text_that_has_no_utf8_form_is_mended() -> None:
    call = Call("id-1", "127.0.0.1")
    call.end_user = "\ud800"
    (record,) = call.records()
    assert json.loads(encode_valid(record | COMMON))["end_user"] == "?"


def test_an_attempt_that_timed_out_before_another_is_recorded_as_such() -> None:
    call = Call("id-1", "127.0.0.1")
    for failure in (ErrorClass.TIMEOUT, ErrorClass.NETWORK, None):
        attempt = Attempt(ENDPOINT)
        attempt.failure = failure
        call.attempts.append(attempt)
    call.status, call.complete = 200, True
    records = call.records()
    assert [(one["http_status"], one["error_class"], one["attempt"]) for one in records] == [
        (504, "timeout", 1),
        (502, "network", 2),
        (200, None, 3),
    ]
