"""Where a POST to a provider goes, with all that is the same in every call."""

import importlib.metadata
from collections.abc import Mapping
from urllib.request import getproxies, proxy_bypass

from yarl import URL

# Some providers' front ends turn away callers that do not say who they are.
_WHO = {"User-Agent": f"mlflow-gateway-fleet/{importlib.metadata.version('mlflow-gateway-fleet')}"}


class Target:
    """A URL and its headers. Raises ValueError for what is no plain http URL, or no header."""

    __slots__ = ("_head", "headers", "host", "key", "port", "proxied", "tls", "url")

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        where = URL(url)
        if where.scheme not in ("http", "https") or not where.raw_host or where.user is not None:
            raise ValueError("not a plain http or https URL")
        self.url = url
        self.headers = {**_WHO, **headers}
        self.tls = where.scheme == "https"
        self.host = where.raw_host
        self.port = where.port or (443 if self.tls else 80)
        self.key = (self.tls, self.host, self.port)
        # Whether the environment sends calls to this URL through a proxy.
        self.proxied = where.scheme in getproxies() and not proxy_bypass(where.authority)
        lines = [f"POST {where.raw_path_qs} HTTP/1.1", f"Host: {where.host_port_subcomponent}"]
        for name, value in self.headers.items():
            if any(ord(character) < 32 or ord(character) == 127 for character in name + value):
                raise ValueError("a header with a control character")
            lines.append(f"{name}: {value}")
        lines += ["Content-Type: application/json", "Accept: */*", "Accept-Encoding: identity"]
        self._head = "\r\n".join(lines).encode("latin-1") + b"\r\n"

    def request(self, body: bytes, more: bytes = b"") -> bytes:
        """Return the whole request; `more` are header lines of this call alone, each ending in CR LF."""
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (self._head, more, len(body), body)
