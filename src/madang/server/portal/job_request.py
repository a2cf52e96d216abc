"""What is typed in the launch form, as a request and as the command or call that asks the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from madang.core.errors import InvalidInput
from madang.core.priorities import parse_priority
from madang.core.resources import Resources
from madang.schemas.jobs import JobCreate, JobMount, ResourceRequest

_MORE_RESOURCES = ("gpu_memory", "gpu_model", "gpu_profile", "accelerator")


@dataclass(slots=True)
class JobForm:
    """What is typed, as text. `base` is the job that is changed: what the form has no field for
    stays as it was there."""

    command: str = ""
    name: str = ""
    environment: str = ""
    cpu: str = "1"
    memory: str = "2GiB"
    gpu: str = ""
    replicas: str = "1"
    mounts: str = ""
    datasets: str = ""
    variables: str = ""
    retries: str = "0"
    time_limit: str = ""
    queue: str = ""
    priority: str = ""
    base: JobCreate | None = field(default=None, repr=False)

    @classmethod
    def of(cls, request: JobCreate) -> JobForm:
        """The form as it must have been filled in to ask for this."""
        resources = {key: str(value) for key, value in request.resources.items()}
        most = request.replicas_max
        several = most is not None and most != request.replicas
        return cls(
            command=shlex.join(request.command),
            name=request.name,
            environment=request.environment,
            cpu=resources.get("cpu", "1"),
            memory=resources.get("memory", "2GiB"),
            gpu=resources.get("gpu", ""),
            replicas=f"{request.replicas}..{most}" if several else str(request.replicas),
            mounts=shlex.join(_mount_words(mount) for mount in request.mounts),
            datasets=shlex.join(request.datasets),
            variables=shlex.join(
                f"{key}={value}" for key, value in request.environment_variables.items()
            ),
            retries=str(request.retries),
            time_limit=f"{request.time_limit_s:g}" if request.time_limit_s else "",
            queue=request.queue,
            priority=str(request.priority) if request.priority else "",
            base=request,
        )

    def to_request(self) -> JobCreate:
        """Raises InvalidInput naming the field that can't be read."""
        resources = self._resources()
        Resources.parse(resources)
        least, _, most = self.replicas.partition("..")
        command = _words("command", self.command)
        if not command:
            raise InvalidInput("there is nothing to run", field="command",
                               hint="Write a command, e.g. python train.py.")  # fmt: skip
        return replace(
            self.base or JobCreate(command),
            command=command,
            name=self.name.strip(),
            project=None,
            environment=self.environment.strip(),
            resources=resources,
            replicas=_number("replicas", least),
            replicas_max=_number("replicas", most) if most else None,
            mounts=[_mount(word) for word in _words("mounts", self.mounts)],
            datasets=_words("datasets", self.datasets),
            environment_variables=dict(
                _variable(word) for word in _words("variables", self.variables)
            ),
            retries=_number("retries", self.retries or "0"),
            time_limit_s=_seconds(self.time_limit or "0"),
            queue=self.queue.strip(),
            priority=parse_priority(self.priority.strip() or 0),
        )

    def changes(self) -> dict[str, str | None]:
        """The fields that differ from an empty form, for the address; None: it does not."""
        empty = JobForm()
        return {
            name: getattr(self, name) if getattr(self, name) != getattr(empty, name) else None
            for name in FIELDS
        }

    def command_line(self) -> str:
        """The `madang job run` that does the same."""
        words = ["madang", "job", "run"]
        shown = self.changes()
        for option in ("name", "environment", "cpu", "memory", "gpu", "replicas", "retries",
                       "queue", "priority"):  # fmt: skip
            if value := (shown[option] or "").strip():
                words += [f"--{option}", value]
        for option, text in (("mount", self.mounts), ("dataset", self.datasets),
                             ("env", self.variables)):  # fmt: skip
            for word in _loose_words(text):
                words += [f"--{option}", word]
        if self.time_limit.strip():
            words += ["--time-limit", f"{self.time_limit.strip()}s"]
        if self.base:
            words += _more_options(self.base)
        return f"{shlex.join(words)} -- {self.command.strip() or 'COMMAND'}"

    def python_call(self) -> str:
        """The call of the client that does the same."""
        try:
            request = self.to_request()
        except InvalidInput:
            return ""
        defaults = JobCreate(request.command)
        given: dict[str, Any] = {
            entry.name: getattr(request, entry.name)
            for entry in fields(JobCreate)
            if getattr(request, entry.name) != getattr(defaults, entry.name)
        }
        if Resources.parse(request.resources) == Resources.parse({}):
            given.pop("resources", None)
        options = "".join(f",\n    {name}={value!r}" for name, value in given.items())
        imports = "from madang.client import Client\n"
        if request.mounts:
            imports += "from madang.schemas.jobs import JobMount\n"
        return f"{imports}\nClient().jobs.run({request.command!r}{options})"

    def _resources(self) -> ResourceRequest:
        resources: ResourceRequest = {
            name: self.base.resources[name]
            for name in (*_MORE_RESOURCES, "counted")
            if self.base and name in self.base.resources
        }
        typed = {"cpu": self.cpu, "memory": self.memory, "gpu": self.gpu}
        return resources | {name: text.strip() for name, text in typed.items() if text.strip()}


FIELDS = tuple(entry.name for entry in fields(JobForm) if entry.name != "base")


def _more_options(base: JobCreate) -> list[str]:
    """Options for what a job was asked with and the form has no field for."""
    words: list[str] = []
    for name in _MORE_RESOURCES:
        if name in base.resources:
            words += [f"--{name.replace('_', '-')}", str(base.resources[name])]
    for name, count in Resources.parse(base.resources).counted:
        words += ["--resource", f"{name}={count}"]
    given = {
        "queue": base.queue,
        "priority": str(base.priority or ""),
        "workdir": base.working_directory,
        "pool": base.pool,
        "together": base.together,
        "apart": base.apart,
        "reservation": base.reservation,
        "expected": f"{base.expected_s:g}s" if base.expected_s else "",
    }
    for option, value in given.items():
        if value:
            words += [f"--{option}", value]
    for key, value in base.node_labels.items():
        words += ["--node-label", f"{key}={value}"]
    for role in base.roles:
        words += ["--role", json.dumps(asdict(role))]
    if base.resizable:
        words.append("--resizable")
    if base.preemptible is not None:
        words.append("--preemptible" if base.preemptible else "--not-preemptible")
    if base.wait_for_nodes:
        words.append("--wait-for-nodes")
    if base.grace_s is not None:
        words += ["--grace", f"{base.grace_s:g}s"]
    for key, value in base.labels.items():
        words += ["--label", f"{key}={value}"]
    if base.on_node_lost != "keep":
        words += ["--on-node-lost", base.on_node_lost]
    ranges = [(low, high) for low, high in base.retry_exit_codes]
    if ranges != [(128, 255)]:
        words += ["--retry-exit-codes", ",".join(f"{low}-{high}" for low, high in ranges)]
    return words


def _words(name: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} can't be split into words: {error}",
            field=name,
            hint="Close every quotation mark.",
        ) from None


def _loose_words(text: str) -> Sequence[str]:
    """The words of what may be half typed."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is not a whole number", field=name) from None


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(
            f"{text!r} is not a number of seconds", field="time_limit", hint="Write 3600."
        ) from None


def _mount(word: str) -> JobMount:
    folder, _, rest = word.partition(":")
    read_only = rest == "ro" or rest.endswith(":ro")
    target = rest.removesuffix("ro").removesuffix(":") if read_only else rest
    return JobMount(folder, target or None, read_only)


def _mount_words(mount: JobMount) -> str:
    words = [mount.folder, *([mount.target] if mount.target else [])]
    return ":".join([*words, "ro"] if mount.read_only else words)


def _variable(word: str) -> tuple[str, str]:
    key, separator, value = word.partition("=")
    if not separator or not key:
        raise InvalidInput(f"{word!r} is not NAME=VALUE", field="variables")
    return key, value
