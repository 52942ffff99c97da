"""TLS: the options of ``tls://`` addresses, and what its errors mean.

The handler's constructor checks the options; the writer thread makes a context of them for each
connect, so renewed certificates are read. ssl, a large import, is imported when TLS is used.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Callable, Dict, NamedTuple, NoReturn, Optional, TypeVar, Union

from ..process.inherited import no_fork

if TYPE_CHECKING:
    import ssl

__all__ = [
    "TlsOptions",
    "check_host_name",
    "check_tls",
    "explain_tls",
    "is_tls_failure",
    "load_own_certificate",
    "make_server_context",
]

PathArgument = Union[str, "os.PathLike[str]", None]
_Loaded = TypeVar("_Loaded")

# X509_V_ERR_…: self-signed, self-signed in the chain, unable to get the (local) issuer.
_UNKNOWN_ISSUER_CODES = (2, 18, 19, 20, 21)
_HOSTNAME_CODES = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH

# The ends of PEM's labels for all kinds of certificates and keys (RFC 7468).
_CERTIFICATE, _KEY = b"CERTIFICATE-----", b"PRIVATE KEY-----"
MAX_PEM = 1 << 20  # bytes that are searched for them: more than any chain has

_NOT_TLS = "the peer does not speak TLS on this port: use tcp://, or TLS on both sides"
_NO_COMMON_VERSION = "the peer and this side have no TLS version in common; 1.2 or newer is needed"

# By the end of OpenSSL's name for the reason: the beginnings differ between releases.
_REASONS: Dict[str, str] = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "RECORD_LAYER_FAILURE": _NOT_TLS,
    "HTTP_REQUEST": _NOT_TLS,
    "UNKNOWN_PROTOCOL": _NOT_TLS,
    "ALERT_PROTOCOL_VERSION": _NO_COMMON_VERSION,
    "UNSUPPORTED_PROTOCOL": _NO_COMMON_VERSION,
    "ALERT_CERTIFICATE_REQUIRED": "the peer asks for a client certificate; pass certfile",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the peer sent no client certificate",
    "ALERT_HANDSHAKE_FAILURE": (
        "the peer refuses the handshake; it may ask for a client certificate (pass certfile)"
    ),
    "ALERT_UNKNOWN_CA": "the peer does not trust the authority that issued our certificate",
    "ALERT_BAD_CERTIFICATE": "the peer refuses our certificate",
    "ALERT_CERTIFICATE_EXPIRED": "the peer refuses our certificate, because it has expired",
    "UNEXPECTED_EOF_WHILE_READING": "the peer closed the connection within TLS",
}


class TlsOptions(NamedTuple):
    """How to speak TLS with a collector.

    Attributes:
        context: the user's own context, used as it is; None: make one of the rest.
        cafile: PEM file of the authorities to trust instead of the system's.
        certfile: PEM file of our own certificate (and its chain), for collectors that ask for one.
        keyfile: PEM file of its key, if that is not in certfile.
        server_hostname: the name that the collector's certificate must have; None: the address's
            host.
    """

    context: Optional[ssl.SSLContext] = None
    cafile: PathArgument = None
    certfile: PathArgument = None
    keyfile: PathArgument = None
    server_hostname: Optional[str] = None

    def make_context(self) -> ssl.SSLContext:
        """Return the user's context, or a new one with the files as they are now.

        A new one verifies the collector's certificate and host name, and speaks TLS 1.2 or newer
        (RFC 8996 and BCP 195).

        Raises:
            ValueError: a file cannot be loaded; the text names the argument, the file and why.
        """
        if self.context is not None:
            return self.context
        import ssl

        cafile = self.cafile
        context = _load("cafile", cafile, lambda: ssl.create_default_context(cafile=cafile))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certfile is not None:
            load_own_certificate(context, self.certfile, self.keyfile)
        return context


def make_server_context(
    certfile: PathArgument, keyfile: PathArgument = None, client_ca: PathArgument = None
) -> ssl.SSLContext:
    """Return a context for a collector: TLS 1.2 or newer.

    Args:
        certfile: PEM file of its certificate (and chain).
        keyfile: PEM file of the key, if that is not in certfile.
        client_ca: PEM file of the authorities that clients' certificates must come from; None:
            clients need no certificate.

    Raises:
        ValueError: a file cannot be loaded; the text names the argument, the file and why.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_own_certificate(context, certfile, keyfile)
    if client_ca is not None:
        _load("client_ca", client_ca, lambda: context.load_verify_locations(client_ca))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def load_own_certificate(
    context: ssl.SSLContext, certfile: PathArgument, keyfile: PathArgument
) -> None:
    """Load our certificate and its key, as the files are now, for the next handshakes.

    Raises:
        ValueError: one of the files cannot be loaded; the text names the argument and why.
    """
    if keyfile is not None:
        # OpenSSL's error does not say which of the two files is missing.
        _load("keyfile", keyfile, lambda: open(keyfile, "rb").close())
    assert certfile is not None
    try:
        _load(
            "certfile",
            certfile,
            lambda: context.load_cert_chain(certfile, keyfile, _refuse_passphrase),
        )
    except ValueError as error:
        missing = _missing_part(certfile, keyfile)
        if missing is None:
            raise
        raise ValueError(missing) from error.__cause__


def _missing_part(certfile: PathArgument, keyfile: PathArgument) -> Optional[str]:
    """Return which file lacks the certificate or the key; None: neither. OpenSSL does not say."""
    own = _pem_of(certfile)
    other = own if keyfile is None else _pem_of(keyfile)
    if _CERTIFICATE in own and _KEY not in other:
        if keyfile is None:
            hint = "it holds no private key; pass the file of the key as keyfile"
            return _refusal("certfile", certfile, hint)
        return _refusal("keyfile", keyfile, "it holds no private key")
    if _KEY in own and _CERTIFICATE not in own:
        swapped = keyfile is not None and _CERTIFICATE in other
        hint = "; certfile and keyfile are swapped" if swapped else ""
        return _refusal("certfile", certfile, f"it holds a private key and no certificate{hint}")
    return None


def _pem_of(path: PathArgument) -> bytes:
    """Return the content of a regular file; empty if it cannot be read."""
    assert path is not None
    try:
        with no_fork():
            if not os.path.isfile(path):
                return b""
            with open(path, "rb") as file:
                return file.read(MAX_PEM)
    except (OSError, ValueError):
        return b""


def check_tls(options: TlsOptions) -> None:
    """Check the options, when a handler is made.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: a file cannot be loaded, or arguments exclude each other.
    """
    _check_types(options)
    if options.context is not None:
        _check_own_context(options, options.context)
    elif options.keyfile is not None and options.certfile is None:
        raise ValueError("keyfile needs a certfile: the certificate that the key is for")
    context = options.make_context()
    if options.server_hostname is not None:
        try:
            check_host_name(options.server_hostname, context)
        except ValueError as error:
            raise ValueError(f"server_hostname: {error}") from error


def check_host_name(name: str, context: ssl.SSLContext) -> None:
    """Raise ValueError if a certificate cannot have this host name."""
    import ssl

    try:
        # Without a socket, which some Pythons do not close after this error.
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    except (ssl.SSLError, ValueError, TypeError) as error:  # TypeError: a NUL in it
        raise ValueError(f"{name!r} is not a host name: {error}") from error


def _check_own_context(options: TlsOptions, context: object) -> None:
    import ssl

    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {type(context).__name__}")
    for name in ("cafile", "certfile", "keyfile"):
        if getattr(options, name) is not None:
            raise ValueError(f"ssl_context and {name} exclude each other: load it into the context")
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise ValueError(
            "ssl_context is one for servers; make one with ssl.create_default_context()"
        )


def _check_types(options: TlsOptions) -> None:
    for name in ("cafile", "certfile", "keyfile"):
        value = getattr(options, name)
        if value is not None and not isinstance(value, (str, os.PathLike)):
            raise TypeError(
                f"{name} must be a str or an os.PathLike, not {type(value).__name__} ({value!r})"
            )
        if value is not None and not os.fspath(value):
            raise ValueError(f"{name}={value!r}: must be the path of a PEM file, or None")
    name_given: object = options.server_hostname
    if name_given is not None and not isinstance(name_given, str):
        raise TypeError(f"server_hostname must be a str, not {type(name_given).__name__}")


def _load(argument: str, path: PathArgument, load: Callable[[], _Loaded]) -> _Loaded:
    try:
        with no_fork():  # OpenSSL opens the file itself
            return load()
    except (OSError, ValueError) as error:
        raise ValueError(_refusal(argument, path, _why(error))) from error


def _refusal(argument: str, path: PathArgument, why: str) -> str:
    return f"{argument}={path!r} cannot be loaded: {why}"


def _why(error: Exception) -> str:
    import ssl

    if isinstance(error, ssl.SSLError):
        if _reason_of(error) == "KEY_VALUES_MISMATCH":
            return "its certificate and the key do not belong together"
        return f"not PEM, or not what it should hold ({_reason_of(error)})"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error)


def _refuse_passphrase() -> NoReturn:
    # Without this OpenSSL asks on the terminal, and the writer thread would wait.
    raise ValueError("its key has a passphrase; load it into an ssl_context of your own")


def explain_tls(error: OSError) -> Optional[str]:
    """Return what an error of TLS means; None: it is another error."""
    import ssl

    if not isinstance(error, ssl.SSLError):
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error)
    if isinstance(error, ssl.SSLZeroReturnError):
        return "the peer closed the TLS session"
    if isinstance(error, ssl.SSLEOFError):
        return _REASONS["UNEXPECTED_EOF_WHILE_READING"]
    reason = _reason_of(error)
    for ending, text in _REASONS.items():
        if reason.endswith(ending):
            return f"{text} ({reason})"
    return f"TLS failed ({reason})"


def is_tls_failure(cause: Optional[BaseException]) -> bool:
    """Return whether TLS itself failed, as by a foreign protocol or a certificate; not a close."""
    ssl = sys.modules.get("ssl")
    return (
        ssl is not None
        and isinstance(cause, ssl.SSLError)
        and not isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    )


def _reason_of(error: ssl.SSLError) -> str:
    # Errors that the ssl module itself raises have no such attribute.
    return getattr(error, "reason", None) or str(error)


def _explain_certificate(error: ssl.SSLCertVerificationError) -> str:
    hint = ""
    if error.verify_code in _UNKNOWN_ISSUER_CODES:
        hint = "; pass the file of the authority that issued it as cafile"
    elif error.verify_code in _HOSTNAME_CODES:
        hint = (
            "; if it is the right peer, pass the name that its certificate has as server_hostname"
        )
    return f"the peer's certificate is refused: {error.verify_message.rstrip('.')}{hint}"
