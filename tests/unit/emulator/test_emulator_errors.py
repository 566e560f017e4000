import json

import pytest

from gateway_contracts.error_class import ErrorClass, classify
from gateway_eval.emulator.directives import parse
from gateway_eval.emulator.errors import asked_for, missing_key, unknown_model, wrong_key

DIALECTS = ["openai", "azure", "anthropic"]


def error(name, dialect):
    found = asked_for(parse(f"[emulator:{name}]"), dialect, "a-model")
    assert found is not None
    return found, json.loads(found.body(dialect, "req_1"))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("rate_limit", ErrorClass.RATE_LIMIT),
        ("quota", ErrorClass.QUOTA),
        ("server_error", ErrorClass.PROVIDER),
        ("overloaded", ErrorClass.PROVIDER),
        ("timeout", ErrorClass.TIMEOUT),
        ("authentication", ErrorClass.AUTHENTICATION),
        ("not_found", ErrorClass.NOT_FOUND),
        ("status=418", ErrorClass.INVALID_REQUEST),
    ],
)
def test_each_fault_is_told_apart_by_its_answer(dialect, name, cause):
    found, body = error(name, dialect)
    assert classify(found.status, body) == cause


def test_openai_words_a_rate_limit_and_a_quota_differently_under_one_status():
    limit, limit_body = error("rate_limit=2", "openai")
    quota, quota_body = error("quota", "openai")
    assert limit.status == quota.status == 429
    assert limit_body["error"]["code"] == "rate_limit_exceeded"
    assert quota_body["error"]["code"] == quota_body["error"]["type"] == "insufficient_quota"
    assert dict(limit.headers())[b"retry-after"] == b"2"
    assert not quota.headers()


def test_openai_errors_have_four_fields():
    _, body = error("server_error", "openai")
    assert set(body["error"]) == {"message", "type", "param", "code"}


def test_anthropic_errors_name_their_type_and_request():
    overloaded, body = error("overloaded", "anthropic")
    assert overloaded.status == 529
    assert body == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
        "request_id": "req_1",
    }


def test_azure_puts_the_status_into_the_code():
    _, body = error("rate_limit", "azure")
    assert body["error"]["code"] == "429"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_refusals_have_the_status_that_clients_know(dialect):
    assert missing_key(dialect).status == wrong_key(dialect).status == 401
    assert unknown_model(dialect, "m").status == 404
