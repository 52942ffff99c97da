"""Names: resolved without blocking, remembered, and given up in time."""

from __future__ import annotations

import re
import socket
import threading
from typing import Any, Callable, Iterator, List

import pytest

from dnstap_logging.address import Address
from dnstap_logging.exceptions import TransportError, TransportTimeout
from dnstap_logging.process.threads import become_writer
from dnstap_logging.transport import resolve as resolve_module
from dnstap_logging.transport.resolve import Resolver
from dnstap_logging.transport.waiting import never
from tests.transport.peers import (
    DEADLINE,
    BroughtForward,
    Peer,
    accept,
    full_backlog,
    in_child,
    linux_only,
    listen_tcp,
    open_transport,
)

NAME = "collector.example"
SHORT = 0.2


def found(host: str, family: int = socket.AF_INET) -> Any:
    """Return one result of getaddrinfo."""
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, 6000))


class Dns:
    """A getaddrinfo whose answers, and silence, the test decides."""

    def __init__(self) -> None:
        self.answer: Any = [found("192.0.2.1")]
        self.speaks = threading.Event()
        self.speaks.set()
        self.asked: List[str] = []
        self.threads: List[threading.Thread] = []

    def __call__(self, host: str, port: int, *args: object) -> List[Any]:
        """Answer as getaddrinfo, once the test lets it."""
        self.asked.append(host)
        self.threads.append(threading.current_thread())
        assert self.speaks.wait(DEADLINE)
        if isinstance(self.answer, BaseException):
            raise self.answer
        answer: List[Any] = self.answer
        return answer

    def finish(self) -> None:
        """Answer all that still wait."""
        self.speaks.set()
        for thread in self.threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()


@pytest.fixture
def dns() -> Iterator[Dns]:
    """A DNS that leaves no thread behind."""
    dns = Dns()
    yield dns
    dns.finish()


def resolve(resolver: Resolver, timeout: float = DEADLINE, until: Any = never) -> List[str]:
    """Resolve the name and return the hosts."""
    return [str(result[4][0]) for result in resolver.resolve(NAME, 6000, timeout, until)]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "2001:db8::1", "fe80::1%lo"])
def test_numeric_hosts_need_no_thread_and_no_dns(host: str, dns: Dns) -> None:
    """A numeric address is answered without asking anybody."""
    if host.endswith("%lo") and "lo" not in dict(socket.if_nameindex()).values():
        pytest.skip("the loopback interface has another name here")
    results = Resolver(dns).resolve(host, 6000, 0, never)

    assert results[0][4][:2] == (host.partition("%")[0], 6000) or results[0][4][0] == host
    assert dns.asked == []


def test_a_name_is_resolved_in_a_daemon_thread(dns: Dns) -> None:
    """The answer comes in its own order, without repetitions and other families."""
    dns.answer = [
        found("192.0.2.2"),
        found("2001:db8::1", socket.AF_INET6),
        found("192.0.2.2"),
        found("/strange", socket.AF_UNIX),
    ]

    assert resolve(Resolver(dns)) == ["192.0.2.2", "2001:db8::1"]
    assert dns.threads[0] is not threading.current_thread()
    assert dns.threads[0].daemon


def test_every_resolve_asks_again(dns: Dns) -> None:
    """A name that moves is followed: nothing is cached while the DNS answers."""
    resolver = Resolver(dns)
    assert resolve(resolver) == ["192.0.2.1"]
    dns.answer = [found("192.0.2.7")]

    assert resolve(resolver) == ["192.0.2.7"]


def test_a_silent_dns_is_abandoned(dns: Dns) -> None:
    """A lookup that hangs is left behind after the timeout; it keeps no program from ending."""
    dns.speaks.clear()

    with pytest.raises(TransportTimeout, match=r"was not resolved in 0\.2 s"):
        resolve(Resolver(dns), timeout=SHORT)
    assert dns.threads[0].is_alive()
    assert dns.threads[0].daemon


def test_until_cuts_a_lookup_short(dns: Dns) -> None:
    """A close ends a lookup that would have been waited for for an hour."""
    dns.speaks.clear()

    with pytest.raises(TransportTimeout, match="closing"):
        resolve(Resolver(dns), timeout=3600, until=BroughtForward(after=3))


def test_a_silent_dns_gets_one_thread_only(dns: Dns) -> None:
    """While a lookup hangs, further attempts wait for it and start no others."""
    resolver = Resolver(dns)
    dns.speaks.clear()
    for _ in range(3):
        with pytest.raises(TransportTimeout):
            resolve(resolver, timeout=0.05)

    assert len(dns.threads) == 1
    dns.finish()
    assert resolve(resolver) == ["192.0.2.1"]


def test_a_lookup_that_never_ends_is_replaced_in_the_end(
    dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some patience a new lookup is started, and the patience grows."""
    monkeypatch.setattr(resolve_module, "FIRST_PATIENCE", 0.0)
    resolver = Resolver(dns)
    dns.speaks.clear()
    for _ in range(2):
        with pytest.raises(TransportTimeout):
            resolve(resolver, timeout=0.05)

    assert len(dns.threads) == 2


def test_the_last_good_addresses_are_kept(dns: Dns) -> None:
    """A name that fails later is still connected by the addresses it had."""
    resolver = Resolver(dns)
    assert resolve(resolver) == ["192.0.2.1"]

    dns.answer = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert resolve(resolver) == ["192.0.2.1"]
    dns.answer = []
    assert resolve(resolver) == ["192.0.2.1"]
    with pytest.raises(TransportError):
        resolver.resolve("other.example", 6000, DEADLINE, never)


def test_a_silent_dns_leaves_time_to_connect(dns: Dns) -> None:
    """With addresses in hand, a DNS that hangs takes half of the time, and they are connected."""
    with Peer(listen_tcp(), lambda at: accept(at).close()) as address:
        dns.answer = [(*found(address.host)[:4], (address.host, address.port))]
        resolver = Resolver(dns)
        named = Address("tcp", host=NAME, port=address.port)
        resolver.resolve(NAME, address.port, DEADLINE, never)
        dns.speaks.clear()

        transport = open_transport(named, timeout=1.0, resolver=resolver)
        transport.close()


@pytest.mark.skipif(not linux_only, reason="other systems answer when their queue is full")
def test_a_silent_dns_takes_half_of_the_time_at_most(dns: Dns) -> None:
    """What a DNS that hangs leaves of the one deadline is spent on the addresses in hand."""
    with listen_tcp(backlog=0) as silent, full_backlog(silent):
        dns.answer = [(*found("127.0.0.1")[:4], silent.getsockname())]
        resolver = Resolver(dns)
        assert resolve(resolver) == ["127.0.0.1"]
        dns.speaks.clear()
        with pytest.raises(TransportTimeout) as caught:
            open_transport(Address("tcp", host=NAME, port=6000), timeout=0.6, resolver=resolver)

    waited = re.search(r"no answer in (\S+) s", caught.value.reason)
    assert waited is not None, caught.value.reason
    assert 0 < float(waited.group(1)) <= 0.3, caught.value.reason


def test_an_answer_that_came_late_is_remembered(dns: Dns) -> None:
    """What an abandoned lookup found in the end serves when the next one fails."""
    resolver = Resolver(dns)
    dns.speaks.clear()
    with pytest.raises(TransportTimeout):
        resolve(resolver, timeout=0.05)
    dns.finish()
    dns.answer = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    assert resolve(resolver) == ["192.0.2.1"]
    assert len(dns.asked) == 2, "a late answer is no reason not to ask again"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "service not known"),
        (UnicodeError("label too long"), "label too long"),
        (RuntimeError("no idea"), "no idea"),
        ([], "has no IPv4 or IPv6 address"),
    ],
)
def test_a_name_that_fails_is_a_clear_error(dns: Dns, answer: Any, reason: str) -> None:
    """Whatever a lookup ends with is an error that names the address, and keeps its cause."""
    dns.answer = answer
    address = Address("tcp", host=NAME, port=6000)

    with pytest.raises(TransportError, match=reason) as caught:
        open_transport(address, resolver=Resolver(dns))
    assert str(caught.value).startswith(f"{address}: the name ")
    assert (caught.value.__cause__ is answer) == isinstance(answer, Exception)


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".example", "_dnstap.invalid", "ö.invalid"])
def test_strange_names_are_the_resolvers_to_refuse(host: str) -> None:
    """A name that no DNS could have is an error of resolving, from the real resolver too."""
    with pytest.raises(TransportError):
        Resolver().resolve(host, 6000, DEADLINE, never)


def refuse_to_start(thread: threading.Thread) -> None:
    """Answer as threading does while the interpreter shuts down (Python 3.12 and newer)."""
    raise RuntimeError("can't create new thread at interpreter shutdown")


def test_at_interpreter_shutdown(dns: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, the last good addresses serve, or a clear error."""
    knows, knows_nothing = Resolver(dns), Resolver(dns)
    assert resolve(knows) == ["192.0.2.1"]
    monkeypatch.setattr(threading.Thread, "start", refuse_to_start)

    assert resolve(knows) == ["192.0.2.1"]
    with pytest.raises(TransportError, match="cannot be resolved now: can't create new thread"):
        resolve(knows_nothing)


def test_a_writer_thread_asks_by_itself_then(dns: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that may be left behind resolves the name; other daemons, which may close, do not."""
    start, results = threading.Thread.start, []

    def ask(prepare: Callable[[], object]) -> None:
        prepare()
        try:
            results.append(resolve(Resolver(dns)))
        except TransportError as error:
            results.append([error.reason])

    monkeypatch.setattr(threading.Thread, "start", refuse_to_start)
    for prepare in (lambda: become_writer(0), lambda: None):
        thread = threading.Thread(target=ask, args=(prepare,), daemon=True)
        start(thread)
        thread.join(DEADLINE)

    assert results[0] == ["192.0.2.1"]
    assert "can't create new thread" in results[1][0]
    assert len(dns.threads) == 1
    dns.threads.clear()


def test_a_forked_child_starts_its_own_lookup(dns: Dns) -> None:
    """A lookup that the parent waits for will never end in the child, which asks again."""
    resolver = Resolver(dns)
    dns.speaks.clear()
    with pytest.raises(TransportTimeout):
        resolve(resolver, timeout=0.05)

    def child() -> str:
        dns.speaks = threading.Event()
        dns.speaks.set()
        return ",".join(resolve(resolver))

    assert in_child(child) == "192.0.2.1"
