"""Policy: a strict constructor, immutable values."""

from __future__ import annotations

import pickle
from typing import Any, Dict

import dns.name
import pytest

from dnstap_logging.message.enums import PolicyAction, PolicyMatch
from dnstap_logging.message.policy import Policy, as_policy

RULE = b"\x07example\x03com\x00"


@pytest.mark.parametrize(
    "rule", [RULE, bytearray(RULE), "example.com", dns.name.from_text("example.com.")]
)
@pytest.mark.parametrize("action", [PolicyAction.DROP, "DROP", "drop", 4])
def test_accepted_forms(rule: Any, action: Any) -> None:
    """Names, numbers and members are one; the rule takes all forms of a name."""
    policy = Policy(type="RPZ", rule=rule, action=action, match="client_ip", value=b"\x7f\0\0\1")

    assert policy == ("RPZ", RULE, PolicyAction.DROP, PolicyMatch.CLIENT_IP, b"\x7f\0\0\1")
    assert type(policy.rule) is bytes
    assert policy.action is PolicyAction.DROP


def test_names_of_other_servers() -> None:
    """BIND's and Unbound's names of actions and triggers are taken."""
    assert Policy(action="PASSTHRU").action is PolicyAction.PASS
    assert Policy(action="tcp-only").action is PolicyAction.TRUNCATE
    assert Policy(action="Local-Data").action is PolicyAction.LOCAL_DATA
    assert Policy(match="client-ip").match is PolicyMatch.CLIENT_IP
    assert Policy(match="IP").match is PolicyMatch.RESPONSE_IP
    assert Policy(match="NSDNAME").match is PolicyMatch.NS_NAME
    assert Policy(match="NSIP").match is PolicyMatch.NS_IP


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"type": b"RPZ"}, "type=b'RPZ': must be str, not bytes"),
        ({"type": "\udc80"}, "type='\\udc80': must be text that has a UTF-8 form"),
        ({"rule": "a..b"}, "rule='a..b': a domain name has no empty label"),
        ({"rule": b"text"}, "rule=b'text': bytes must be a name in uncompressed wire format"),
        ({"action": "BAN"}, "action='BAN': must be a PolicyAction, its name ('NXDOMAIN')"),
        ({"match": 6}, "match=6: must be a PolicyMatch, its name ('QNAME') or number (1 to 5)"),
        ({"value": "text"}, "value='text': must be bytes, not str"),
    ],
)
def test_refused_arguments(arguments: Dict[str, Any], text: str) -> None:
    """Each error names the argument, the value and what is right; in a mapping it is the same."""
    for make in (lambda: Policy(**arguments), lambda: as_policy(arguments)):
        with pytest.raises((ValueError, TypeError)) as caught:
            make()
        assert str(caught.value).startswith(text)


def test_policy_is_immutable_and_pickles() -> None:
    """A policy may be shared by threads and sent to processes."""
    policy = Policy("RPZ", action="DROP")

    with pytest.raises(AttributeError):
        policy.action = PolicyAction.PASS  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert type(pickle.loads(pickle.dumps(policy))) is Policy


def test_mapping_without_end() -> None:
    """No more keys are read than it takes to find an unknown one."""
    with pytest.raises(ValueError, match="is no key of a policy, which are type, rule, action"):
        as_policy({number: number for number in range(10**6)})
