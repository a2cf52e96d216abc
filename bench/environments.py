"""How long an environment takes to build: the first time, and with a warm cache.

    .venv/bin/python bench/environments.py [--packages a,b]

What must hold: an environment of 30 packages from a warm cache in under 5 s. The first figure
includes downloads and is for information. Exit code 1 when a figure falls short.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from madang.core.settings import Settings
from madang.server.cluster.protocol import EnvironmentBuild, EnvironmentBuilt
from madang.server.environments.base_wheels import ensure_base_wheels
from madang.server.environments.builder import build
from madang.server.environments.specs import environment_digest, normal_packages
from madang.server.paths import StatePaths

LIMIT_S = 5.0
LEAST_PACKAGES = 30
PACKAGES = "scikit-learn,matplotlib,pandas,jupyter-client,fastapi,uvicorn,sqlalchemy,pillow"
ONE_MORE = "attrs"


def build_environment(settings: Settings, packages: list[str]) -> EnvironmentBuilt:
    paths = StatePaths(settings.state_dir)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = ensure_base_wheels(paths.wheels, python)
    wanted = normal_packages(packages)
    digest = environment_digest(wanted, python, base)
    path = paths.environments / digest
    return build(EnvironmentBuild(digest, (*wanted, *base), python, str(path)), settings)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packages", default=PACKAGES)
    packages = parser.parse_args().packages.split(",")
    ok = True
    for sandbox in ("bwrap", "none"):
        if sandbox == "bwrap" and not shutil.which("bwrap"):
            print("bwrap  is not installed, not measured")
            continue
        with tempfile.TemporaryDirectory(prefix="madang-bench-") as folder:
            settings = Settings(state_dir=Path(folder), sandbox=sandbox)
            cold = build_environment(settings, packages)
            warm = build_environment(settings, [*packages, ONE_MORE])
        if not (cold.ok and warm.ok):
            print(cold.error or warm.error, file=sys.stderr)
            return 1
        good = warm.seconds < LIMIT_S and len(warm.lock) >= LEAST_PACKAGES
        ok = ok and good
        print(
            f"{sandbox:5}  first {cold.seconds:5.1f} s   warm {warm.seconds:5.2f} s of "
            f"{len(warm.lock)} packages   must be under {LIMIT_S:.0f} s   "
            f"{'holds' if good else 'FALLS SHORT'}"
        )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
