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

DEFAULT_CPU_MILLI = 1 * MILLI
DEFAULT_MEMORY_BYTES = 2 * 2**30

KEYS = ("cpu", "memory", "gpu", "gpu_memory", "gpu_model", "accelerator")
"""The keys that `Resources.parse` understands, in the order that help texts show them."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What one task holds while it runs.

    cpu_milli: thousandths of a CPU. memory_bytes: main memory.
    device_kind: "gpu" or another accelerator ("tpu-v5e"); empty when none is asked for.
    device_milli: thousandths of devices; above 1000 only whole devices.
    device_memory_bytes: memory on each device; 0 when the share alone decides.
    device_models: acceptable models; empty when any will do.
    """

    cpu_milli: int = DEFAULT_CPU_MILLI
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    device_kind: str = ""
    device_milli: int = 0
    device_memory_bytes: int = 0
    device_models: tuple[str, ...] = ()

    @classmethod
    def parse(cls, request: Mapping[str, object] | Iterable[str]) -> Resources:
        """Read `{"cpu": 2, "memory": "4GiB", "gpu": 0.25}` or `["cpu=2", "gpu=0.25"]`.

        Raises InvalidInput naming the key, the value and what would do.
        """
        fields = dict(request) if isinstance(request, Mapping) else dict(map(_split, request))
        unknown = sorted(set(fields) - set(KEYS))
        if unknown:
            raise InvalidInput(
                f"{unknown[0]!r} is not a resource",
                field=f"resources.{unknown[0]}",
                hint=f"Known resources: {', '.join(KEYS)}.",
            )
        fields = {key: value for key, value in fields.items() if value not in (None, "")}
        if "accelerator" in fields and "gpu" in fields:
            raise InvalidInput(
                "a task can't ask for both 'gpu' and 'accelerator'",
                field="resources.accelerator",
                hint="A GPU is an accelerator: ask for one of them.",
            )
        result = cls()
        if "cpu" in fields:
            result = replace(result, cpu_milli=_parse_milli("cpu", fields["cpu"], least=1))
        if "memory" in fields:
            result = replace(result, memory_bytes=_parse_memory(fields["memory"]))
        if "gpu" in fields:
            result = replace(
                result, device_kind="gpu", device_milli=_parse_devices("gpu", fields["gpu"])
            )
        elif "gpu_memory" in fields:
            # Memory alone is a request for a part of one GPU, whatever share that turns out to be.
            result = replace(result, device_kind="gpu", device_milli=0)
        elif "accelerator" in fields:
            kind, milli = _parse_accelerator(fields["accelerator"])
            result = replace(result, device_kind=kind, device_milli=milli)
        if "gpu_memory" in fields:
            result = replace(
                result, device_memory_bytes=parse_bytes(fields["gpu_memory"], "gpu_memory")
            )
        if "gpu_model" in fields:
            result = replace(result, device_models=_parse_models(fields["gpu_model"]))
        if not result.device_milli and not result.device_memory_bytes:
            if result.device_models:
                raise InvalidInput(
                    f"'gpu_model={fields['gpu_model']}' asks for no GPU",
                    field="resources.gpu_model",
                    hint="Add how many, e.g. gpu=1.",
                )
            result = replace(result, device_kind="")
        return result

    def to_request(self) -> dict[str, str | int | float]:
        """The inverse of `parse`, as people would write it."""
        request: dict[str, str | int | float] = {
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
        return request

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self.to_request().items())


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


def _parse_devices(field: str, value: object) -> int:
    milli = _parse_milli(field, value, least=0)
    if milli > MILLI and milli % MILLI:
        below = milli // MILLI
        raise InvalidInput(
            f"'{field}={value}' asks for whole devices and a part of one",
            field=f"resources.{field}",
            hint=f"Ask for a part of one device (up to 1) or for {below} or {below + 1}.",
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
    models = tuple(model.strip() for model in str(value).split("|"))
    if not all(_MODEL.fullmatch(model) for model in models):
        raise InvalidInput(
            f"'gpu_model={value}' is not a list of models",
            field="resources.gpu_model",
            hint="Write it like gpu_model='H100|A100'.",
        )
    return models
