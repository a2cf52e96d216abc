"""The pages on the cluster, queues, reservations and history, each in five states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import PortalServer, keep_picture
from tests.e2e.scheduling import CROWDED_WEEK, World, thousand_nodes
from tests.e2e.test_accessibility import violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.e2e

LogIn = Callable[..., "Page"]

NONE: dict[str, Any] = {"items": [], "next_cursor": None}
NO_NODES = {
    "nodes": {}, "pools": [], "models": [], "cpu": 0, "cpu_used": 0, "memory_bytes": 0,
    "memory_used_bytes": 0, "waiting": 0, "running": 0,
}  # fmt: skip
NO_HISTORY = {
    "since": "2026-11-20T00:00:00Z", "until": "2026-11-21T00:00:00Z", "step_s": 60,
    "resources": [], "queues": [],
}  # fmt: skip


@dataclass(frozen=True)
class SchedulingPage:
    """`nothing` is said when the API answers `empty`; `shows` when it is full. `api` breaks.
    `acts` is what only those may do who may write."""

    name: str
    path: str
    nothing: str
    empty: dict[str, Any]
    shows: str
    full_path: str
    api: str
    acts: str


PAGES = [
    SchedulingPage(
        "cluster", "/cluster", "No nodes yet",
        {"/api/v1/cluster": NONE, "/api/v1/cluster/summary": NO_NODES},
        "large-0001", "/cluster?pool=large", "/api/v1/cluster", "[data-act=drain]",
    ),
    SchedulingPage(
        "queues", "/queues", "No queues yet", {"/api/v1/queues": NONE},
        "queue-0007", "/queues?name=queue-", "/api/v1/queues", "[data-act=edit]",
    ),
    SchedulingPage(
        "queue", "/queues/{quiet}", "Nobody waits here", {},
        "crowd-0099", "/queues/{crowded}", "/api/v1/queues", ".m-head .danger",
    ),
    SchedulingPage(
        "reservations", "/cluster?tab=reservations&week=2031-01-06",
        "Nothing is reserved in this week.", {},
        "window-0999", f"/cluster?tab=reservations&week={CROWDED_WEEK}", "/api/v1/reservations",
        ".m-head .primary",
    ),
    SchedulingPage(
        "history", "/cluster?tab=history", "No history yet",
        {"/api/v1/scheduling/history": NO_HISTORY},
        "GPUs in use", "/cluster?tab=history&range=1h", "/api/v1/scheduling/history", ".none",
    ),
]  # fmt: skip


def address(portal: PortalServer, world: World, path: str) -> str:
    for name, queue in world.queues.items():
        path = path.replace(f"{{{name}}}", queue)
    return portal.url + path


@pytest.fixture(scope="module")
def crowd(portal: PortalServer) -> Any:
    with thousand_nodes(portal):
        yield


@pytest.mark.parametrize("page_of", PAGES, ids=lambda one: one.name)
class TestStates:
    def test_empty(
        self, portal: PortalServer, world: World, log_in: LogIn, page_of: SchedulingPage
    ) -> None:
        page = log_in("member")
        with portal.answering(page_of.empty):
            page.goto(address(portal, world, page_of.path))
            page.get_by_text(page_of.nothing).first.wait_for()
            keep_picture(page, f"{page_of.name}-empty")

    def test_full(
        self, portal: PortalServer, world: World, log_in: LogIn, page_of: SchedulingPage,
        crowd: None,
    ) -> None:  # fmt: skip
        page = log_in("member" if page_of.name != "queues" else "admin", "full")
        page.goto(address(portal, world, page_of.full_path))
        page.get_by_text(page_of.shows).first.wait_for()
        keep_picture(page, f"{page_of.name}-full")

    def test_error(
        self, portal: PortalServer, world: World, log_in: LogIn, page_of: SchedulingPage
    ) -> None:
        page = log_in("member")
        with portal.broken(page_of.api):
            page.goto(address(portal, world, page_of.path))
            page.get_by_text("This could not be loaded").wait_for()
            keep_picture(page, f"{page_of.name}-error")
        page.get_by_role("link", name="Try again").click()
        page.get_by_text("This could not be loaded").wait_for(state="detached")

    def test_forbidden(
        self, portal: PortalServer, world: World, log_in: LogIn, page_of: SchedulingPage
    ) -> None:
        page = log_in("viewer")
        page.goto(address(portal, world, page_of.path))
        page.locator("h1").wait_for()
        page.wait_for_load_state("networkidle")
        assert page.locator(page_of.acts).count() == 0
        keep_picture(page, f"{page_of.name}-forbidden")

    def test_narrow(
        self, portal: PortalServer, world: World, log_in: LogIn, page_of: SchedulingPage,
        crowd: None,
    ) -> None:  # fmt: skip
        page = log_in("member", narrow=True)
        page.goto(address(portal, world, page_of.full_path))
        page.get_by_text(page_of.shows).first.wait_for()
        keep_picture(page, f"{page_of.name}-narrow")


def test_a_queue_of_others_is_not_there(portal: PortalServer, world: World, log_in: LogIn) -> None:
    page = log_in("member")
    page.goto(f"{portal.url}/queues/{world.foreign}")
    page.get_by_text("There is nothing here").wait_for()
    assert "secret" not in page.locator("#page").inner_text()


LOOKED_AT = {
    "cluster": "/cluster?name=gpu-",
    "queues": "/queues",
    "queue": "/queues/{train}",
    "reservations": "/cluster?tab=reservations&week={week}",
    "history": "/cluster?tab=history&range=1h",
}


@pytest.mark.parametrize("name", LOOKED_AT)
def test_accessibility_in_both_themes_and_languages(
    portal: PortalServer, world: World, log_in: LogIn, name: str
) -> None:
    path = LOOKED_AT[name].replace("{week}", world.week)
    problems = []
    for language in ("en", "ko"):
        page = log_in("admin" if name == "cluster" else "maintainer", language=language)
        page.goto(address(portal, world, path))
        page.locator("h1").wait_for()
        page.wait_for_load_state("networkidle")
        keep_picture(page, f"{name}-light-{language}")
        problems += violations(page)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        keep_picture(page, f"{name}-dark-{language}")
        problems += violations(page)
    assert not problems, "\n".join(problems)
