"""Who may call, and how often: asked before a call goes to a provider, told when it is over."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from gateway_contracts.error_class import ErrorClass
from gateway_serve.call import Call


class Refusal(NamedTuple):
    """The answer to a call that is not let in."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]  # besides content type and length
    body: bytes  # JSON, in OpenAI's error format
    error_class: ErrorClass


class Gatekeeper:
    """Lets every call in."""

    def admit(
        self,
        scope: MutableMapping[str, Any],  # noqa: ARG002
        call: Call,  # noqa: ARG002
        body: Mapping[str, Any],  # noqa: ARG002
    ) -> Refusal | None:
        """Say whether a call goes on, once it is known what it asks for; None lets it in.

        `scope` is the ASGI scope of the request, `body` its decoded JSON, empty where it is no object.
        """
        return None

    def settle(self, call: Call, records: Sequence[Mapping[str, Any]]) -> None:
        """Take note of a call that is over, let in or not, and of its records, the final one last."""
