"""Where MLflow protects inner networks from calls to providers, so does this gateway."""

import asyncio

import pytest
from fastapi import HTTPException
from mlflow.gateway.providers import utils
from mlflow.gateway.ssrf import upstream_ssrf_protection

from gateway_serve import upstream


def test_an_inner_address_is_refused_where_mlflow_says_so() -> None:
    async def ask() -> None:
        upstream_ssrf_protection.set(True)
        async with utils._aiohttp_post({}, "http://127.0.0.1:9", "x", {}):
            pytest.fail("it was asked")

    upstream.install()
    with pytest.raises(HTTPException, match="not a public IP address"):
        asyncio.run(ask())
