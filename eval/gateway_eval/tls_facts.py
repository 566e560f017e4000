"""What a TLS connection says about itself."""

import ssl
from typing import Any


def tls_facts(connected: Any) -> dict[str, Any] | None:
    """Return TLS version, certificate names and expiry (seconds since 1970); None without TLS."""
    if not isinstance(connected, ssl.SSLSocket):
        return None
    certificate: Any = connected.getpeercert() or {}

    def name(part: str) -> str | None:
        values = {key: value for pairs in certificate.get(part, ()) for key, value in pairs}
        return values.get("commonName") or values.get("organizationName")

    expires = certificate.get("notAfter")
    return {
        "version": connected.version(),
        "subject": name("subject"),
        "issuer": name("issuer"),
        "expires_at": None if expires is None else ssl.cert_time_to_seconds(expires),
    }
