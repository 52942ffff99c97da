"""dnstap for dnspython: `DnstapClient`, whose queries and their responses are logged.

Its methods are dns.query's functions, called with the same arguments: they hand dnspython a socket
(or a TLS context) that reports what goes through it, and leave the rest, with all timeouts and
errors, to dnspython. Runs in the threads that ask. What is logged: `integrations/exchange.py`.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, ContextManager, Optional, Tuple, TypeVar

from ..tap import LoggerLike, Tap, missing, report

try:
    import dns.inet
    import dns.message
    import dns.nameserver
    import dns.query
    import dns.resolver
    import dns.version
except ImportError as error:
    raise missing(__package__, "dnspython", "dnspython") from error
if (dns.version.MAJOR, dns.version.MINOR) < (2, 7):  # in older ones, less can be seen from outside
    raise missing(__package__, "dnspython 2.7 or newer", "dnspython")

from .https import through_https
from .patch import Ask, original, patched
from .sockets import Arguments, Prepare, through_datagrams, through_stream, through_tls

__all__ = ["DnstapClient"]

ResolverT = TypeVar("ResolverT", bound=dns.resolver.Resolver)


class DnstapClient:
    """Send DNS queries by dnspython, and log them and their responses.

    What is logged are the bytes that went through the socket, its two ends, and the times just
    before the query was sent and after its response was received. A query that is never answered
    is logged alone; one that could not be sent, not at all. A response is logged also if
    dnspython then refuses it, unless it went on waiting for a better one. Exceptions are
    dnspython's own, unchanged, and nothing else is raised while asking.

    One object may be used by several threads.

    Args:
        logger: a logger, a logger's name, or a `DnstapAdapter` with constants.
        role: TOOL (default), STUB, RESOLVER, FORWARDER, or another first half of the message
            types.

    Raises:
        TypeError, ValueError: naming the argument, the value and what is right.
    """

    __module__ = "dnstap_logging.integrations.dnspython"

    def __init__(self, logger: LoggerLike, role: str = "TOOL") -> None:
        self._tap = Tap(logger, role)

    def udp(self, *args: Any, **kwargs: Any) -> dns.message.Message:
        """Ask by UDP: dns.query.udp."""
        answer: dns.message.Message = self._ask("udp", through_datagrams, args, kwargs)
        return answer

    def tcp(self, *args: Any, **kwargs: Any) -> dns.message.Message:
        """Ask by TCP: dns.query.tcp."""
        answer: dns.message.Message = self._ask("tcp", through_stream, args, kwargs)
        return answer

    def tls(self, *args: Any, **kwargs: Any) -> dns.message.Message:
        """Ask by DNS over TLS: dns.query.tls."""
        answer: dns.message.Message = self._ask("tls", through_tls, args, kwargs)
        return answer

    def https(self, *args: Any, **kwargs: Any) -> dns.message.Message:
        """Ask by DNS over HTTPS: dns.query.https.

        The response is logged if dnspython accepts it. Addresses, ports and the version of HTTP
        are known unless ``verify`` is an SSLContext or the version is 3: then they are what the
        arguments say.
        """
        answer: dns.message.Message = self._ask("https", through_https, args, kwargs)
        return answer

    def udp_with_fallback(self, *args: Any, **kwargs: Any) -> Tuple[dns.message.Message, bool]:
        """Ask by UDP, and by TCP if the response was truncated: dns.query.udp_with_fallback."""
        given = _bound(dns.query.udp_with_fallback, args, kwargs)
        udp_sock, tcp_sock = given.pop("udp_sock", None), given.pop("tcp_sock", None)
        try:
            return self.udp(**given, raise_on_truncation=True, sock=udp_sock), False
        except dns.message.Truncated:
            given.pop("ignore_unexpected", None)
            given.pop("ignore_errors", None)
            return self.tcp(**given, sock=tcp_sock), True

    def log_resolver(self, resolver: ResolverT) -> ResolverT:
        """Log the queries of a resolver from now on, and return the resolver.

        Its nameservers are replaced by ones that ask through this object. Set its ports before,
        and call this again after setting its nameservers.

        Args:
            resolver: a dns.resolver.Resolver, which may be dns.resolver.get_default_resolver().

        Raises:
            TypeError: it is not such a resolver, or has a nameserver other than for plain DNS, DNS
                over TLS and DNS over HTTPS.
        """
        if not isinstance(resolver, dns.resolver.Resolver):
            raise TypeError(f"resolver={resolver!r}: must be a dns.resolver.Resolver")
        resolver.nameservers = [
            _LoggedNameserver(self, _as_nameserver(each, resolver)) for each in resolver.nameservers
        ]
        return resolver

    def patched_dns_query(self) -> ContextManager[None]:
        """Return a context in which all queries of this process by dns.query are logged.

        It replaces dns.query's udp, tcp, tls and https for all threads, including resolvers and
        udp_with_fallback, and restores them at the end. If there are several such contexts, the
        latest one logs. Code that did ``from dns.query import udp`` before keeps the original.
        """
        return patched(self)

    def _ask(
        self,
        name: str,
        prepare: Prepare,
        args: Tuple[Any, ...],
        kwargs: Arguments,
    ) -> Any:
        """Call a function of dns.query with a socket that tells what goes through it."""
        function = original(name)
        if not self._tap.enabled:
            return function(*args, **kwargs)
        try:
            ask, exchange, resource = prepare(self._tap, function, _bound(function, args, kwargs))
        except Exception as problem:  # noqa: BLE001 - of the arguments: dnspython says it best
            answer = function(*args, **kwargs)
            report(problem)
            return answer
        try:
            with resource:
                return ask()
        finally:
            exchange.finish()


# -- resolvers -------------------------------------------------------------------------------------

_KINDS = (
    dns.nameserver.Do53Nameserver,
    dns.nameserver.DoTNameserver,
    dns.nameserver.DoHNameserver,
)


_Nameserver: Any = dns.nameserver.Nameserver  # typed or not, as dnspython is installed or not


class _LoggedNameserver(_Nameserver):  # type: ignore[misc]
    """A nameserver that a resolver asks through a `DnstapClient`; asynchronously, past it."""

    def __init__(self, client: DnstapClient, inner: Any) -> None:
        super().__init__()
        self.client = client
        self.inner = inner

    def __str__(self) -> str:
        return str(self.inner)

    def kind(self) -> str:
        return str(self.inner.kind())

    def is_always_max_size(self) -> bool:
        return bool(self.inner.is_always_max_size())

    def answer_nameserver(self) -> str:
        return str(self.inner.answer_nameserver())

    def answer_port(self) -> int:
        return int(self.inner.answer_port())

    def query(
        self,
        request: Any,
        timeout: float,
        source: Optional[str],
        source_port: int,
        max_size: bool,
        one_rr_per_rrset: bool = False,
        ignore_trailing: bool = False,
    ) -> Any:
        """Ask as the methods of dnspython's own nameservers do."""
        inner, client = self.inner, self.client
        given: Arguments = {
            "timeout": timeout,
            "one_rr_per_rrset": one_rr_per_rrset,
            "ignore_trailing": ignore_trailing,
        }
        if isinstance(inner, dns.nameserver.DoTNameserver):
            given.update(port=inner.port, server_hostname=inner.hostname, verify=inner.verify)
            return client.tls(request, inner.address, **given)
        given.update(source=source, source_port=source_port)
        if isinstance(inner, dns.nameserver.DoHNameserver):
            given.update(bootstrap_address=inner.bootstrap_address, verify=inner.verify)
            given.update(post=not inner.want_get, http_version=inner.http_version)
            return client.https(request, inner.url, **given)
        given.update(port=inner.port)
        if max_size:
            return client.tcp(request, inner.address, **given)
        given.update(raise_on_truncation=True, ignore_errors=True, ignore_unexpected=True)
        return client.udp(request, inner.address, **given)

    async def async_query(self, *args: Any, **kwargs: Any) -> Any:
        return await self.inner.async_query(*args, **kwargs)


def _as_nameserver(each: Any, resolver: dns.resolver.Resolver) -> Any:
    """Return a nameserver of a resolver, which may be text there, as an object."""
    if isinstance(each, _LoggedNameserver):
        return each.inner
    if isinstance(each, str) and dns.inet.is_address(each):
        port = resolver.nameserver_ports.get(each, resolver.port)
        return dns.nameserver.Do53Nameserver(each, port)
    if isinstance(each, str):
        return dns.nameserver.DoHNameserver(each)  # the only other text that a resolver takes
    if type(each) not in _KINDS:
        raise TypeError(f"nameserver {each}: only plain DNS, DoT and DoH can be logged")
    return each


@functools.lru_cache(maxsize=64)
def _signature(function: Ask) -> inspect.Signature:
    return inspect.signature(function)


def _bound(function: Ask, args: Tuple[Any, ...], kwargs: Arguments) -> Arguments:
    """Return the arguments of a call by their names, without defaults."""
    return dict(_signature(function).bind(*args, **kwargs).arguments)
