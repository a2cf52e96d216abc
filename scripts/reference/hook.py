"""MkDocs' hook: adds the generated pages, and makes the navigation from the files there are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.reference import pages


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    docs = Path(config.docs_dir)
    nav: list[Any] = [
        {"Home": "index.md"},
        {"Tutorial": "tutorial.md"},
        {"Guides": _below(docs, "guides")},
        {"Reference": list(pages())},
        {"Decisions": _below(docs, "decisions")},
    ]
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path, content in pages().items():
        files.append(File.generated(config, path, content=content))
    return files


def _below(docs: Path, folder: str) -> list[str]:
    paths = sorted(path.relative_to(docs).as_posix() for path in (docs / folder).rglob("*.md"))
    return sorted(paths, key=lambda path: not path.endswith("/index.md"))
