"""Every page in five states: empty, full, error, forbidden, and 390 px wide; pictures are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import PortalServer, keep_picture
from tests.e2e.content import MANY

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.e2e

LogIn = Callable[..., "Page"]


@dataclass(frozen=True)
class ListPage:
    """`api` is what it asks for; `nothing` is said without rows, `rows` are seen when full."""

    name: str
    path: str
    api: str
    nothing: str
    rows: int
    action: str


LISTS = [
    ListPage("home", "/", "/api/v1/jobs", "You have run no job yet.", 8, "New job"),
    ListPage("jobs", "/jobs", "/api/v1/jobs", "No jobs yet", 50, "New job"),
    ListPage("folders", "/data", "/api/v1/folders", "No folders yet", 50, "New folder"),
    ListPage("datasets", "/data?tab=datasets", "/api/v1/datasets", "No datasets yet", 50,
             "New folder"),
    ListPage("models", "/models", "/api/v1/models", "No models yet", 50, "Set an alias"),
    ListPage("endpoints", "/endpoints", "/api/v1/endpoints", "No endpoints yet", 50,
             "Deploy a model"),
]  # fmt: skip


@dataclass(frozen=True)
class DetailPage:
    """`path` has `{id}` of the thing in `vision`; `foreign` is the kind of one in `other`."""

    name: str
    path: str
    api: str
    foreign: str
    shows: str
    less: str
    """Said when there is little to show."""
    less_path: str


DETAILS = [
    DetailPage("job", "/jobs/{train-digits}", "/api/v1/jobs", "jobs", "worker 0, attempt 1",
               "None was started yet.", "/jobs/{sweep-learning-rate}"),
    DetailPage("job-logs", "/jobs/{train-digits}?tab=logs", "/api/v1/jobs", "jobs",
               "epoch 20", "", "/jobs/{sweep-learning-rate}?tab=logs"),
    DetailPage("job-metrics", "/jobs/{train-digits}?tab=metrics", "/api/v1/jobs", "jobs",
               "accuracy", "No numbers yet", "/jobs/{sweep-learning-rate}?tab=metrics"),
    DetailPage("job-events", "/jobs/{train-digits}?tab=events", "/api/v1/jobs", "jobs",
               "submitted", "submitted", "/jobs/{sweep-learning-rate}?tab=events"),
    DetailPage("folder", "/data/folders/{folder}?path=many", "/api/v1/folders", "data/folders",
               "00042.txt", "Nothing is in here", "/data/folders/{bare}"),
    DetailPage("dataset", "/data/datasets/{dataset}", "/api/v1/datasets", "data/datasets",
               "Items of each class", "No version yet", "/data/datasets/{bare-dataset}"),
    DetailPage("model", "/models/digits", "/api/v1/models", "models", "champion",
               "No version yet", "/models/bare"),
    DetailPage("endpoint", "/endpoints/digits", "/api/v1/endpoints", "", "1 of 1 ready",
               "0 of 2 ready", "/endpoints/starting"),
]  # fmt: skip


@pytest.mark.parametrize("page_of", LISTS, ids=lambda one: one.name)
class TestLists:
    def test_empty(self, portal: PortalServer, log_in: LogIn, page_of: ListPage) -> None:
        page = log_in("member", "empty")
        page.goto(portal.url + page_of.path)
        page.get_by_text(page_of.nothing).wait_for()
        keep_picture(page, f"{page_of.name}-empty")

    def test_full(self, portal: PortalServer, log_in: LogIn, page_of: ListPage) -> None:
        page = log_in("member", "full")
        page.goto(portal.url + page_of.path)
        page.locator("tbody tr").first.wait_for()
        assert page.locator("tbody tr").count() == page_of.rows
        keep_picture(page, f"{page_of.name}-full")

    def test_error(self, portal: PortalServer, log_in: LogIn, page_of: ListPage) -> None:
        page = log_in("member")
        with portal.broken(page_of.api):
            page.goto(portal.url + page_of.path)
            page.get_by_text("This could not be loaded").wait_for()
            assert page.get_by_text("The database did not answer").is_visible()
            keep_picture(page, f"{page_of.name}-error")
        page.get_by_role("link", name="Try again").click()
        page.get_by_text("This could not be loaded").wait_for(state="detached")

    def test_forbidden(self, portal: PortalServer, log_in: LogIn, page_of: ListPage) -> None:
        page = log_in("viewer")
        page.goto(portal.url + page_of.path)
        page.get_by_text("You are a viewer of vision").wait_for()
        assert page.get_by_text(page_of.action, exact=True).count() == 0
        keep_picture(page, f"{page_of.name}-forbidden")

    def test_narrow(self, portal: PortalServer, log_in: LogIn, page_of: ListPage) -> None:
        page = log_in("member", "full", narrow=True)
        page.goto(portal.url + page_of.path)
        page.locator("tbody tr").first.wait_for()
        keep_picture(page, f"{page_of.name}-narrow")


@pytest.mark.parametrize("page_of", DETAILS, ids=lambda one: one.name)
class TestDetails:
    def test_empty(self, portal: PortalServer, log_in: LogIn, page_of: DetailPage) -> None:
        page = log_in("member")
        page.goto(portal.address(page_of.less_path))
        if page_of.less:
            page.get_by_text(page_of.less).first.wait_for()
        else:
            assert page.locator("[data-log]").get_attribute("data-empty")
        keep_picture(page, f"{page_of.name}-empty")

    def test_full(self, portal: PortalServer, log_in: LogIn, page_of: DetailPage) -> None:
        page = log_in("member")
        page.goto(portal.address(page_of.path))
        page.get_by_text(page_of.shows).first.wait_for()
        keep_picture(page, f"{page_of.name}-full")

    def test_error(self, portal: PortalServer, log_in: LogIn, page_of: DetailPage) -> None:
        page = log_in("member")
        with portal.broken(page_of.api):
            page.goto(portal.address(page_of.path))
            page.get_by_text("This could not be loaded").wait_for()
            keep_picture(page, f"{page_of.name}-error")

    def test_forbidden(self, portal: PortalServer, log_in: LogIn, page_of: DetailPage) -> None:
        page = log_in("member")
        kind, _, tab = page_of.foreign, "", page_of.path.partition("?")[2]
        foreign = portal.content.foreign.get(kind, "none-of-yours")
        kind = kind or "endpoints"
        page.goto(f"{portal.url}/{kind}/{foreign}?{tab}")
        page.get_by_text("There is nothing here").wait_for()
        assert "secret" not in page.locator("#page").inner_text()
        keep_picture(page, f"{page_of.name}-forbidden")

    def test_narrow(self, portal: PortalServer, log_in: LogIn, page_of: DetailPage) -> None:
        page = log_in("member", narrow=True)
        page.goto(portal.address(page_of.path))
        page.get_by_text(page_of.shows).first.wait_for()
        keep_picture(page, f"{page_of.name}-narrow")


class TestLaunchForm:
    def test_empty(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/new-job")
        page.get_by_text("madang job run -- COMMAND").wait_for()
        keep_picture(page, "job-form-empty")

    def test_full(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(portal.address("/new-job?from={train-digits}"))
        page.get_by_text("LEARNING_RATE").first.wait_for()
        keep_picture(page, "job-form-full")

    def test_error(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/new-job?cpu=many&command=true")
        page.get_by_role("button", name="Run", exact=True).click()
        page.locator(".q-field--error").wait_for()
        assert page.get_by_label("Command", exact=True).input_value() == "true"
        keep_picture(page, "job-form-error")

    def test_forbidden(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("viewer")
        page.goto(f"{portal.url}/new-job")
        page.get_by_text("You may not run jobs here").wait_for()
        keep_picture(page, "job-form-forbidden")

    def test_narrow(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member", narrow=True)
        page.goto(portal.address("/new-job?from={train-digits}"))
        page.get_by_text("LEARNING_RATE").first.wait_for()
        keep_picture(page, "job-form-narrow")


def test_there_are_a_thousand(portal: PortalServer, log_in: LogIn) -> None:
    page = log_in("member", "full")
    page.goto(f"{portal.url}/jobs")
    page.locator("tbody tr").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == MANY + 1
