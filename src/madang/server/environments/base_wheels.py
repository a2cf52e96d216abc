"""The platform's own libraries as wheels, which every environment gets.

`import madang.train`, `madang.data`, `madang.Client` work in a task because its environment holds
the libraries of the server that built it. The wheels are packed from the files that this very
server runs from, an installed package or a checkout alike: no compiler, no index. Their version
carries a hash of their content (`0.1.0+4f2a…`), so that two different ones are never confused.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import threading
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import madang
from madang.server.paths import make_folder

_LEFT_OUT = ("server/", "testing/", "cli/")
"""Parts of `madang` that run on the server or at people's desks: tasks have no use for them."""

_TASK_REQUIREMENTS = ("annotated-types", "httpx", "numpy")
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Wheel:
    """A wheel in memory; `version` follows from what is in it."""

    name: str
    release: str
    tag: str
    files: dict[str, bytes]
    requires: tuple[str, ...]

    @property
    def version(self) -> str:
        digest = hashlib.sha256("\n".join(self.requires).encode())
        for name, content in sorted(self.files.items()):
            digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
        return f"{self.release}+{digest.hexdigest()[:12]}"


def ensure_base_wheels(folder: Path, python: str) -> list[str]:
    """Write the wheels for that Python (`3.11`) into `folder`, unless they are there, and return
    the exact pins of them.

    `madang-native` is among them where the server's own fits that Python; without it the
    libraries do in Python what they can.
    """
    native = _native_wheel()
    library = _library_wheel(native)
    wheels = [library, native] if native and _fits(native.tag, python) else [library]
    make_folder(folder, 0o755)
    for wheel in wheels:
        _write(wheel, folder)
    return [f"{wheel.name}=={wheel.version}" for wheel in wheels]


def _library_wheel(native: _Wheel | None) -> _Wheel:
    root = Path(madang.__file__).parent
    names = [name for name in _tree(root) if not name.startswith(_LEFT_OUT)]
    requires = [
        line
        for line in metadata.requires("madang") or []
        if re.split(r"[^A-Za-z0-9-]", line)[0] in _TASK_REQUIREMENTS
    ]
    if native:
        requires.append(f"{native.name}=={native.version} ; {_marker(native.tag)}")
    files = {f"madang/{name}": (root / name).read_bytes() for name in names}
    return _Wheel("madang", madang.__version__, "py3-none-any", files, tuple(requires))


def _native_wheel() -> _Wheel | None:
    """None where it is not installed as a whole (an editable install has its parts elsewhere)."""
    try:
        distribution = metadata.distribution("madang-native")
    except metadata.PackageNotFoundError:
        return None
    tags = re.findall(r"^Tag: (\S+)", distribution.read_text("WHEEL") or "", re.MULTILINE)
    files = {
        str(entry): entry.read_binary()
        for entry in distribution.files or ()
        if entry.parts[0] == "madang_native" and "__pycache__" not in entry.parts
    }
    if not tags or not files:
        return None
    return _Wheel("madang-native", distribution.version, tags[0], files, ("numpy>=1.26",))


def _fits(tag: str, python: str) -> bool:
    interpreter, abi, _ = tag.split("-", 2)
    least = int(interpreter.removeprefix("cp3"))
    minor = int(python.partition(".")[2])
    return minor >= least if abi == "abi3" else minor == least


def _marker(tag: str) -> str:
    """Which Pythons the native wheel is for; the others do without it."""
    interpreter, abi, _ = tag.split("-", 2)
    version = f"3.{interpreter.removeprefix('cp3')}"
    return f"python_version {'>=' if abi == 'abi3' else '=='} '{version}'"


def _tree(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def _write(wheel: _Wheel, folder: Path) -> None:
    stem = f"{wheel.name.replace('-', '_')}-{wheel.version}"
    target = folder / f"{stem}-{wheel.tag}.whl"
    if target.exists():
        return
    info = f"{stem}.dist-info"
    requires = "".join(f"Requires-Dist: {line}\n" for line in wheel.requires)
    pure = "true" if wheel.tag.endswith("-any") else "false"
    texts = {
        "METADATA": (
            f"Metadata-Version: 2.1\nName: {wheel.name}\nVersion: {wheel.version}\n"
            f"Summary: Madang's libraries for tasks\nRequires-Python: >=3.11\n{requires}"
        ),
        "WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: madang\nRoot-Is-Purelib: {pure}\nTag: {wheel.tag}\n"
        ),
    }
    contents = wheel.files | {f"{info}/{name}": text.encode() for name, text in texts.items()}
    record = [f"{name},{_record_hash(data)},{len(data)}" for name, data in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,\n"]).encode()
    growing = folder / f".{target.name}.{os.getpid()}.{threading.get_ident()}"
    with zipfile.ZipFile(growing, "w") as archive:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    growing.chmod(0o644)
    growing.replace(target)


def _record_hash(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"
