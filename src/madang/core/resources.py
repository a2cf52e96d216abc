"""What a task asks for: CPUs, memory, accelerators; how people write it, how it is counted.

Counted in whole numbers so that sums are exact: thousandths of a CPU, bytes, thousandths of a
device. A quarter of a GPU is `gpu=0.25`: 250 thousandths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from madang.core.errors import InvalidInput

MILLI = 1000
"""One whole CPU or device, in the thousandths that resources are counted in."""

_BINARY = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
_DECIMAL = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}
_SHORT = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_UNITS = {name.lower(): size for name, size in (_BINARY | _DECIMAL | _SHORT).items()}
_BYTES = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_PROFILE = re.compile(r"[a-z0-9][a-z0-9.+_-]{0,63}")
_COUNTED = re.compile(r"[a-z][a-z0-9._-]{0,62}")

DEFAULT_CPU_MILLI = 1 * MILLI
DEFAULT_MEMORY_BYTES = 2 * 2**30

KEYS = ("cpu", "memory", "gpu", "gpu_memory", "gpu_model", "gpu_profile", "accelerator", "counted")
"""The keys that `Resources.parse` understands, in the order that help texts show them."""

RequestValue = str | int | float | dict[str, int]
"""What stands beside a key of a request; an object beside `counted` only."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What one task holds while it runs.

    cpu_milli: thousandths of a CPU. memory_bytes: main memory.
    device_kind: "gpu" or another accelerator ("tpu-v5e"); empty when none is asked for.
    device_milli: thousandths of devices; above 1000 only whole devices.
    device_memory_bytes: memory on each device; 0 when the share alone decides.
    device_models: acceptable models; empty when any will do.
    device_profile: slices that hardware keeps apart (`1g.10gb`) instead of whole devices;
    device_milli then counts slices.
    counted: other things that nodes have a number of (licences, capture cards), sorted by name.
    """

    cpu_milli: int = DEFAULT_CPU_MILLI
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    device_kind: str = ""
    device_milli: int = 0
    device_memory_bytes: int = 0
    device_models: tuple[str, ...] = ()
    device_profile: str = ""
    counted: tuple[tuple[str, int], ...] = ()

    @classmethod
    def parse(cls, request: Mapping[str, object] | Iterable[str]) -> Resources:
        """Read `{"cpu": 2, "memory": "4GiB", "gpu": 0.25}` or `["cpu=2", "gpu=0.25"]`.

        Raises InvalidInput naming the key, the value and what would do.
        """
        fields = dict(request) if isinstance(request, Mapping) else dict(map(_split, request))
        _refuse_unknown(fields)
        fields = {key: value for key, value in fields.items() if value not in (None, "", {})}
        kind, milli = _parse_device(fields)
        result = cls(
            cpu_milli=_parse_milli("cpu", fields.get("cpu", 1), least=1),
            memory_bytes=(
                _parse_memory(fields["memory"]) if "memory" in fields else DEFAULT_MEMORY_BYTES
            ),
            device_kind=kind,
            device_milli=milli,
            device_memory_bytes=(
                parse_bytes(fields["gpu_memory"], "gpu_memory") if "gpu_memory" in fields else 0
            ),
            device_models=_parse_models(fields.get("gpu_model")),
            device_profile=_parse_profile(fields.get("gpu_profile"), milli),
            counted=_parse_counted(fields.get("counted", {})),
        )
        if result.device_milli or result.device_memory_bytes:
            return result
        for key in ("gpu_model", "gpu_profile"):
            if key in fields:
                raise InvalidInput(
                    f"'{key}={fields[key]}' asks for no GPU",
                    field=f"resources.{key}",
                    hint="Add how many, e.g. gpu=1.",
                )
        return replace(result, device_kind="")

    def to_request(self) -> dict[str, RequestValue]:
        """The inverse of `parse`, as people would write it."""
        request: dict[str, RequestValue] = {
            "cpu": format_milli(self.cpu_milli),
            "memory": format_bytes(self.memory_bytes),
        }
        if self.device_kind == "gpu":
            if self.device_milli:
                request["gpu"] = format_milli(self.device_milli)
        elif self.device_kind:
            request["accelerator"] = f"{self.device_kind}:{format_milli(self.device_milli)}"
        if self.device_memory_bytes:
            request["gpu_memory"] = format_bytes(self.device_memory_bytes)
        if self.device_models:
            request["gpu_model"] = "|".join(self.device_models)
        if self.device_profile:
            request["gpu_profile"] = self.device_profile
        if self.counted:
            request["counted"] = dict(self.counted)
        return request

    def __str__(self) -> str:
        request = self.to_request()
        request.pop("counted", None)
        pairs = [*request.items(), *self.counted]
        return " ".join(f"{key}={value}" for key, value in pairs)


def parse_bytes(value: object, field: str = "size") -> int:
    """Bytes from `4GiB`, `500MB`, `1.5G` (binary, as in most tools) or a plain number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _BYTES.fullmatch(value) if isinstance(value, str) else None
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise InvalidInput(
            f"{value!r} is not an amount of memory",
            field=field,
            hint="Write it like 512MiB, 4GiB or 1.5TiB.",
        )
    size = Decimal(match[1]) * unit
    if size >= 2**63:
        raise InvalidInput(f"{value!r} is more than any machine has", field=field)
    return int(size)


def format_bytes(size: int) -> str:
    """`4GiB`, `512MiB`: exact for a whole number of some unit, else four digits (`1.5GiB`)."""
    for unit in ("PiB", "TiB", "GiB", "MiB", "KiB"):
        scale = _BINARY[unit]
        if size >= scale:
            return f"{size // scale}{unit}" if size % scale == 0 else f"{size / scale:.4g}{unit}"
    return f"{size}B"


def format_milli(milli: int) -> int | float:
    """1000 → 1, 250 → 0.25."""
    return milli // MILLI if milli % MILLI == 0 else milli / MILLI


def _split(pair: str) -> tuple[str, str]:
    key, separator, value = pair.partition("=")
    if not separator or not value:
        raise InvalidInput(
            f"{pair!r} is not a resource", field="resources", hint="Write it like gpu=1."
        )
    return key.strip().replace("-", "_"), value.strip()


def _refuse_unknown(fields: Mapping[str, object]) -> None:
    unknown = sorted(set(fields) - set(KEYS))
    if unknown:
        raise InvalidInput(
            f"{unknown[0]!r} is not a resource",
            field=f"resources.{unknown[0]}",
            hint=f"Known resources: {', '.join(KEYS)}; others are asked for under 'counted'.",
        )


def _parse_milli(field: str, value: object, *, least: int) -> int:
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        amount = Decimal(str(value)) * MILLI
        if not amount.is_finite() or amount != amount.to_integral_value():
            raise InvalidOperation
    except InvalidOperation:
        raise InvalidInput(
            f"'{field}={value}' is not a number of at most three decimals",
            field=f"resources.{field}",
            hint=f"Write it like {field}=2 or {field}=0.5.",
        ) from None
    if not least <= amount <= 10**9:
        raise InvalidInput(
            f"'{field}={value}' is out of range",
            field=f"resources.{field}",
            hint=f"Ask for at least {format_milli(least)} {field}.",
        )
    return int(amount)


def _parse_memory(value: object) -> int:
    size = parse_bytes(value, "resources.memory")
    if size < 2**20:
        raise InvalidInput(
            f"'memory={value}' is too little to start anything",
            field="resources.memory",
            hint="Write a unit, e.g. memory=4GiB.",
        )
    return size


def _parse_device(fields: Mapping[str, object]) -> tuple[str, int]:
    """The kind of device and how many thousandths of it; 0 when its memory decides that."""
    if "accelerator" in fields and "gpu" in fields:
        raise InvalidInput(
            "a task can't ask for both 'gpu' and 'accelerator'",
            field="resources.accelerator",
            hint="A GPU is an accelerator: ask for one of them.",
        )
    if "accelerator" in fields:
        return _parse_accelerator(fields["accelerator"])
    if "gpu" in fields:
        return "gpu", _parse_devices("gpu", fields["gpu"])
    if "gpu_profile" in fields:
        return "gpu", MILLI
    # Memory alone is a request for a part of one GPU, whatever share that turns out to be.
    return ("gpu", 0) if "gpu_memory" in fields else ("", 0)


def _parse_devices(field: str, value: object) -> int:
    milli = _parse_milli(field, value, least=0)
    if milli > MILLI and milli % MILLI:
        below = milli // MILLI
        raise InvalidInput(
            f"'{field}={value}' asks for whole devices and a part of one",
            field=f"resources.{field}",
            hint=f"Ask for a part of one device (up to 1) or for {below} or {below + 1}.",
            details={"value": format_milli(milli), "possible": [below, below + 1]},
        )
    return milli


def _parse_accelerator(value: object) -> tuple[str, int]:
    kind, separator, count = str(value).partition(":")
    if not _MODEL.fullmatch(kind):
        raise InvalidInput(
            f"'accelerator={value}' names no accelerator",
            field="resources.accelerator",
            hint="Write it like accelerator=tpu-v5e:4.",
        )
    return kind, _parse_devices("accelerator", count if separator else 1)


def _parse_models(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    models = tuple(model.strip() for model in str(value).split("|"))
    if not all(_MODEL.fullmatch(model) for model in models):
        raise InvalidInput(
            f"'gpu_model={value}' is not a list of models",
            field="resources.gpu_model",
            hint="Write it like gpu_model='H100|A100'.",
        )
    return models


def _parse_profile(value: object, milli: int) -> str:
    if value is None:
        return ""
    profile = str(value).strip().lower()
    if not _PROFILE.fullmatch(profile):
        raise InvalidInput(
            f"'gpu_profile={value}' is not a profile",
            field="resources.gpu_profile",
            hint="Write it like gpu_profile=1g.10gb.",
        )
    if milli % MILLI:
        raise InvalidInput(
            f"'gpu={format_milli(milli)}' with 'gpu_profile={value}' asks for a part of a slice",
            field="resources.gpu",
            hint="A slice is not divided further: ask for gpu=1, or for a smaller profile.",
        )
    return profile


def _parse_counted(value: object) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, Mapping):
        raise InvalidInput(
            f"'counted={value}' is not an object",
            field="resources.counted",
            hint='Write it like "counted": {"matlab": 2}.',
        )
    counted = {}
    for name, count in value.items():
        if not _COUNTED.fullmatch(str(name)) or name in KEYS:
            raise InvalidInput(
                f"{name!r} can't name a counted resource",
                field="resources.counted",
                hint="Use small letters, digits, '-', '_' and '.', e.g. matlab=2.",
            )
        whole = _parse_milli(str(name), count, least=0)
        if whole % MILLI:
            raise InvalidInput(
                f"'{name}={count}' is not a whole number",
                field="resources.counted",
                hint=f"Write it like {name}=2.",
            )
        if whole:
            counted[str(name)] = whole // MILLI
    return tuple(sorted(counted.items()))
