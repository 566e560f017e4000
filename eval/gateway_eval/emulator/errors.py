"""Error answers, in the words and shapes of the providers.

OpenAI: https://platform.openai.com/docs/guides/error-codes
Anthropic: https://docs.anthropic.com/en/api/errors
Gemini: https://ai.google.dev/gemini-api/docs/troubleshooting
Azure OpenAI: https://learn.microsoft.com/azure/ai-services/openai/quotas-limits
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from gateway_eval.emulator.directives import Directives

Dialect = Literal["openai", "azure", "anthropic", "gemini"]

_OPENAI_TYPES = {400: "invalid_request_error", 401: "invalid_request_error", 404: "invalid_request_error"}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_GEMINI_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(eq=False)
class ProviderError(Exception):
    """An answer that is an error.

    `type`, `param` and `code` are fields of OpenAI's errors; None leaves the usual ones.
    """

    status: int
    message: str
    type: str | None = None
    param: str | None = None
    code: str | None = None
    retry_after: float | None = None
    """Seconds; sent as `Retry-After`."""

    def body(self, dialect: Dialect, request_id: str = "") -> bytes:
        """Return the JSON body as this provider words it."""
        return json.dumps(self.document(dialect, request_id), ensure_ascii=False).encode()

    def document(self, dialect: Dialect, request_id: str = "") -> dict[str, Any]:
        """Return the error as this provider shapes it."""
        if dialect == "anthropic":
            kind = _ANTHROPIC_TYPES.get(
                self.status, "api_error" if self.status >= 500 else "invalid_request_error"
            )
            error = {"type": kind, "message": self.message}
            return {"type": "error", "error": error, "request_id": request_id}
        if dialect == "gemini":
            name = _GEMINI_STATUSES.get(self.status, "UNKNOWN")
            found: dict[str, Any] = {"code": self.status, "message": self.message, "status": name}
            if self.retry_after is not None:
                kind = "type.googleapis.com/google.rpc.RetryInfo"
                found["details"] = [{"@type": kind, "retryDelay": f"{self.retry_after:g}s"}]
            return {"error": found}
        if dialect == "azure" and self.status in (401, 404, 429):
            return {"error": {"code": self.code or str(self.status), "message": self.message}}
        kind = self.type or _OPENAI_TYPES.get(
            self.status, "server_error" if self.status >= 500 else "invalid_request_error"
        )
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that go with the error."""
        if self.retry_after is None:
            return []
        return [
            (b"retry-after", str(math.ceil(self.retry_after)).encode()),
            (b"retry-after-ms", str(round(self.retry_after * 1000)).encode()),
        ]


def invalid(message: str, param: str | None = None, code: str | None = None) -> ProviderError:
    """Return a 400 for a request that the provider cannot take."""
    return ProviderError(400, message, "invalid_request_error", param, code)


def missing_key(dialect: Dialect) -> ProviderError:
    """Return the 401 for a call without a key."""
    match dialect:
        case "anthropic":
            return ProviderError(401, "x-api-key header is required")
        case "azure":
            return wrong_key("azure")
        case "gemini":
            return ProviderError(
                403,
                "Method doesn't allow unregistered callers (callers without established identity). Please "
                "use API Key or other form of API consumer identity to call this API.",
            )
        case "openai":
            return ProviderError(
                401,
                "You didn't provide an API key. You need to provide your API key in an Authorization header "
                "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from "
                "https://platform.openai.com/account/api-keys.",
                "invalid_request_error",
            )


def wrong_key(dialect: Dialect) -> ProviderError:
    """Return the 401 for a key that is not accepted. The key itself is not repeated."""
    match dialect:
        case "anthropic":
            return ProviderError(401, "invalid x-api-key")
        case "gemini":
            return ProviderError(400, "API key not valid. Please pass a valid API key.")
        case "azure":
            return ProviderError(
                401,
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide "
                "a valid key for an active subscription and use a correct regional API endpoint for your "
                "resource.",
            )
        case "openai":
            return ProviderError(
                401,
                "Incorrect API key provided: ********. You can find your API key at "
                "https://platform.openai.com/account/api-keys.",
                "invalid_request_error",
                code="invalid_api_key",
            )


def unknown_model(dialect: Dialect, model: str) -> ProviderError:
    """Return the 404 for a model that is not served."""
    match dialect:
        case "anthropic":
            return ProviderError(404, f"model: {model}")
        case "gemini":
            return ProviderError(
                404,
                f"models/{model} is not found for API version v1beta, or is not supported for this method. "
                "Call ListModels to see the list of available models and their supported methods.",
            )
        case "azure":
            return ProviderError(
                404,
                "The API deployment for this resource does not exist. If you created the deployment within "
                "the last 5 minutes, please wait a moment and try again.",
                code="DeploymentNotFound",
            )
        case "openai":
            return ProviderError(
                404,
                f"The model `{model}` does not exist or you do not have access to it.",
                "invalid_request_error",
                code="model_not_found",
            )


def asked_for(directives: Directives, dialect: Dialect, model: str) -> ProviderError | None:
    """Return the error that the directives ask for, None where they ask for none."""
    match directives.error:
        case None:
            status = directives.status
            if status is None:
                return None
            return ProviderError(status, f"The emulator was asked for status {status}.")
        case "rate_limit":
            return _rate_limit(dialect, model, directives.retry_after)
        case "quota":
            return _quota(dialect)
        case "authentication":
            return wrong_key(dialect)
        case "not_found":
            return unknown_model(dialect, model)
        case "overloaded":
            if dialect == "anthropic":
                return ProviderError(529, "Overloaded")
            return ProviderError(
                503, "The engine is currently overloaded, please try again later", "server_error"
            )
        case "timeout":
            return ProviderError(504, "The request timed out before the model answered.", "server_error")
        case _:
            if dialect == "anthropic":
                return ProviderError(500, "Internal server error")
            return ProviderError(
                500,
                "The server had an error while processing your request. Sorry about that! You can retry your "
                "request, or contact us through our help center at help.openai.com if the error persists.",
                "server_error",
            )


def _rate_limit(dialect: Dialect, model: str, retry_after: float) -> ProviderError:
    match dialect:
        case "anthropic":
            message = "This request would exceed your organization's rate limit of 50 requests per minute."
        case "gemini":
            message = f"Resource has been exhausted (e.g. check quota). Please retry in {retry_after:g}s."
        case "azure":
            message = (
                "Requests to the ChatCompletions_Create Operation have exceeded call rate limit of your "
                f"current OpenAI S0 pricing tier. Please retry after {math.ceil(retry_after)} seconds."
            )
        case "openai":
            message = (
                f"Rate limit reached for {model} in organization org-emulator on requests per min (RPM): "
                f"Limit 500, Used 500, Requested 1. Please try again in {retry_after:g}s. Visit "
                "https://platform.openai.com/account/rate-limits to learn more."
            )
    code = "429" if dialect == "azure" else "rate_limit_exceeded"
    return ProviderError(429, message, "requests", code=code, retry_after=retry_after)


def _quota(dialect: Dialect) -> ProviderError:
    if dialect == "anthropic":
        return ProviderError(
            400,
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to "
            "upgrade or purchase credits.",
        )
    return ProviderError(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information "
        "on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "insufficient_quota",
        code="insufficient_quota",
    )
