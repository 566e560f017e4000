"""What the calls of a load have in common: where they go, with which headers, and whom they trust."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import certifi

from gateway_eval.target import Endpoint, Target
from gateway_eval.version import version


@dataclass(frozen=True)
class Caller:
    """One kind of call to one endpoint. It goes straight to the host: proxies are not used."""

    base_url: str
    path: str
    headers: dict[str, str]
    stream: bool
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(
        cls,
        target: Target,
        endpoint: Endpoint,
        *,
        api_key: str | None,
        stream: bool,
        headers: dict[str, str] | None = None,
    ) -> Self:
        """Return what calls this endpoint."""
        sent = {
            "User-Agent": f"gateway-eval/{version()}",
            "Accept": "application/json, text/event-stream",
            "Accept-Encoding": "identity",
            **(headers or {}),
        }
        if api_key:
            sent["Authorization"] = f"Bearer {api_key}"
        tls = _trust() if target.base_url.startswith("https:") else None
        return cls(target.base_url, target.chat_path(endpoint), sent, stream, tls)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to."""
        parts = urlsplit(self.base_url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    def head(self) -> bytes:
        """Return the beginning of each call, up to the length of its body."""
        parts = urlsplit(self.base_url)
        lines = [f"POST {parts.path}{self.path} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += ["Content-Type: application/json", "Content-Length: "]
        return "\r\n".join(lines).encode("latin-1")


def _trust() -> ssl.SSLContext:
    """Return the trust that the other commands have by their HTTP library, `requests`."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    if Path(bundle).is_dir():
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)
