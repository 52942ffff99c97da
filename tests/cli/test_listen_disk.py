"""`dnstap-logging listen --write` on a disk that becomes full, in a process with a small disk."""

from __future__ import annotations

import os
import subprocess

from dnstap_logging.cli import capture_output as capture_options
from dnstap_logging.cli.main import make_parser
from dnstap_logging.cli.targets import make_target
from tests.cli.programs import DEADLINE, Listener, command
from tests.helpers.programs import with_environment
from tests.helpers.support import capture, wait_until
from tests.situations.captures.small_disk import Disk, on_a_small_disk
from tests.situations.interop.captures import assert_same, read_capture

PAYLOADS = [b"%0500d" % number for number in range(100)]


@on_a_small_disk
def test_on_a_full_disk_the_senders_wait(disk: Disk) -> None:
    """Nothing is confirmed while there is no room; when there is, all is written and confirmed."""
    folder = disk.capture.parent
    sent = folder / "sent.fstrm"
    sent.write_bytes(capture(PAYLOADS))
    sock = f"unix://{folder}/d.sock"
    with Listener(folder, sock, "--write", disk.capture) as listener:
        disk.fill(leave=2)
        with subprocess.Popen(
            command("send", sent, sock, "--timeout", DEADLINE),
            env=with_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as sender:
            wait_until(lambda: "no space left" in listener.said, "the full disk", DEADLINE)
            found = read_capture(disk.capture)
            assert len(found.payloads) < len(PAYLOADS)
            assert found.rest == 0, "a part of a frame is in the file"
            assert sender.poll() is None, "confirmed what is in no file"
            disk.free()
            printed, said = sender.communicate(timeout=DEADLINE)
        assert (sender.returncode, said) == (0, ""), said
        assert "100 confirmed" in printed
        assert_same(read_capture(disk.capture).payloads, PAYLOADS, "payloads")
        assert listener.end() == 0, listener.said
    assert read_capture(disk.capture).complete


@on_a_small_disk
def test_what_is_not_written_is_not_kept(disk: Disk) -> None:
    """Ended while the disk is full: the number reported as kept is the number in the file."""
    capture_options.CLOSE_TIMEOUT = 0.2  # the disk stays full: nothing comes of waiting longer
    options = make_parser().parse_args(
        ["listen", "unix://@nobody", "--write", os.fspath(disk.capture)]
    )
    target = make_target(options, str, None)
    target.open()
    disk.fill(leave=2)
    for payload in PAYLOADS:
        target.take_payload(payload)
    target.close()

    found = len(read_capture(disk.capture).payloads)
    assert found < len(PAYLOADS)
    assert target.stored == found
    assert target.problems()[0].startswith(
        f"{len(PAYLOADS) - found} messages not written: no space"
    )
