"""What may be asked for in an environment: names and versions of packages, nothing that runs code
on the way in."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from madang.core.errors import InvalidInput

MAX_PACKAGES = 500
_MAX_SPEC_LENGTH = 500

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_CLAUSE = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+"
_SPEC = re.compile(
    rf"(?P<name>{_NAME})\s*"
    rf"(?:\[\s*(?P<extras>{_NAME}(?:\s*,\s*{_NAME})*)?\s*\])?\s*"
    rf"(?P<open>\()?\s*(?P<clauses>{_CLAUSE}(?:\s*,\s*{_CLAUSE})*)?\s*(?(open)\))\s*"
    r"(?:;\s*(?P<marker>[^;@#]+))?"
)
_DIRECT = re.compile(r"(?:^|@\s*)(?:[a-z]+\+)?[a-z][a-z0-9.-]*:(?://|/|\\|[^\s=])", re.IGNORECASE)
_PYTHON = re.compile(r"3\.\d{1,2}")


def normal_packages(packages: Sequence[str], *, allow_direct: bool = False) -> list[str]:
    """The packages in one way of writing them, sorted, each once: what a digest is made from.

    `allow_direct` lets addresses and repositories through (`name @ git+https://…`). Raises
    InvalidInput for options, addresses and whatever is not `name[extras]==version; marker`.
    """
    if len(packages) > MAX_PACKAGES:
        raise InvalidInput(
            f"{len(packages)} packages are more than the {MAX_PACKAGES} that one may ask for",
            field="packages",
            hint="Ask for the ones that you import; what they need comes by itself.",
        )
    return sorted({_normal_spec(spec.strip(), allow_direct) for spec in packages})


def check_python(python: str) -> str:
    """Return `python` when it is a version such as `3.11`. Raises InvalidInput."""
    if not _PYTHON.fullmatch(python):
        raise InvalidInput(
            f"{python!r} is not a version of Python", field="python", hint="Write it as 3.11."
        )
    return python


def environment_digest(packages: Sequence[str], python: str, base: Sequence[str]) -> str:
    """The name of the content: the same packages, Python and platform libraries give the same."""
    content = json.dumps([sorted(packages), python, sorted(base)]).encode()
    return hashlib.sha256(content).hexdigest()[:32]


def normal_name(name: str) -> str:
    """`Scikit_Learn` → `scikit-learn`, as package indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _normal_spec(spec: str, allow_direct: bool) -> str:
    _refuse_what_is_no_spec(spec)
    if _DIRECT.search(spec):
        if allow_direct:
            return spec
        raise InvalidInput(
            f"{spec!r} is an address: packages come from the index that this platform is set to",
            field="packages",
            hint="Name a package and a version, or ask an administrator for allow_source_builds.",
        )
    if spec.startswith((".", "/", "~")) or spec.endswith((".whl", ".tar.gz", ".zip")):
        raise InvalidInput(
            f"{spec!r} is a file, not a package",
            field="packages",
            hint="An administrator can put wheels into the folder of the setting find_links.",
        )
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise InvalidInput(
            f"{spec!r} does not name a package",
            field="packages",
            hint="Write name, name==version or name[extra]>=version,<version.",
        )
    extras = sorted(normal_name(extra.strip()) for extra in (match["extras"] or "").split(","))
    clauses = sorted(re.sub(r"\s", "", clause) for clause in (match["clauses"] or "").split(","))
    marker = " ".join((match["marker"] or "").split())
    return (
        normal_name(match["name"])
        + (f"[{','.join(extras)}]" if extras != [""] else "")
        + ",".join(clauses)
        + (f" ; {marker}" if marker else "")
    )


def _refuse_what_is_no_spec(spec: str) -> None:
    if not spec or len(spec) > _MAX_SPEC_LENGTH or not spec.isprintable():
        raise InvalidInput(
            f"{spec[:80]!r} does not name a package",
            field="packages",
            hint=f"A package is 1 to {_MAX_SPEC_LENGTH} printable characters.",
        )
    if spec.startswith("-"):
        raise InvalidInput(
            f"{spec!r} is an option, not a package",
            field="packages",
            hint="Index and options are settings of the platform; ask an administrator.",
        )
