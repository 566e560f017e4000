"""`/v1/models`: the endpoints and traffic routes of the configuration, as OpenAI lists models."""

import time
from collections.abc import Mapping

import orjson

from gateway_serve.asgi import Send
from gateway_serve.endpoints import Endpoint

_PATH = "/v1/models"


class ModelsPage:
    """The answers to `GET /v1/models` and `/v1/models/NAME`, made once."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        created = int(time.time())
        models = {
            name: {
                "id": name,
                "object": "model",
                "created": created,
                "owned_by": endpoint.provider or "traffic-route",
            }
            for name, endpoint in endpoints.items()
        }
        self._pages = {f"{_PATH}/{name}": orjson.dumps(model) for name, model in models.items()}
        self._pages[_PATH] = orjson.dumps({"object": "list", "data": list(models.values())})

    def knows(self, path: str) -> bool:
        """Say whether a path is one of these."""
        return path == _PATH or path.startswith(_PATH + "/")

    async def answer(self, path: str, send: Send) -> None:
        """Answer a GET."""
        body = self._pages.get(path)
        status = 200 if body else 404
        if body is None:
            message = "No endpoint has this name; GET /v1/models lists those that there are."
            error = {
                "message": message,
                "type": "invalid_request_error",
                "param": "model",
                "code": "model_not_found",
            }
            body = orjson.dumps({"error": error})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
