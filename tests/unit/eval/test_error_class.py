"""Errors are told apart by cause, whoever words them."""

import json

import pytest

from gateway_contracts.error_class import ErrorClass, classify

QUOTA = {
    "OpenAI": (
        429,
        {
            "error": {
                "message": "You exceeded your current quota, please check your plan and billing details.",
                "type": "insufficient_quota",
                "param": None,
                "code": "insufficient_quota",
            }
        },
    ),
    "OpenAI through MLflow, which keeps the message alone": (
        429,
        {"detail": "You exceeded your current quota, please check your plan and billing details."},
    ),
    "OpenAI, hard limit": (400, {"error": {"message": "x", "code": "billing_hard_limit_reached"}}),
    "Anthropic": (
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "Your credit balance is too low to access the Anthropic API.",
            },
        },
    ),
    "Anthropic, billing": (402, {"type": "error", "error": {"type": "billing_error", "message": "x"}}),
    "DeepSeek": (402, {"error": {"message": "Insufficient Balance", "code": "invalid_request_error"}}),
    "OpenRouter": (402, {"error": {"message": "Insufficient credits", "code": 402}}),
    "LiteLLM": (400, {"error": {"message": "Budget has been exceeded!", "type": "budget_exceeded"}}),
    "as text": (429, '{"error": {"code": "insufficient_quota"}}'),
    "as bytes": (429, b'{"error": {"code": "insufficient_quota"}}'),
    "nested by a gateway": (429, {"detail": {"error": {"code": "insufficient_quota"}}}),
}

RATE_LIMIT = {
    "OpenAI": {"error": {"message": "Rate limit reached for gpt-4o", "code": "rate_limit_exceeded"}},
    "MLflow's own limit": {"error": "Rate limit exceeded: 10 per 1 minute"},
    "Azure": {"error": {"code": "429", "message": "Requests have exceeded call rate limit."}},
    "Gemini, which calls it a quota": {
        "error": {
            "code": 429,
            "message": "You exceeded your current quota, please check your plan. Please retry in 34.07s.",
            "status": "RESOURCE_EXHAUSTED",
        }
    },
    "nothing said": None,
    "not JSON": b"\xff<html>slow down",
    "deeper than any real body": json.loads('{"error":' * 200 + '"insufficient_quota"' + "}" * 200),
}


@pytest.mark.parametrize("provider", QUOTA)
def test_an_empty_account_is_quota(provider: str) -> None:
    status, body = QUOTA[provider]
    assert classify(status, body) is ErrorClass.QUOTA


@pytest.mark.parametrize("case", RATE_LIMIT)
def test_too_fast_is_a_rate_limit(case: str) -> None:
    assert classify(429, RATE_LIMIT[case]) is ErrorClass.RATE_LIMIT


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, None),
        (399, None),
        (400, "invalid_request"),
        (401, "authentication"),
        (402, "quota"),
        (403, "permission"),
        (404, "not_found"),
        (408, "timeout"),
        (422, "invalid_request"),
        (499, "client_disconnect"),
        (500, "provider"),
        (503, "provider"),
        (504, "timeout"),
        (529, "provider"),
    ],
)
def test_status_decides_where_the_body_says_nothing(status: int, expected: str | None) -> None:
    assert classify(status) == expected


def test_what_the_caller_wrote_is_no_cause() -> None:
    """Validation errors repeat the caller's input, which may be about quotas."""
    body = {"detail": [{"msg": "Input should be a string", "input": "what does insufficient_quota mean?"}]}
    assert classify(400, body) is ErrorClass.INVALID_REQUEST


def test_success_is_no_error_whatever_the_body_says() -> None:
    assert classify(200, QUOTA["OpenAI"][1]) is None
