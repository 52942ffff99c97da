"""One producer of librdkafka's: check the brokers, send a group of payloads, and give them up.

librdkafka has threads of its own. Its callbacks run only inside `KafkaProducer`'s methods, in the
thread that calls them, which is the one that drives the delivery.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import time
from collections import Counter
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from ..exceptions import TransportError, TransportTimeout
from ..process.inherited import no_fork
from ..transport.waiting import Deadline
from .reasons import MAYBE, NO_ANSWER, explain, is_about_topic, is_general
from .records import header_maker, key_maker
from .settings import SILENT, Settings, import_kafka

__all__ = ["GivenUp", "KafkaProducer", "in_order", "keep_for_ever"]

CHECK_SLICE = 0.05
"""Seconds of the first question for the topic. It is doubled if the brokers are there and slow."""

MOST_CHECK_SLICE = 0.5
"""Nothing is stored in a spool during a question."""

SILENCE = ("_TIMED_OUT", "_TRANSPORT")
"""Errors of a question that no broker has answered."""

GREENLET_SLICE = 0.005
"""Seconds of a pause where waiting in C would stop all greenlets."""

FLUSH_SLICE = 0.001
"""Seconds of a wait in C there: librdkafka's threads need some time to see that it is a flush."""

PURGE_SLICE = 0.02
PURGE_PATIENCE = 0.5
"""Seconds for librdkafka to hand back what is purged; it takes a few milliseconds."""


class _Nothing(Exception):
    """Is raised to see that no other exception is set."""


class GivenUp(NamedTuple):
    """What became of a group of payloads that is not waited for any more.

    Attributes:
        under_way: they were sent, and may have arrived.
        unsent: they were certainly not sent.
    """

    under_way: List[bytes]
    unsent: List[bytes]


def is_patched() -> bool:
    """Return whether threads are greenlets here, as with gevent's monkey patching."""
    return time.sleep.__module__ != "time"


class KafkaProducer:
    """Send groups of payloads, one group at a time.

    Args:
        settings: of the handler.

    Attributes:
        name: the address, as users see it.
        proven: whether the brokers have answered, and nothing has failed since.
        fatal: whether it can send nothing any more, and another one has to take its place.

    Raises:
        TransportError: librdkafka cannot make one, and why.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.address.path
        self.name = str(settings.address)
        self._key_of = key_maker(settings.key)
        self._headers_of = header_maker(settings.sequence)
        self._kafka = import_kafka()
        self.proven = False
        self.fatal = False
        # What the last error of a broker was, in words, and whether all were down since the last
        # group was sent.
        self._trouble = ""
        self._all_down = False
        self._failed: List[Tuple[bytes, Any]] = []
        config = {**settings.config, "error_cb": self._note, "on_delivery": self._not_delivered}
        # Forks wait a little until something is acknowledged: while the C library looks a name up,
        # it holds a lock that would stay locked in the child, whose own producer would wait for
        # ever.
        self._beginning = contextlib.ExitStack()
        self._beginning.enter_context(no_fork())
        try:
            self._producer = self._kafka.Producer(config, logger=SILENT)
        except self._kafka.KafkaException as error:
            self._beginning.close()
            reason = explain(error.args[0], self._topic)
            raise TransportError(self.name, f"no producer can be made: {reason}") from None

    # -- librdkafka calls these ----------------------------------------------------------------

    def _note(self, error: Any) -> None:
        """Note what a broker, or its connection, has come to."""
        self._look_for_end()
        self.fatal = self.fatal or error.fatal()
        if is_general(error):
            self._all_down = True
        else:
            self._trouble = explain(error, self._topic)

    def _not_delivered(self, error: Any, message: Any) -> None:
        """Note a message that librdkafka has given up; it is not called for the others."""
        self._look_for_end()
        self.fatal = self.fatal or error.fatal()
        self._failed.append((message.value(), error))

    def _look_for_end(self) -> None:
        """Take back the exception with which confluent-kafka says that the producer is finished.

        It sets one, and goes on calling back: each call to C would then fail.
        """
        try:
            raise _Nothing
        except _Nothing:
            pass
        except BaseException:  # noqa: BLE001 - because one was set, that could not be made
            self.fatal = True

    def _serve(self, seconds: float) -> None:
        """Have the callbacks called, and wait for acknowledgements without lingering."""
        if is_patched():
            self._call(self._producer.flush, min(seconds, FLUSH_SLICE))
            time.sleep(min(seconds, GREENLET_SLICE))
        else:
            self._call(self._producer.flush, seconds)

    def _call(self, method: Callable[[float], Any], seconds: float) -> None:
        """Call a method of librdkafka's that calls the callbacks."""
        try:
            method(seconds)
        except self._kafka.KafkaException as error:  # of a producer that is finished
            self._note(error.args[0])
        except SystemError:  # the same, after a callback that has taken the exception back
            self.fatal = True

    def _pause(self, seconds: float) -> None:
        """Have the callbacks called, and let a moment pass unless one of them comes."""
        if is_patched():
            self._call(self._producer.poll, 0)
            time.sleep(min(seconds, GREENLET_SLICE))
        else:
            self._call(self._producer.poll, seconds)

    def serve(self) -> None:
        """Have the callbacks called: while nothing is sent, what they say would pile up."""
        self._call(self._producer.poll, 0)

    # -- the brokers ---------------------------------------------------------------------------

    def check(self, deadline: Deadline) -> None:
        """Ask the brokers for the topic.

        Raises:
            TransportTimeout: none answers, and why, as far as librdkafka has said.
            TransportError: there is no such topic, or no way to ask.
        """
        self._all_down = False
        slice_, answer = CHECK_SLICE, ""
        while True:
            error = self._ask(min(slice_, deadline.remaining()))
            self._serve(0)
            if error is None:
                self.proven = True
                return
            if is_about_topic(error):
                raise TransportError(self.name, explain(error, self._topic))
            over = not deadline.remaining()
            if self._trouble and (self._all_down or over):
                raise TransportError(self.name, self._trouble)
            if error.name() not in SILENCE:
                answer = explain(error, self._topic)
            if over and answer:
                raise TransportError(self.name, answer)
            if over:
                raise TransportTimeout(self.name, f"{NO_ANSWER} {deadline.describe()}; {MAYBE}")
            if error.name() == "_TIMED_OUT":
                slice_ = min(2 * slice_, MOST_CHECK_SLICE)
            self._pause(min(CHECK_SLICE, deadline.remaining()))

    def _ask(self, seconds: float) -> Optional[Any]:
        """Return what is wrong with the topic; None: nothing."""
        gevent = sys.modules.get("gevent") if is_patched() else None
        if gevent is None:
            return self._ask_here(seconds)
        # Waiting in C would stop all greenlets.
        return gevent.get_hub().threadpool.apply(self._ask_here, (seconds,))

    def _ask_here(self, seconds: float) -> Optional[Any]:
        try:
            answer = self._producer.list_topics(self._topic, timeout=seconds)
        except self._kafka.KafkaException as error:
            return error.args[0]
        found = answer.topics.get(self._topic)
        return None if found is None else found.error

    # -- a group -------------------------------------------------------------------------------

    def send(self, payloads: Sequence[bytes]) -> None:
        """Hand a group to librdkafka; `wait` says when all of them have had an answer."""
        self._serve(0)  # what happened before this group
        self._all_down = False
        produce, topic = self._producer.produce, self._topic
        key_of, headers_of = self._key_of, self._headers_of
        for payload in payloads:
            try:
                produce(topic, payload, key_of(payload), headers=headers_of(payload))
            except self._kafka.KafkaException as error:
                self.fatal = self.fatal or error.args[0].fatal()
                self._failed.append((payload, error.args[0]))
            except BufferError:
                full = self._kafka.KafkaError(self._kafka.KafkaError._QUEUE_FULL)
                self._failed.append((payload, full))

    def wait(self, deadline: Deadline, since: float) -> List[Tuple[bytes, Any]]:
        """Wait until each of the group is acknowledged, or given up by librdkafka.

        Args:
            deadline: of the wait.
            since: the monotonic time since which nothing was acknowledged.

        Returns:
            What was given up: payloads with their errors.

        Raises:
            TransportTimeout: it was not in time; librdkafka goes on.
        """
        while len(self._producer):
            left = deadline.remaining()
            if not left:
                self.proven = False
                raise TransportTimeout(self.name, self._silence(time.monotonic() - since))
            self._serve(min(left, deadline.slice))
        failed, self._failed = self._failed, []
        self._beginning.close()
        self.proven = not failed
        if not failed:
            self._trouble = ""
        return failed

    def _silence(self, seconds: float) -> str:
        brokers = self._settings.address.host
        trouble = f": {self._trouble}" if self._trouble else ""
        return f"nothing acknowledged for {seconds:.3g} s by {brokers}{trouble}"

    def explain(self, error: Any) -> str:
        """Return what an error of a message means."""
        return explain(error, self._topic)

    def give_up(self, payloads: Sequence[bytes]) -> GivenUp:
        """Have librdkafka forget a group; return what of it may have arrived, and what has not.

        A message that is to be sent again counts for librdkafka as one that was not sent yet. So
        where all brokers were lost since the group was handed over, all of it may have arrived.
        """
        self._producer.purge(in_queue=True, in_flight=True, blocking=False)
        deadline = time.monotonic() + PURGE_PATIENCE
        while len(self._producer) and time.monotonic() < deadline:
            self._serve(PURGE_SLICE)
        failed, self._failed = self._failed, []
        sent = [payload for payload, error in failed if error.name() == "_PURGE_INFLIGHT"]
        waiting = [payload for payload, error in failed if error.name() == "_PURGE_QUEUE"]
        rest = [payload for payload, error in failed if not error.name().startswith("_PURGE_")]
        if self._all_down:
            sent, waiting = sent + waiting, []
        unsent = waiting + rest
        if len(self._producer):  # what has not come back may be anything but unsent
            return GivenUp(without(payloads, unsent), in_order(payloads, unsent))
        return GivenUp(in_order(payloads, sent), in_order(payloads, unsent))

    # -- its end -------------------------------------------------------------------------------

    def release(self) -> None:
        """Let go of librdkafka's producer in a thread: ending it can wait for a name server."""
        self._beginning.close()
        producers = [self._producer]
        del self._producer
        try:
            threading.Thread(target=producers.clear, name="dnstap-kafka", daemon=True).start()
        except RuntimeError:  # the interpreter ends, and the process with it
            keep_for_ever(producers)


def in_order(payloads: Sequence[bytes], some: Sequence[bytes]) -> List[bytes]:
    """Return some of the payloads in the order that all of them have."""
    left = Counter(some)
    found = []
    for payload in payloads:
        if left[payload]:
            left[payload] -= 1
            found.append(payload)
    return found


def without(payloads: Sequence[bytes], some: Sequence[bytes]) -> List[bytes]:
    """Return the payloads without some of them."""
    return in_order(payloads, list((Counter(payloads) - Counter(some)).elements()))


def keep_for_ever(producer: object) -> None:
    """Keep a producer that must not be destroyed: in a forked child that can hang.

    Also at the interpreter's end, when everything that has a name is destroyed.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(producer))
