"""The last step of a build, run inside its sandbox by the new environment's own Python:

    python -I -S finish.py SITE_PACKAGES BYTECODE_CACHE LOCK_FILE

Compiles what was installed, for tasks can't (the environment is read-only to them, so each would
compile everything at each start), and writes the lock file. Compiling is the slow part of a build:
the result is kept per version of a package and hard-linked into later environments. Imports the
standard library only, and nothing that was installed.
"""

from __future__ import annotations

import hashlib
import os
import py_compile
import re
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

BATCH = 64


def main(site: Path, cache: Path, lock_file: Path) -> None:
    distributions = sorted(site.glob("*.dist-info"))
    lock_file.write_text("".join(f"{line}\n" for line in sorted(map(lock_line, distributions))))
    cache = cache / (sys.implementation.cache_tag or "none")
    cache.mkdir(parents=True, exist_ok=True)
    fresh = [info for info in distributions if not link_compiled(site, info, cache)]
    if not fresh:
        return
    sources = [source for info in fresh for source in python_files(site, info)]
    print(f"Compiling {len(sources)} files of {len(fresh)} packages", flush=True)
    batches = [sources[start : start + BATCH] for start in range(0, len(sources), BATCH)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        list(workers.map(compile_files, batches))
    for info in fresh:
        keep_compiled(site, info, cache)


def lock_line(info: Path) -> str:
    """`name==version`, the name as indexes write it."""
    headers = (info / "METADATA").read_text(errors="replace").partition("\n\n")[0]
    fields = dict(re.findall(r"^(Name|Version):[ \t]*(\S+)", headers, re.MULTILINE))
    name = re.sub(r"[-_.]+", "-", fields["Name"]).lower()
    return f"{name}=={fields['Version']}"


def python_files(site: Path, info: Path) -> Iterator[Path]:
    """The modules of a package that lie in the environment, by its RECORD. Its tests are left
    out: they are many (half of pandas) and nobody's task imports them."""
    for line in record_lines(info):
        name = line.split(",", 1)[0]
        path = site / name
        if not {"..", "test", "tests"} & set(name.split("/")[:-1]) and path.is_file():
            yield path


def record_lines(info: Path) -> list[str]:
    record = info / "RECORD"
    lines = record.read_text(errors="replace").splitlines() if record.exists() else []
    return sorted(line for line in lines if ".py," in line and not line.startswith(("/", '"')))


def compile_files(sources: list[Path]) -> None:
    """Compiled files never look at their source's time: they are valid wherever they are linked.
    Files that are not valid Python (templates, tests of other versions) stay as they are."""
    for source in sources:
        py_compile.compile(
            str(source),
            dfile=source.name,  # replaced by the real path when it is imported
            quiet=2,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def cache_folder(info: Path, cache: Path) -> Path:
    digest = hashlib.sha256("\n".join(record_lines(info)).encode()).hexdigest()[:16]
    return cache / f"{info.name.removesuffix('.dist-info')}-{digest}"


def link_compiled(site: Path, info: Path, cache: Path) -> bool:
    """Link what an earlier build compiled; False when there is none."""
    folder = cache_folder(info, cache)
    if not folder.is_dir():
        return False
    for root, _, names in os.walk(folder):
        target = site / Path(root).relative_to(folder)
        for name in names:
            target.mkdir(parents=True, exist_ok=True)
            link(Path(root) / name, target / name)
    return True


def keep_compiled(site: Path, info: Path, cache: Path) -> None:
    """Put this package's compiled files into the cache, all or none."""
    folder = cache_folder(info, cache)
    growing = cache / f".growing-{os.getpid()}-{folder.name}"
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir()
    for source in python_files(site, info):
        compiled = source.parent / "__pycache__" / f"{source.stem}.{cache_tag()}.pyc"
        if compiled.exists():
            target = growing / compiled.relative_to(site)
            target.parent.mkdir(parents=True, exist_ok=True)
            link(compiled, target)
    try:
        growing.rename(folder)
    except OSError:  # another build was quicker
        shutil.rmtree(growing, ignore_errors=True)


def cache_tag() -> str:
    return sys.implementation.cache_tag or "none"


def link(source: Path, target: Path) -> None:
    if LINK:
        try:
            os.link(source, target)
            return
        except OSError:
            pass
    shutil.copyfile(source, target)


LINK = os.environ.get("UV_LINK_MODE") == "hardlink"

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
