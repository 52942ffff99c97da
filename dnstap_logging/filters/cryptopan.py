"""Crypto-PAn: pseudonyms of addresses that keep their prefixes comparable.

J. Xu, J. Fan, M. H. Ammar, S. B. Moon, "Prefix-preserving IP address anonymization" (2002). Two
addresses have pseudonyms with exactly as many leading bits in common as they have themselves. The
same key gives the same pseudonyms in every program that has Crypto-PAn. Any thread may use it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Tuple

__all__ = ["KEY_SIZE", "CryptoPan"]

KEY_SIZE = 32  # bytes: a key of AES-128, and the secret pad
BLOCK_BITS = 128  # of AES
CACHE_SIZE = 16384  # pseudonyms that are kept: a few megabytes


class CryptoPan:
    """Make pseudonyms with one key.

    Args:
        key: 32 bytes.

    Raises:
        ImportError: the package cryptography is not installed.
    """

    def __init__(self, key: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        except ImportError as error:
            raise ImportError(
                "key: pseudonyms by Crypto-PAn need the package cryptography:"
                " install it, or dnstap-logging with its extra 'privacy'"
            ) from error
        # ECB is right here: each block is an independent input of a pseudorandom function.
        self._key = key
        self._aes = Cipher(algorithms.AES(key[:16]), modes.ECB())
        self._pad = int.from_bytes(self._encrypt(key[16:]), "big")
        self.pseudonym = lru_cache(maxsize=CACHE_SIZE)(self._pseudonym)

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self._key,)

    def _encrypt(self, blocks: bytes) -> bytes:
        """Encrypt blocks in one call; a new encryptor, since threads cannot share one."""
        encrypted: bytes = self._aes.encryptor().update(blocks)
        return encrypted

    def _pseudonym(self, address: bytes, bits: int) -> bytes:
        """Return the pseudonym of the first bits of an address, and zeros after them.

        Bit i of the pseudonym is the address's, flipped if the first bit of an encryption is 1:
        that of the i bits before it, filled up from the pad.

        Args:
            address: packed, 4 or 16 bytes.
            bits: how many bits, from 0 to all.
        """
        pad, size = self._pad, 8 * len(address)
        difference = (int.from_bytes(address, "big") << (BLOCK_BITS - size)) ^ pad
        ones = (1 << BLOCK_BITS) - 1
        blocks = [
            (pad ^ difference & ones << (BLOCK_BITS - length) & ones).to_bytes(16, "big")
            for length in range(bits)
        ]
        flips = 0
        for first_octet in self._encrypt(b"".join(blocks))[::16]:
            flips = flips << 1 | first_octet >> 7
        kept = int.from_bytes(address, "big") >> (size - bits)
        return ((kept ^ flips) << (size - bits)).to_bytes(len(address), "big")
