from __future__ import annotations

import errno
import struct

import pytest

from madang.core.errors import Unsupported
from madang.server.cluster.sandbox.seccomp import denied_names, deny_program

ALLOW = 0x7FFF0000
EPERM = 0x00050000 | errno.EPERM
ENOSYS = 0x00050000 | errno.ENOSYS
X86_64, AARCH64, I386 = 0xC000003E, 0xC00000B7, 0x40000003


def decide(program: bytes, architecture: int, number: int, first_argument: int = 0) -> int:
    """Run the filter as the kernel would; returns its verdict."""
    call = struct.pack("<IIQQ", number, architecture, 0, first_argument)
    instructions = list(struct.iter_unpack("<HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            accumulator = struct.unpack_from("<I", call, value)[0]
        else:
            holds = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
            }[code]
            at += if_true if holds else if_false


@pytest.mark.parametrize(
    ("machine", "architecture", "calls"),
    [
        ("x86_64", X86_64, {"mount": 165, "keyctl": 250, "read": 0, "clone": 56, "sock": 41}),
        (
            "aarch64",
            AARCH64,
            {"mount": 40, "keyctl": 219, "read": 63, "clone": 220, "sock": 198},
        ),
    ],
)
def test_verdicts(machine: str, architecture: int, calls: dict[str, int]) -> None:
    program = deny_program(machine)
    assert decide(program, architecture, calls["mount"]) == EPERM
    assert decide(program, architecture, calls["keyctl"]) == EPERM
    assert decide(program, architecture, calls["read"]) == ALLOW
    assert decide(program, architecture, 435) == ENOSYS, "clone3"
    threads = 0x003D0F00
    assert decide(program, architecture, calls["clone"], threads) == ALLOW
    assert decide(program, architecture, calls["clone"], threads | 0x10000000) == EPERM
    assert decide(program, architecture, calls["sock"], 2) == ALLOW
    assert decide(program, architecture, calls["sock"], 40) == EPERM
    assert decide(program, architecture, 9999) == ALLOW


def test_other_numberings_are_not_known() -> None:
    program = deny_program("x86_64")
    assert decide(program, I386, 21) == ENOSYS
    assert decide(program, X86_64, 0x40000000 | 165) == ENOSYS


def test_other_machines_are_refused() -> None:
    with pytest.raises(Unsupported, match="'riscv64'"):
        deny_program("riscv64")


def test_what_is_denied() -> None:
    assert {"bpf", "keyctl", "mount", "unshare", "kexec_load", "perf_event_open"} <= set(
        denied_names()
    )
