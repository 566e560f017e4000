"""The calls of a load, as the user describes them: what they ask, and the other fields of each."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway_eval.estimate import output_limit
from gateway_eval.load import prompts
from gateway_eval.target import Api, Endpoint, Target


@dataclass(frozen=True)
class Calls:
    """What to ask (a file of prompts, texts of given sizes, or one question) and how."""

    prompts_file: Path | None
    prompt_tokens: str | None
    parameters: dict[str, Any]
    stream: bool

    @classmethod
    def of(
        cls,
        *,
        prompts_file: Path | None,
        prompt_tokens: str | None,
        parameters: str | None,
        max_tokens: int | None,
        stream: bool,
    ) -> "Calls":
        """Read what the options say; `parameters` is a JSON object. Raises ValueError with the remedy."""
        if prompts_file is not None and prompt_tokens is not None:
            raise ValueError("--prompts and --prompt-tokens are two sources; give one of them")
        fields: Any = {}
        if parameters is not None:
            try:
                fields = json.loads(parameters)
            except ValueError:
                fields = None
            if not isinstance(fields, dict) or fields.keys() & {"messages", "stream", "model"}:
                raise ValueError(
                    "--parameters takes a JSON object without messages, stream and model, "
                    "as in '{\"temperature\": 0}'"
                )
        if max_tokens is not None:
            fields["max_tokens"] = max_tokens
        return cls(prompts_file, prompt_tokens, fields, stream)

    @property
    def source(self) -> str:
        """Where the prompts come from, in words."""
        if self.prompts_file is not None:
            return str(self.prompts_file)
        if self.prompt_tokens is not None:
            return f"{self.prompt_tokens} tokens"
        return prompts.QUESTION

    @property
    def output_limit(self) -> int | None:
        """Tokens that an answer may have; None where nothing bounds them."""
        return output_limit(self.parameters)

    def bodies(self, target: Target, endpoint: Endpoint) -> Iterator[bytes]:
        """Yield the bodies of calls without end. Raises ValueError for a source that is none."""
        parameters = self._fields(target, endpoint)
        if self.prompts_file is not None:
            return prompts.from_file(self.prompts_file, parameters)
        if self.prompt_tokens is not None:
            return prompts.sized(self.prompt_tokens, parameters)
        return prompts.question(parameters)

    def _fields(self, target: Target, endpoint: Endpoint) -> dict[str, Any]:
        """Return all fields of a call but its messages, as `chat.chat` sends them."""
        fields = dict(self.parameters)
        if self.stream:
            fields["stream"] = True
        if target.api is Api.OPENAI:
            fields["model"] = endpoint.name
            if self.stream:
                fields.setdefault("stream_options", {"include_usage": True})
        return fields
