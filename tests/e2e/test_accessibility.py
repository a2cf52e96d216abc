"""What axe-core finds on the pages, in both themes: labels, contrast, order, names."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import PortalServer, keep_picture

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.e2e

LogIn = Callable[..., "Page"]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]

PAGES = {
    "login": "/login",
    "home": "/",
    "jobs": "/jobs",
    "job": "/jobs/{train-digits}",
    "job-logs": "/jobs/{train-digits}?tab=logs",
    "job-form": "/new-job?from={train-digits}",
    "folders": "/data",
    "folder": "/data/folders/{folder}",
    "dataset": "/data/datasets/{dataset}",
    "models": "/models",
    "model": "/models/digits",
    "endpoints": "/endpoints",
    "endpoint": "/endpoints/digits",
    "endpoint-try": "/endpoints/digits?tab=try",
    "endpoint-deploy": "/endpoints?new=1",
}


@pytest.mark.parametrize("name", PAGES)
def test_page(portal: PortalServer, log_in: LogIn, name: str) -> None:
    page = log_in("member")
    page.goto(portal.address(PAGES[name]))
    page.locator("h1, h2").first.wait_for()
    if name == "endpoint-deploy":
        page.get_by_role("dialog").get_by_text("madang endpoint deploy").wait_for()
    page.wait_for_function("!document.querySelector('[class*=-enter-active]')")
    keep_picture(page, f"{name}-light")
    problems = violations(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    keep_picture(page, f"{name}-dark")
    problems += violations(page)
    assert not problems, "\n".join(problems)


def test_the_check_finds_what_is_wrong(portal: PortalServer, log_in: LogIn) -> None:
    page = log_in("member")
    page.goto(f"{portal.url}/login")
    page.evaluate("document.querySelector('main').append(document.createElement('input'))")
    assert any(problem.startswith("label:") for problem in violations(page))


def violations(page: Page) -> list[str]:
    script = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    page.evaluate(script)
    found: Any = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", RULES
    )
    return [
        f"{one['id']}: {node['html'][:200]} {node['any'][0]['message'] if node['any'] else ''}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
