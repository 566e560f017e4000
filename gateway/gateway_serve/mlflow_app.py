"""MLflow's gateway app, with the few answers in which this gateway differs; docs/gateway.md lists them."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from mlflow.exceptions import MlflowException
from mlflow.gateway import app as mlflow_app
from mlflow.gateway.exceptions import AIGatewayException
from mlflow.gateway.utils import to_sse_chunk
from starlette.responses import StreamingResponse

from gateway_serve import upstream
from gateway_serve.call import current_call
from gateway_serve.endpoints import fallbacks_of
from gateway_serve.failure import describe, failure_event

_logger = logging.getLogger(__name__)


def create(config_path: Path) -> FastAPI:
    """Return the app for a configuration file. Raises what MLflow raises for an invalid one."""
    upstream.install()
    mlflow_app.make_streaming_response = _streaming_response  # type: ignore[attr-defined]
    app = mlflow_app.create_app_from_path(config_path)
    app.state.fallbacks = fallbacks_of(yaml.safe_load(config_path.read_bytes()))
    find = app._get_provider_by_name

    def find_or_404(name: str) -> Any:
        if name not in app.dynamic_endpoints and name not in app.traffic_routes:
            raise HTTPException(
                404, f"The endpoint '{name}' is not present on the server. Please verify the endpoint name."
            )
        return find(name)

    app._get_provider_by_name = find_or_404  # type: ignore[method-assign]
    for failure in (
        AIGatewayException,
        MlflowException,
        TimeoutError,
        aiohttp.ClientError,
        aiohttp.ServerTimeoutError,
    ):
        app.add_exception_handler(failure, _answer_failure)
    return app


async def _streaming_response(chunks: Any) -> Any:
    """Answer with a stream, once its first chunk is there.

    MLflow sends its 200 before it asks the provider. So a caller whose call is refused sees a broken stream;
    with the first chunk at hand, the refusal still has its own status.
    """
    if not isinstance(chunks, AsyncGenerator):
        return await chunks
    first = await anext(chunks, None)
    if first is None:
        raise HTTPException(502, "The provider's stream was empty.")
    return StreamingResponse(_events(first, chunks), media_type="text/event-stream")


async def _events(first: Any, rest: AsyncGenerator[Any, None]) -> AsyncIterator[str | bytes]:
    try:
        yield to_sse_chunk(first.model_dump_json())
        async for chunk in rest:
            yield to_sse_chunk(chunk.model_dump_json())
    except Exception as error:
        # Too late for a status: the caller gets an error event, in the form in which OpenAI sends one.
        call = current_call.get()
        if call is not None:
            call.failed_in_stream = True
        _logger.warning(
            "a stream failed with %s",
            type(error).__name__,
            exc_info=error,
            extra={"request_id": call.request_id if call else None},
        )
        yield failure_event(error)
    finally:
        await rest.aclose()


async def _answer_failure(_request: Request, error: Exception) -> JSONResponse:
    status, detail = describe(error)
    return JSONResponse({"detail": detail}, status_code=status)
