"""Our schema and dnstap-pb's in one process, on both implementations of protobuf."""

from __future__ import annotations

import pytest

from tests.helpers.programs import run_python

IMPORTS = {
    "theirs first": "import dnstap_pb\nfrom dnstap_logging.codec.proto import *\n",
    "ours first": "from dnstap_logging.codec.proto import *\nimport dnstap_pb\n",
}

# dnstap-pb does not know http_protocol (16): it must carry that field along as an unknown one.
DECODE = """
import sys
from google.protobuf.internal import api_implementation

assert api_implementation.Type() == sys.argv[1], api_implementation.Type()
types = [value.number for value in Message.DESCRIPTOR.enum_types_by_name["Type"].values]
assert types == list(range(1, 15)), types
for number in types:
    message = Message(
        type=number,
        socket_family=2,
        socket_protocol=4,
        query_address=bytes(15) + b"\\1",
        response_address=bytes(15) + b"\\2",
        query_port=65535,
        response_port=443,
        query_time_sec=2**40,
        query_time_nsec=999_999_999,
        query_message=bytes(range(256)),
        query_zone=b"\\7example\\0",
        response_time_sec=2**40 + 1,
        response_time_nsec=0,
        response_message=b"\\xff" * 65535,
        policy=Policy(type="RPZ", rule=b"\\0", action=6, match=5, value=b"\\xff"),
        http_protocol=3,
    )
    ours = Dnstap(identity=b"ns1", version=b"v", extra=b"\\0", type=1, message=message)
    payload = ours.SerializeToString()

    theirs = dnstap_pb.Dnstap.FromString(payload)
    assert type(theirs) is not type(ours)
    pairs = (ours, theirs), (message, theirs.message), (message.policy, theirs.message.policy)
    for mine, other in pairs:
        for field in other.DESCRIPTOR.fields:
            if field.message_type is None:
                assert other.HasField(field.name), field.name
                expected, actual = getattr(mine, field.name), getattr(other, field.name)
                assert expected == actual, (field.name, expected, actual)

    assert Dnstap.FromString(theirs.SerializeToString()) == ours
print("decoded", len(types))
"""


@pytest.mark.parametrize("implementation", ["upb", "python"])
@pytest.mark.parametrize("order", IMPORTS)
def test_dnstap_pb_decodes_ours_in_one_process(order: str, implementation: str) -> None:
    """Whichever schema is imported first, both work, and theirs reads every field of ours."""
    done = run_python(
        IMPORTS[order] + DECODE, implementation, warnings="default", protobuf=implementation
    )

    assert (done.returncode, done.stdout) == (0, "decoded 14\n"), done.stderr


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_import_leaves_the_shared_registries_alone(implementation: str) -> None:
    """After importing ours alone, protobuf's default pool and symbol database know no dnstap."""
    code = """
from dnstap_logging.codec.proto import Dnstap
from google.protobuf import descriptor_pool, symbol_database
for find in descriptor_pool.Default().FindMessageTypeByName, symbol_database.Default().GetSymbol:
    for name in "dnstap.Dnstap", "dnstap.Message", "dnstap.Policy":
        try:
            find(name)
        except KeyError:
            continue
        print("found", name, find)
"""
    done = run_python(code, implementation, warnings="default", protobuf=implementation)

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
