"""POSTs to providers through a proxy that the environment names, with aiohttp."""

import aiohttp

from gateway_serve.target import Target


class ProxiedResponse:
    """An answer of a provider, read as a whole or in the pieces in which it comes."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status: int = response.status
        self.reason = response.reason or ""

    def header(self, name: bytes) -> bytes:
        """Return the value of a header, empty where there is none."""
        return self._response.headers.get(name.decode("latin-1"), "").encode("latin-1", "replace")

    async def read(self) -> bytes:
        """Return the rest of the body. Raises aiohttp.ClientError or TimeoutError."""
        return await self._response.read()

    async def read_some(self) -> bytes:
        """Return what has come, at least a byte; nothing at the end. Raises as `read` does."""
        return await self._response.content.readany()

    def close(self) -> None:
        """Let the connection go: to another call after a whole answer, else closed, so the provider stops."""
        self._response.release()


async def post(
    session: aiohttp.ClientSession, target: Target, body: bytes, more_headers: bytes, seconds: float
) -> ProxiedResponse:
    """Send a request; return once the answer's headers are there. Raises ClientError or TimeoutError."""
    lines = [line.partition(b": ") for line in more_headers.split(b"\r\n") if line]
    headers = {
        **target.headers,
        **{name.decode("latin-1"): value.decode("latin-1") for name, _, value in lines},
        "Content-Type": "application/json",
        "Accept-Encoding": "gzip, deflate",
    }
    timeout = aiohttp.ClientTimeout(total=seconds)
    return ProxiedResponse(
        await session.post(target.url, data=body, headers=headers, timeout=timeout, allow_redirects=False)
    )
