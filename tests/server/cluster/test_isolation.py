"""Two users' tasks on one node: each attack fails, and works once its protection is taken away.

The second half keeps the first honest: an attack that could never work proves nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from madang.server.cluster.protocol import TaskSpec, TaskUser
from madang.server.cluster.sandbox import BwrapSandbox, SandboxTask
from tests.server.cluster.conftest import JUNO, MINA, Node, boxed

pytestmark = pytest.mark.root

VICTIM = """
import ctypes, os, socket, time
for folder in ("/tmp", os.environ["HOME"]):
    with open(f"{folder}/secret", "w") as file:
        file.write("treasure")
    os.chmod(f"{folder}/secret", 0o644)
port = socket.create_server(("127.0.0.1", 7000))
abstract = socket.socket(socket.AF_UNIX); abstract.bind("\\0madang-victim"); abstract.listen()
libc = ctypes.CDLL(None)
libc.shmget(0x4d414441, 4096, 0o1666)
open("/dev/shm/secret", "w").write("treasure")
print("ready", flush=True)
time.sleep(60)
"""

Edit = Callable[[list[str]], list[str]]


def without(*options: str) -> Edit:
    """Drop options that take no value."""
    return lambda command: [word for word in command if word not in options]


def with_mount(source: str, target: str) -> Edit:
    """Mount a part of the machine, before the root is made read-only."""

    def edit(command: list[str]) -> list[str]:
        at = command.index("--remount-ro")
        return [*command[:at], "--bind", source, target, *command[at:]]

    return edit


def shared_tmp(command: list[str]) -> list[str]:
    at = command.index("/tmp")
    return [*command[: at - 1], "/tmp", *command[at:]]


def shared_shm(command: list[str]) -> list[str]:
    at = command.index("/dev/shm")
    return [*command[: at - 3], "--bind", "/dev/shm", *command[at:]]


def as_root(command: list[str]) -> list[str]:
    """Keep uid 0: whoever owns the server's files can read them."""
    at = command.index("/usr/bin/setpriv")
    shell = command.index("/bin/sh", at)
    # Without capabilities even root can't enter the user's home: stay in the root folder.
    script, home = command[shell : shell + 4], command[shell + 4]
    assert home == "/home/juno"
    # Nor read the file of the task's variables, which is the user's alone.
    path = ["/usr/bin/env", f"PATH={sys.base_prefix}/bin:/usr/bin:/bin"]
    return [*command[:at], *path, *script, "/", "/dev/null", *command[shell + 6 :]]


@dataclass(frozen=True)
class Attack:
    """`code` prints STOLEN when it succeeds; `edits` take the protection away, and so do the
    flags. `{...}` are paths of the machine."""

    name: str
    code: str
    edits: tuple[Edit, ...] = ()
    shared_network: bool = False
    no_filter: bool = False
    same_user: bool = False
    mounts: dict[str, str] = field(default_factory=dict)


ATTACKS = [
    Attack(
        "the database",
        "print('STOLEN' if b'rows' in open('{state}/madang.db', 'rb').read() else '')",
        (as_root,),
        mounts={"{state}": "/stolen"},
    ),
    Attack(
        "the node's secret",
        "import os\nprint('STOLEN' if os.listdir('{state}/secrets') else '')",
        (as_root,),
        mounts={"{state}": "/stolen"},
    ),
    Attack(
        "another task's files",
        "print('STOLEN' if 'treasure' in open('{scratch}/home/secret').read() else '')",
        same_user=True,
        mounts={"{scratch}": "/stolen"},
    ),
    Attack(
        "another task's token",
        "print('STOLEN' if 'token-of' in open('{state}/tasks/victim/spec.json').read() else '')",
        (as_root,),
        mounts={"{state}": "/stolen"},
    ),
    Attack(
        "temporary files",
        "print('STOLEN' if 'treasure' in open('/tmp/secret').read() else '')",
        (shared_tmp,),
    ),
    Attack(
        "shared memory files",
        "print('STOLEN' if 'treasure' in open('/dev/shm/secret').read() else '')",
        (shared_shm,),
        same_user=True,
    ),
    Attack(
        "shared memory segments",
        "import ctypes\n"
        "print('STOLEN' if ctypes.CDLL(None).shmget(0x4d414441, 4096, 0) >= 0 else '')",
        (without("--unshare-ipc"),),
    ),
    Attack(
        "processes",
        "import os\n"
        "names = [open(f'/proc/{p}/cmdline').read() for p in os.listdir('/proc') if p.isdigit()]\n"
        "print('STOLEN' if any('madang-' + 'victim' in name for name in names) else '')",
        (without("--unshare-pid"),),
    ),
    Attack(
        "environment",
        "import os\n"
        "for p in filter(str.isdigit, os.listdir('/proc')):\n"
        "    try: text = open(f'/proc/{p}/environ').read()\n"
        "    except OSError: continue\n"
        "    if 'hunter2' in text: print('STOLEN')",
        (without("--unshare-pid"),),
        same_user=True,
    ),
    Attack(
        "killing",
        "import os, signal\n"
        "me = os.getpid()\n"
        "for p in map(int, filter(str.isdigit, os.listdir('/proc'))):\n"
        "    try:\n"
        "        name = open(f'/proc/{p}/cmdline').read()\n"
        "        if p not in (1, me) and 'madang-' + 'victim' in name:\n"
        "            os.kill(p, signal.SIGCONT); print('STOLEN')\n"
        "    except OSError: pass",
        (without("--unshare-pid"),),
        same_user=True,
    ),
    Attack(
        "a port",
        "import socket\nsocket.create_connection(('127.0.0.1', 7000), 1)\nprint('STOLEN')",
        shared_network=True,
    ),
    Attack(
        "an abstract socket",
        "import socket\ns = socket.socket(socket.AF_UNIX)\n"
        "s.connect('\\0madang-victim')\nprint('STOLEN')",
        shared_network=True,
    ),
    Attack(
        "control's socket",
        "import socket\ns = socket.socket(socket.AF_UNIX)\n"
        "s.connect('{sockets}/control.sock')\nprint('STOLEN')",
        (as_root,),
        mounts={"{sockets}": "/stolen"},
    ),
    Attack(
        "another app's socket",
        "import socket\ns = socket.socket(socket.AF_UNIX)\n"
        "s.connect('{sockets}/victim.sock')\nprint('STOLEN')",
        (as_root,),
        mounts={"{sockets}": "/stolen"},
    ),
    Attack(
        "accounts of the machine",
        "print('STOLEN' if 'root:' in open('/etc/shadow').read() else '')",
        (as_root,),
        mounts={"/etc/shadow": "/etc/shadow"},
    ),
    Attack(
        "where things lie on the node",
        "print('STOLEN' if 'scra' + 'tch' in open('/proc/1/cmdline').read() else '')",
    ),
    Attack(
        "the uid",
        "import os\nprint('STOLEN' if os.getuid() == 0 else '')",
        (as_root,),
    ),
    Attack(
        "a user namespace of its own",
        "import ctypes\nprint('STOLEN' if ctypes.CDLL(None).unshare(0x10000000) == 0 else '')",
        no_filter=True,
    ),
    Attack(
        "the kernel's keys",
        "import ctypes\nprint('STOLEN' if ctypes.CDLL(None).syscall(250, 0, -3, 1) != -1 else '')",
        no_filter=True,
    ),
]


class WeakSandbox(BwrapSandbox):
    """The real one with protections taken away; all that bubblewrap is told is in its argument
    list."""

    def __init__(self, attack: Attack, places: dict[str, str]) -> None:
        super().__init__()
        self._attack = attack
        self._places = places

    @property
    def private_network(self) -> bool:
        return not self._attack.shared_network

    def command(self, task: SandboxTask) -> list[str]:
        program, _, _, *rest = super().command(task)
        command = [program, *super().hidden_arguments(task), *rest]
        edits = [
            with_mount(fill(source, self._places), fill(target, self._places))
            for source, target in self._attack.mounts.items()
        ]
        if task.spec.task_id == "victim":
            edits = [edit for edit in self._attack.edits if edit is not as_root]
        else:
            edits += self._attack.edits
        for edit in edits:
            command = edit(command)
        return command

    def hidden_arguments(self, task: SandboxTask) -> list[str]:
        return []

    def seccomp_filter(self) -> bytes:
        if not self._attack.no_filter:
            return super().seccomp_filter()
        # One instruction: allow everything.
        return bytes.fromhex("06000000 0000ff7f")


def fill(text: str, places: dict[str, str]) -> str:
    for name, path in places.items():
        text = text.replace(name, path)
    return text


def places_of(node: Node) -> dict[str, str]:
    return {
        "{state}": str(node.paths.state_dir),
        "{sockets}": str(node.paths.sockets),
        "{scratch}": str(node.folder("victim") / "scratch"),
    }


def victim() -> TaskSpec:
    return boxed(
        "victim",
        *("python", "-c", VICTIM, "madang-victim"),
        user=MINA,
        app_port=7000,
        environment_variables={"PASSWORD": "hunter2"},
    )


async def attack_succeeds(node: Node, code: str, user: TaskUser) -> bool:
    (node.paths.state_dir / "madang.db").write_text("rows")
    node.paths.secret("node")
    await node.control.run(victim())
    await node.until_log("victim", "ready")
    await node.run(boxed("attacker", "python", "-c", code, user=user))
    assert node.control.seen["victim"].phase == "running"
    return "STOLEN" in node.log("attacker")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
async def test_attack_fails(node: Node, attack: Attack) -> None:
    code = fill(attack.code, places_of(node))
    assert not await attack_succeeds(node, code, JUNO), node.log("attacker")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
async def test_attack_works_without_its_protection(idle_node: Node, attack: Attack) -> None:
    idle_node.start_agent({"bwrap": WeakSandbox(attack, places_of(idle_node))})
    user = MINA if attack.same_user else JUNO
    code = fill(attack.code, attack.mounts)
    assert await attack_succeeds(idle_node, code, user), idle_node.log("attacker")


async def test_no_capabilities_and_no_new_privileges(node: Node) -> None:
    await node.run(boxed("task-1", "cat", "/proc/self/status"))
    facts = dict(line.split(":\t", 1) for line in node.log("task-1").splitlines())
    assert {facts[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {
        "0" * 16
    }
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"


async def test_the_file_tree_has_nothing_else(node: Node) -> None:
    await node.run(boxed("task-1", "sh", "-c", "ls / /run /home /etc; hostname; ls /proc/1/fd"))
    log = node.log("task-1")
    assert "state" not in log
    assert "shadow" not in log
    assert "madang" not in log.replace("madang-node", "")
    assert "task-1" in log.splitlines()


async def test_no_descriptor_of_the_sandbox_is_inherited(node: Node) -> None:
    """But that of the status lines, which a later step closes."""
    await node.run(
        boxed("task-1", "python", "-c", "import os; print(os.listdir('/proc/self/fd'))")
    )
    assert node.log("task-1").strip() == "['0', '1', '2', '3']"  # 3: the listing itself
