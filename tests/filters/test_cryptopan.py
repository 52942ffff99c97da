"""Crypto-PAn: the published vectors, prefixes that stay comparable, and AES only when asked for."""

from __future__ import annotations

import ipaddress
import threading
from typing import Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.filters.cryptopan import CACHE_SIZE, CryptoPan
from tests.filters.traffic import KEY
from tests.helpers.programs import run_python

# From the sample trace of the original implementation; it knows IPv4 only. Those of IPv6 are what
# its successors agree on.
VECTORS: Dict[str, str] = {
    "128.11.68.132": "135.242.180.132",
    "129.118.74.4": "134.136.186.123",
    "130.132.252.244": "133.68.164.234",
    "141.223.7.43": "141.167.8.160",
    "141.233.145.108": "141.129.237.235",
    "152.163.225.39": "151.140.114.167",
    "156.29.3.236": "147.225.12.42",
    "192.102.249.13": "252.138.62.131",
    "203.12.160.252": "244.248.163.4",
    "24.0.250.221": "100.15.198.226",
    "4.3.88.225": "124.60.155.63",
    "64.14.118.196": "0.255.183.58",
    "10.185.25.118": "117.161.29.118",
    "::1": "78ff:f001:9fc0:20df:8380:b1f1:704:ed",
    "::2": "78ff:f001:9fc0:20df:8380:b1f1:704:ef",
    "::ffff": "78ff:f001:9fc0:20df:8380:b1f1:704:f838",
    "2001:db8::1": "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e",
    "2001:db8::2": "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c",
}


@pytest.mark.parametrize(("address", "pseudonym"), VECTORS.items())
def test_published_vectors(address: str, pseudonym: str) -> None:
    """Addresses become what they become in every other program with the same key."""
    packed = ipaddress.ip_address(address).packed

    found = CryptoPan(KEY).pseudonym(packed, 8 * len(packed))

    assert str(ipaddress.ip_address(found)) == pseudonym


def common(first: bytes, second: bytes) -> int:
    """Return how many leading bits two addresses have in common."""
    size = 8 * len(first)
    return size - (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_length()


def pairs(size: int) -> st.SearchStrategy[List[bytes]]:
    """Return pairs of addresses that often have a long prefix in common."""
    whole = st.binary(min_size=size, max_size=size)
    near = st.tuples(whole, st.integers(0, 8 * size)).map(
        lambda drawn: [
            drawn[0],
            (int.from_bytes(drawn[0], "big") ^ (1 << drawn[1] >> 1)).to_bytes(size, "big"),
        ]
    )
    return near | st.lists(whole, min_size=2, max_size=2)


PAN = CryptoPan(KEY)


@given(pairs(4) | pairs(16), st.data())
def test_prefixes_stay_comparable(pair: List[bytes], data: st.DataObject) -> None:
    """Two pseudonyms have as many bits in common as their addresses; so one is never another's."""
    size = 8 * len(pair[0])
    first, second = (PAN.pseudonym(address, size) for address in pair)

    assert common(first, second) == common(*pair)

    bits = data.draw(st.integers(0, size))
    short = PAN.pseudonym(pair[0], bits)
    mask = (1 << size) - (1 << (size - bits))
    assert int.from_bytes(short, "big") == int.from_bytes(first, "big") & mask


def test_other_keys() -> None:
    """Key and pad both matter."""
    address = bytes([192, 0, 2, 1])
    keys = [KEY, bytes(32), KEY[:16] + bytes(16), bytes(16) + KEY[16:]]

    assert len({CryptoPan(key).pseudonym(address, 32) for key in keys}) == len(keys)


def test_the_cache_is_bounded() -> None:
    """However many clients there are, memory is not theirs."""
    pan = CryptoPan(KEY)

    for number in range(CACHE_SIZE + 10):
        pan.pseudonym(number.to_bytes(4, "big"), 1)

    assert pan.pseudonym.cache_info().currsize == CACHE_SIZE


def test_threads() -> None:
    """One filter serves all threads of a server."""
    pan = CryptoPan(KEY)
    expected = [PAN.pseudonym(bytes([10, 0, 0, host]), 32) for host in range(200)]
    found: List[List[bytes]] = []

    def work() -> None:
        found.append([pan.pseudonym(bytes([10, 0, 0, host]), 32) for host in range(200)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [expected] * 8


WITHOUT = """
import sys
sys.modules["cryptography"] = None
import dnstap_logging.filters as filters
filters.AnonymizingFilter()
print(sorted({"hashlib", "cryptography.hazmat"} & set(sys.modules)))
try:
    filters.AnonymizingFilter(key=bytes(32))
except ImportError as error:
    print(error)
"""


def test_cryptography_is_imported_only_for_a_key() -> None:
    """Without a key it need not be installed; with one, the error says what to install."""
    done = run_python(WITHOUT)

    assert (done.returncode, done.stderr) == (0, "")
    imported, error = done.stdout.splitlines()
    assert imported == "[]"
    assert "install it, or dnstap-logging with its extra 'privacy'" in error
