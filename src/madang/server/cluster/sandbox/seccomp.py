"""The filter of system calls that tasks run under, as a program for the kernel.

What ordinary programs use is allowed; what reaches the kernel's own machinery (mounts, modules,
keys, namespaces, tracing of the machine, io_uring) gets EPERM, much as in Docker's default
profile. Built here, byte by byte, so that no library is needed.
"""

from __future__ import annotations

import errno
import platform
import struct

from madang.core.errors import Unsupported

# name: (x86_64, aarch64); None where the machine doesn't have it
_DENIED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_settime": (227, 112),
    "create_module": (174, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "get_kernel_syms": (177, None),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "query_module": (178, None),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "_sysctl": (156, None),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_SOCKET = (41, 198)

_NEW_NAMESPACES = (
    0x02000000 | 0x00020000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | (0x40000000)
)
"""CLONE_NEWCGROUP, NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""

_AF_VSOCK = 40
"""Sockets to the hypervisor don't know network namespaces."""

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32_BIT = 0x40000000

_LOAD_WORD = 0x20
_JUMP_IF_EQUAL = 0x15
_JUMP_IF_AT_LEAST = 0x35
_JUMP_IF_BITS = 0x45
_RETURN = 0x06
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000

_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16


def denied_names() -> list[str]:
    """The system calls that always get EPERM."""
    return sorted(_DENIED)


def deny_program(machine: str = "") -> bytes:
    """The filter for this machine. Raises Unsupported for another one than x86_64 and aarch64."""
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURES:
        raise Unsupported(
            f"there is no system call filter for {machine!r} machines",
            hint="Sandboxed tasks run on x86_64 and aarch64.",
        )
    column, architecture = _ARCHITECTURES[machine]
    not_permitted, not_there = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS

    program = [
        (_LOAD_WORD, 0, 0, _ARCHITECTURE_AT),
        # Calls of a 32-bit program have other numbers: none is known, none is allowed.
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, not_there),
        (_LOAD_WORD, 0, 0, _NUMBER_AT),
        (_JUMP_IF_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, not_there),
    ]
    for numbers in _DENIED.values():
        number = numbers[column]
        if number is not None:
            program += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, not_permitted)]
    # Its flags lie in memory, which a filter can't read; libraries fall back to clone.
    program += [(_JUMP_IF_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, not_there)]
    program += _with_first_argument(_CLONE[column], _JUMP_IF_BITS, _NEW_NAMESPACES, not_permitted)
    program += _with_first_argument(_SOCKET[column], _JUMP_IF_EQUAL, _AF_VSOCK, not_permitted)
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _with_first_argument(
    number: int, test: int, value: int, action: int
) -> list[tuple[int, int, int, int]]:
    """For call `number`: `action` where its first argument passes the test, else allowed."""
    return [
        (_JUMP_IF_EQUAL, 0, 4, number),
        (_LOAD_WORD, 0, 0, _FIRST_ARGUMENT_AT),
        (test, 0, 1, value),
        (_RETURN, 0, 0, action),
        (_RETURN, 0, 0, _ALLOW),
    ]
