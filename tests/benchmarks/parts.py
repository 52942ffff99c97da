"""The yardstick "parts": what a user would build from existing packages, for dnstap from logging.

`QueueHandler` and `QueueListener` of the standard library take the record to another thread; there
PyPI's dnstap-pb makes the message, and PyPI's fstrm the frame. Written as by somebody who knows
these well: one message object is used for all records, frames go through the buffer of a file, and
the queue is bounded, as ours is; if it is full, the caller waits, so that nothing is lost. On a
socket, each frame is sent at once, since a buffer would keep the last ones of a quiet server for
ever; with `buffered` there is one nevertheless, for comparison.

It does much less than a handler of ours: it checks nothing, counts nothing, and ends at the first
error of the connection.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import socket
from pathlib import Path
from typing import Any, BinaryIO, Callable, Union

import dnstap_pb
import fstrm

from tests.helpers.support import CONTENT_TYPE

QUEUE_SIZE = 10_000  # that of a DnstapHandler
TIMEOUT = 60.0  # seconds for an answer of the collector


class FileStream:
    """A capture file, written by fstrm's codec."""

    def __init__(self, path: Path) -> None:
        self._codec = fstrm.FstrmCodec()
        self._file = open(path, "wb")  # noqa: SIM115 - closed by finish()
        self._file.write(self._codec.encode_ctrlstart(CONTENT_TYPE))

    def send(self, payload: bytes) -> None:
        """Write one frame."""
        self._file.write(self._codec.encode_data(payload))

    def finish(self) -> None:
        """End the stream and the file."""
        self._file.write(self._codec.encode(fstrm.FSTRM_CONTROL_STOP))
        self._file.close()


class SocketStream:
    """A bidirectional stream to a collector on a unix socket, by fstrm's codec."""

    def __init__(self, path: str, buffered: bool = False) -> None:
        self._codec = fstrm.FstrmCodec()
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(TIMEOUT)
        self._sock.connect(path)
        self._sock.sendall(self._codec.encode_ctrlready(CONTENT_TYPE))
        self._expect(fstrm.FSTRM_CONTROL_ACCEPT)
        self._sock.sendall(self._codec.encode_ctrlstart(CONTENT_TYPE))
        self._file: Union[BinaryIO, None] = self._sock.makefile("wb") if buffered else None
        self._send: Callable[[bytes], Any] = self._file.write if self._file else self._sock.sendall

    def send(self, payload: bytes) -> None:
        """Send one frame."""
        self._send(self._codec.encode_data(payload))

    def finish(self) -> None:
        """End the stream, and wait until the collector confirms that it has all of it."""
        if self._file is not None:
            self._file.close()
        self._sock.sendall(self._codec.encode(fstrm.FSTRM_CONTROL_STOP))
        self._expect(fstrm.FSTRM_CONTROL_FINISH)
        self._sock.close()

    def _expect(self, control: int) -> None:
        while not self._codec.process():
            data = self._sock.recv(self._codec.pending_nb_bytes())
            if not data:
                raise ConnectionError("the collector closed the connection")
            self._codec.append(data)
        kind, _, _ = self._codec.decode()
        if kind != control:
            raise ConnectionError(f"the collector sent control frame {kind} instead of {control}")


Stream = Union[FileStream, SocketStream]


class DnstapPbHandler(logging.Handler):
    """Make a Dnstap message of each record, in the listener's thread, and send it.

    Args:
        stream: takes the payloads.
        identity: of the server.
        version: of its software.
    """

    def __init__(self, stream: Stream, identity: str, version: str) -> None:
        super().__init__()
        self._stream = stream
        # Identity, version and type stay, and so does the message object: only what a record sets
        # is cleared with it.
        self._dnstap = dnstap_pb.Dnstap()
        self._dnstap.type = dnstap_pb.Dnstap.MESSAGE
        self._dnstap.identity = identity.encode()
        self._dnstap.version = version.encode()

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        try:
            self._stream.send(self._encode(record))
        except Exception:  # noqa: BLE001 - as the standard library's handlers do
            self.handleError(record)

    def _encode(self, fields: Any) -> bytes:
        """Return the payload of a record, which has the dns extras as attributes."""
        message = self._dnstap.message
        message.Clear()
        message.type = dnstap_pb.Message.Type.Value(fields.dns_message_type)
        message.socket_protocol = dnstap_pb.SocketProtocol.Value(fields.dns_socket_protocol)
        host, port = fields.dns_query_address
        message.socket_family = dnstap_pb.INET
        message.query_address = socket.inet_aton(host)
        message.query_port = port
        host, port = fields.dns_response_address
        message.response_address = socket.inet_aton(host)
        message.response_port = port
        seconds = int(fields.created)
        message.query_time_sec = seconds
        message.query_time_nsec = int((fields.created - seconds) * 1_000_000_000)
        message.query_message = fields.dns_query_message
        payload: bytes = self._dnstap.SerializeToString()
        return payload


class PartsHandler(logging.handlers.QueueHandler):
    """The handler on the logger: hands records to the listener, and ends it.

    Args:
        stream: where the frames go.
        identity: of the server.
        version: of its software.
    """

    def __init__(self, stream: Stream, identity: str, version: str) -> None:
        self._records: queue.Queue[Any] = queue.Queue(QUEUE_SIZE)
        super().__init__(self._records)
        self._stream = stream
        self._sender = DnstapPbHandler(stream, identity, version)
        self._listening = logging.handlers.QueueListener(self._records, self._sender)
        self._listening.start()
        self._finished = False

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put a record on the queue; wait while it is full."""
        self._records.put(record)

    def close(self) -> None:
        """Send what is queued, and end the stream; once."""
        if not self._finished:
            self._finished = True
            self._records.join()  # or there may be no room for what stops the listener
            self._listening.stop()
            self._stream.finish()
        super().close()
