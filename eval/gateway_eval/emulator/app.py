"""The ASGI application: who may call, what is asked, how it is answered."""

import asyncio
import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from gateway_eval.emulator import delivery, errors, generate_content, messages, models, routes
from gateway_eval.emulator.call import Call, encode
from gateway_eval.emulator.chance import NO_DELAY, Delay, Fault, strikes
from gateway_eval.emulator.directives import DirectiveError
from gateway_eval.emulator.errors import Dialect, ProviderError
from gateway_eval.emulator.exchange import JSON, BodyTooLarge, CallerLeft, Exchange, Receive, Scope, Send
from gateway_eval.emulator.witness import Entry, Witness

# Calls larger than this are not kept for the next equal one, which bounds the memory that kept calls take.
_LARGEST_KEPT = 16 * 1024
# More of them would slow down calls that are all different, as they no longer fit a processor's cache.
_CALLS_KEPT = 256
# Where a key may stand besides the header for bearer tokens.
_KEY_HEADERS = {"anthropic": b"x-api-key", "azure": b"api-key", "gemini": b"x-goog-api-key"}


@dataclass(frozen=True, slots=True)
class Options:
    """How the emulator behaves. Delays are milliseconds."""

    delay: Delay = NO_DELAY
    """Before the first byte of every answer."""
    token_delay: Delay = NO_DELAY
    """For every output token."""
    api_keys: frozenset[str] = field(default_factory=frozenset)
    """The keys that are accepted; none given: any."""
    models: frozenset[str] = field(default_factory=frozenset)
    """The models that are served; none given: any."""
    error_rate: float = 0.0
    """The part of the calls, 0 to 1, that is answered with HTTP 500."""
    faults: tuple[Fault, ...] = ()
    """What else strikes a part of the calls."""
    keep: int = 100_000
    """How many of the latest calls are kept one by one."""


class Emulator:
    """A provider. One per process; not for use from several threads."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.witness = Witness(self.options.keep)
        self.closing = asyncio.Event()
        """Set when the server stops, so that calls that hang on purpose end."""
        self._keys = frozenset(key.encode() for key in self.options.api_keys)
        # The same seeds every time: a run can be repeated. No secret hangs on them.
        self._chance = random.Random(0)  # noqa: S311
        self._pace = random.Random(1)  # noqa: S311
        self._kept = functools.lru_cache(_CALLS_KEPT)(_prepare)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        route = routes.find(path)
        exchange = Exchange(scope, receive, send)
        try:
            if route is not None and scope["method"] == "POST":
                await self._call(exchange, path, route)
            else:
                await self._page(exchange, path, scope["method"], known=route is not None)
        except CallerLeft:
            pass
        finally:
            exchange.close()

    async def _call(self, exchange: Exchange, path: str, route: routes.Route) -> None:
        given = exchange.headers.get(b"x-request-id")
        entry = self.witness.begin(path, given.decode("latin-1")[:200] if given else None)
        outcome = "disconnected"
        try:
            try:
                call = await self._accept(exchange, route, entry)
            except ProviderError as error:
                entry.status = error.status
                await self._refuse(exchange, entry, error, route.dialect)
                outcome = "completed"
            else:
                outcome = await delivery.deliver(
                    exchange, call, entry, self.options, self._pace, self.closing
                )
        finally:
            self.witness.end(entry, outcome)

    async def _accept(self, exchange: Exchange, route: routes.Route, entry: Entry) -> Call:
        """Return the call. Raises ProviderError where it is refused."""
        headers = exchange.headers
        try:
            body = await exchange.body()
        except BodyTooLarge:
            raise ProviderError(413, "Request body is too large: more than 32 MiB.") from None
        self._authenticate(exchange, route.dialect)
        if self.options.error_rate and self._chance.random() < self.options.error_rate:
            raise ProviderError(500, "The emulator failed by chance, as --error-rate asks for.")
        header = headers.get(b"x-emulator-fault")
        fault = header.decode("latin-1") if header else None
        if fault is None and self.options.faults:
            fault = strikes(self.options.faults, self._chance)
        prepare = self._kept if len(body) <= _LARGEST_KEPT else _prepare
        call = prepare(route, body, fault)
        entry.model = call.model
        entry.stream = call.stream
        if call.directives.id is not None:
            entry.request_id = call.directives.id
        if self.options.models and call.model not in self.options.models:
            raise errors.unknown_model(route.dialect, call.model)
        return call

    async def _refuse(self, exchange: Exchange, entry: Entry, error: ProviderError, dialect: Dialect) -> None:
        headers = [JSON, (b"x-request-id", entry.request_id.encode("latin-1", "replace")), *error.headers()]
        await exchange.whole(error.status, headers, error.body(dialect, entry.request_id))

    def _authenticate(self, exchange: Exchange, dialect: Dialect) -> None:
        headers = exchange.headers
        key = headers.get(_KEY_HEADERS.get(dialect, b""))
        if key is None and dialect == "gemini":
            key = parse_qs(exchange.scope["query_string"]).get(b"key", [None])[-1]
        if key is None:
            authorization = headers.get(b"authorization", b"")
            if authorization[:7].lower() == b"bearer ":
                key = authorization[7:].strip()
        if not key:
            raise errors.missing_key(dialect)
        if self._keys and key not in self._keys:
            raise errors.wrong_key(dialect)
        if dialect == "anthropic" and b"anthropic-version" not in headers:
            raise errors.invalid("anthropic-version: header is required")

    async def _page(self, exchange: Exchange, path: str, method: str, *, known: bool) -> None:
        """Answer everything that is no call of a model."""
        match method, path:
            case "GET", "/health":
                return await exchange.whole(200, [JSON], b'{"status":"OK"}')
            case "GET", "/emulator/stats":
                return await exchange.whole(200, [JSON], encode(self.witness.stats()))
            case "GET", "/emulator/requests":
                return await self._requests(exchange)
            case "POST", "/emulator/reset":
                self.witness.reset()
                return await exchange.whole(200, [JSON], encode(self.witness.stats()))
            case "GET", "/v1/models" | "/models":
                anthropic = b"anthropic-version" in exchange.headers
                return await self._models(exchange, "anthropic" if anthropic else "openai")
            case "GET", "/v1beta/models":
                return await self._models(exchange, "gemini")
            case "POST", _ if path in routes.COUNT_TOKENS:
                return await self._count_tokens(exchange, "anthropic", messages.count_tokens)
            case "POST", _ if routes.counts_gemini_tokens(path):
                return await self._count_tokens(exchange, "gemini", generate_content.count_tokens)
        if known:
            message = (
                f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP "
                "method?)"
            )
            error = ProviderError(405, message, "invalid_request_error", code="method_not_supported")
        else:
            error = ProviderError(404, f"Invalid URL ({method} {path})", "invalid_request_error")
        return await exchange.whole(error.status, [JSON], error.body("openai"))

    async def _requests(self, exchange: Exchange) -> None:
        text = parse_qs(exchange.scope["query_string"].decode("latin-1")).get("limit", ["100"])[-1]
        if not text.isdecimal():
            error = errors.invalid(f"limit takes a whole number, not '{text}'", "limit")
            return await exchange.whole(400, [JSON], error.body("openai"))
        return await exchange.whole(200, [JSON], encode(self.witness.requests(int(text))))

    async def _count_tokens(
        self, exchange: Exchange, dialect: Dialect, count: Callable[[bytes], bytes]
    ) -> None:
        try:
            self._authenticate(exchange, dialect)
            body = count(await exchange.body())
        except ProviderError as error:
            return await exchange.whole(error.status, [JSON], error.body(dialect))
        return await exchange.whole(200, [JSON], body)

    async def _models(self, exchange: Exchange, dialect: Dialect) -> None:
        try:
            self._authenticate(exchange, dialect)
        except ProviderError as error:
            return await exchange.whole(error.status, [JSON], error.body(dialect))
        names = sorted(self.options.models) or models.catalogue()
        return await exchange.whole(200, [JSON], encode(models.page(names, dialect)))


def _prepare(route: routes.Route, body: bytes, fault: str | None) -> Call:
    try:
        return route.parse(body, route.dialect, route.deployment, fault)
    except DirectiveError as error:
        raise errors.invalid(str(error)) from None
