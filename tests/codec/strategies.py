"""Random extras for the properties of the codec."""

from __future__ import annotations

from typing import Any, Dict

from hypothesis import strategies as st

from dnstap_logging.message.enums import (
    HttpProtocol,
    MessageType,
    PolicyAction,
    PolicyMatch,
    SocketProtocol,
)
from dnstap_logging.message.policy import Policy

LABEL = st.binary(min_size=1, max_size=20)
NAMES = st.lists(LABEL, max_size=5).map(
    lambda labels: b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
)

PORTS = st.integers(0, 65535)
TIMES = st.integers(10**17, 253402300799_999_999_999)
WIRES = st.binary(max_size=200)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=50)
POLICIES = st.builds(
    Policy,
    st.none() | TEXT,
    st.none() | NAMES,
    st.none() | st.sampled_from(PolicyAction),
    st.none() | st.sampled_from(PolicyMatch),
    st.none() | WIRES,
)


def addresses(version: int) -> Any:
    """Generate the forms of the addresses of one family that are not unspecified or mapped."""
    plain = st.ip_addresses(v=version).filter(
        lambda ip: not ip.is_unspecified and not getattr(ip, "ipv4_mapped", None)
    )
    return st.one_of(
        plain, plain.map(str), plain.map(lambda ip: ip.packed), st.tuples(plain.map(str), PORTS)
    )


@st.composite
def extras(draw: Any) -> Dict[str, Any]:
    """Generate good extras of any kind and number."""
    family = draw(st.sampled_from([4, 6]))
    protocol = draw(st.none() | st.sampled_from(SocketProtocol))
    optional = {
        "query_address": addresses(family),
        "response_address": addresses(family),
        "query_port": PORTS,
        "response_port": PORTS,
        "query_time": TIMES,
        "response_time": TIMES,
        "query_message": WIRES | WIRES.map(bytearray),
        "response_message": WIRES | WIRES.map(memoryview),
        "query_zone": NAMES,
        "policy": POLICIES | POLICIES.map(lambda policy: policy._asdict()),
        "extra": WIRES | TEXT,
        "identity": WIRES | TEXT,
        "version": WIRES | TEXT,
    }
    values = draw(st.fixed_dictionaries({}, optional=optional))
    values["message_type"] = draw(st.sampled_from(MessageType))
    if protocol is not None:
        values["socket_protocol"] = draw(st.sampled_from([protocol, protocol.name, int(protocol)]))
    if protocol is SocketProtocol.DOH:
        values["http_protocol"] = draw(st.none() | st.sampled_from(HttpProtocol))
    return {f"dns_{name}": value for name, value in values.items()}
