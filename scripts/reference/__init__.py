"""The reference pages, made from the code: `pages()` gives each page's path below `docs/`."""

from __future__ import annotations

from scripts.reference.api import api_page
from scripts.reference.cli import cli_page
from scripts.reference.python import python_page
from scripts.reference.tables import (
    errors_page,
    permissions_page,
    reasons_page,
    settings_page,
    states_page,
)


def pages() -> dict[str, str]:
    """Path below `docs/` → Markdown. The same code always gives the same pages."""
    return {
        "reference/cli.md": cli_page(),
        "reference/api.md": api_page(),
        "reference/python.md": python_page(),
        "reference/settings.md": settings_page(),
        "reference/permissions.md": permissions_page(),
        "reference/states.md": states_page(),
        "reference/reasons.md": reasons_page(),
        "reference/errors.md": errors_page(),
    }
