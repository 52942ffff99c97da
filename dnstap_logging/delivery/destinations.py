"""The choice of a destination by its address.

Each kind is imported with the first handler that has it: a file needs no sockets, a socket no
decoding. That is in the thread that makes the handler, before a fork could interrupt it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from ..capture.rotation import Rotation
    from .destination import Destination
    from .options import Options

__all__ = ["make_destination"]


def make_destination(options: Options, rotation: Optional[Rotation] = None) -> Destination:
    """Return the destination for the handler's address or addresses.

    Args:
        options: the handler's arguments.
        rotation: of a file, when to roll over and how; None: never.
    """
    if options.address.is_file:
        from .file_destination import FileDestination

        return FileDestination(options, rotation)
    if options.address.scheme == "kafka":
        from .kafka_destination import KafkaDestination

        return KafkaDestination(options)
    if options.each:
        from .failover import Failover

        return Failover(options)
    from .stream_destination import StreamDestination

    return StreamDestination(options)
