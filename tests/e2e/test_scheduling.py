"""What people do with the cluster, its queues and reservations, done by a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import PortalServer, keep_picture
from tests.e2e.content import NODE
from tests.e2e.scheduling import World, request
from tests.e2e.test_behaviour import api, run_job

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.e2e

LogIn = Callable[..., "Page"]


def row_of(page: Page, name: str) -> Locator:
    return page.locator(".m-row", has_text=name).first


def act(page: Page, name: str, label: str) -> None:
    """Choose something in the menu of a row."""
    row = row_of(page, name)
    row.locator("summary").click()
    row.get_by_role("button", name=label).click()


class TestCluster:
    def test_a_cell_tells_who_holds_it(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/cluster?name={NODE}")
        held = page.locator(".m-gpu", has=page.locator("i.mine")).first
        held.hover()
        tip = page.get_by_role("tooltip")
        assert re.search(
            r"H100 number \d \(simulated\)\s+100 %: \S+ of member in vision, since \d\d:\d\d",
            tip.inner_text(),
        )
        keep_picture(page, "cluster-cell")
        held.focus()
        page.keyboard.press("End")
        label = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert "number 3" in label
        assert tip.inner_text() == label
        page.keyboard.press("Escape")
        assert tip.is_hidden()

    def test_others_see_that_it_is_held_and_not_by_what(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("outsider", "other")
        page.goto(f"{portal.url}/cluster?name={NODE}")
        held = page.locator(".m-gpu", has=page.locator("i.others")).first
        assert "train-digits" not in page.locator("#page").inner_html()
        assert "is held by another project" in (held.get_attribute("aria-label") or "")

    def test_a_job_appears_in_its_cells(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/cluster?name={NODE}")
        page.locator(".m-gpu").first.wait_for()
        job_id = run_job(portal, "half-a-gpu", resources={"gpu": 0.5})
        cell = page.locator(f".m-gpu[data-href='/jobs/{job_id}']")
        cell.wait_for()
        assert "50 %: half-a-gpu of member" in (cell.get_attribute("aria-label") or "")
        cell.click()
        page.wait_for_url(f"{portal.url}/jobs/{job_id}")
        request(portal, "member", "POST", f"jobs/{job_id}/cancel")

    def test_a_node_is_closed_and_opened_again(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("admin")
        page.goto(f"{portal.url}/cluster?name={NODE}")
        act(page, NODE, "Place nothing new")
        row_of(page, NODE).locator(".m-chip", has_text="cordoned").wait_for()
        keep_picture(page, "cluster-undo")
        assert api(portal, f"nodes/{NODE}")["node"]["state"] == "cordoned"
        page.get_by_role("button", name="Undo").click()
        row_of(page, NODE).locator(".m-chip").wait_for(state="detached")
        assert api(portal, f"nodes/{NODE}")["node"]["state"] == "ready"

    def test_draining_says_what_it_stops_and_asks_for_the_name(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("admin")
        page.goto(f"{portal.url}/cluster?name={NODE}")
        act(page, NODE, "Drain…")
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("link", name="train-digits").first.wait_for()
        keep_picture(page, "cluster-drain")
        dialog.get_by_role("button", name="Drain", exact=True).click()
        dialog.get_by_text("That is not the name.").wait_for()
        assert api(portal, f"nodes/{NODE}")["node"]["state"] == "ready"
        dialog.get_by_role("button", name="Not now").click()

    def test_pool_and_labels(self, portal: PortalServer, world: World, log_in: LogIn) -> None:
        page = log_in("admin")
        page.goto(f"{portal.url}/cluster?name={NODE}")
        act(page, NODE, "Pool and labels…")
        page.get_by_label("Labels (rack says where it stands)").fill("rack=r1 broken")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("'broken' is not NAME=VALUE").first.wait_for()
        page.get_by_label("Labels (rack says where it stands)").fill("rack=r1")
        page.get_by_text(f"madang node label {NODE} rack=r1").wait_for()
        page.get_by_role("button", name="Save").click()
        row_of(page, NODE).get_by_text("rack=r1").wait_for()


class TestQueues:
    def test_a_weight_is_typed_and_undone(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("admin")
        page.goto(f"{portal.url}/queues?name=train")
        field = page.get_by_label("Weight of train, as a number")
        field.fill("5")
        field.press("Enter")
        page.get_by_text("The weight of train is 5 now; it was 2.").wait_for()
        assert api(portal, f"queues/{world.queues['train']}")["weight"] == 5
        page.get_by_role("button", name="Undo").click()
        page.wait_for_function(
            "id => document.querySelector(`[data-weight-of='${id}']`)?.value === '2'",
            arg=world.queues["train"],
        )
        assert api(portal, f"queues/{world.queues['train']}")["weight"] == 2

    def test_a_weight_is_dragged(self, portal: PortalServer, world: World, log_in: LogIn) -> None:
        page = log_in("admin")
        page.goto(f"{portal.url}/queues?name=notebooks")
        handle = page.get_by_role("slider", name="Weight of notebooks")
        box = handle.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + 60, box["y"] + 8, steps=4)
        keep_picture(page, "queues-drag")
        wanted = handle.get_attribute("aria-valuenow")
        page.mouse.up()
        page.get_by_text(f"The weight of notebooks is {wanted} now").wait_for()
        changed = api(portal, f"queues/{world.queues['notebooks']}")
        assert changed["weight"] == float(wanted or 0) > 1
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("button", name="Undo").wait_for(state="detached")

    def test_a_weight_is_changed_by_keys(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("admin")
        page.goto(f"{portal.url}/queues?name=notebooks")
        page.get_by_role("slider", name="Weight of notebooks").focus()
        page.keyboard.press("PageUp")
        page.keyboard.press("ArrowRight")
        page.get_by_text("The weight of notebooks is 3 now; it was 1.").wait_for()
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("button", name="Undo").wait_for(state="detached")

    def test_one_is_made_changed_and_deleted(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("admin")
        page.goto(f"{portal.url}/queues?name=made")
        page.get_by_text("Nothing matches").wait_for()
        page.get_by_role("button", name="New queue").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("made-here")
        dialog.get_by_label("Guarantee: kept for it").fill("gpu=99")
        dialog.get_by_text("madang queue create made-here --guarantee gpu=99").wait_for()
        dialog.get_by_role("button", name="Make it").click()
        dialog.locator(".q-field--error").wait_for()
        keep_picture(page, "queue-form-error")
        assert dialog.get_by_label("Name").input_value() == "made-here"
        dialog.get_by_label("Guarantee: kept for it").fill("")
        dialog.get_by_role("button", name="Make it").click()
        page.get_by_role("link", name="made-here").wait_for()
        act(page, "made-here", "Change…")
        dialog.get_by_label("Limit: never more than this").fill("gpu=1")
        dialog.get_by_text("madang queue update made-here --limit gpu=1").wait_for()
        dialog.get_by_role("button", name="Save").click()
        row_of(page, "made-here").get_by_text("at most 1").wait_for()
        act(page, "made-here", "Delete…")
        dialog.get_by_label("Type made-here to confirm").fill("made-here")
        dialog.get_by_role("button", name="Remove").click()
        page.get_by_text("Nothing matches").wait_for()

    def test_a_queue_is_closed_with_a_way_back(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("admin")
        page.goto(f"{portal.url}/queues?name=quiet")
        act(page, "quiet", "Close")
        row_of(page, "quiet").locator(".m-chip", has_text="closed").wait_for()
        page.get_by_role("button", name="Undo").click()
        row_of(page, "quiet").locator(".m-chip", has_text="closed").wait_for(state="detached")

    def test_the_line_of_a_queue_has_places_and_reasons(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/queues/{world.queues['crowded']}")
        first = page.locator("tbody tr", has_text="crowd-0000")
        assert first.locator("td").first.inner_text() == "1"
        page.get_by_role("link", name="Show the first 1,000").click()
        page.get_by_role("link", name="crowd-0999").wait_for()


class TestReservations:
    def week(self, portal: PortalServer, world: World, page: Page) -> None:
        page.goto(f"{portal.url}/cluster?tab=reservations&week={world.week}")
        page.get_by_role("button", name="demo-day").wait_for()

    def test_a_conflict_offers_windows_that_fit(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("maintainer")
        self.week(portal, world, page)
        page.get_by_role("button", name="Reserve", exact=True).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("too-much")
        demo = next(
            one for one in api(portal, "reservations?project=vision&limit=1000")["items"]
            if one["name"] == "demo-day"
        )  # fmt: skip
        local = page.evaluate(
            "(at) => { const d = new Date(at); d.setMinutes(d.getMinutes()"
            " - d.getTimezoneOffset()); return d.toISOString().slice(0, 16); }",
            demo["start"],
        )
        dialog.get_by_label("From").fill(local)
        dialog.get_by_label("GPUs on each node").fill("4")
        dialog.get_by_text("madang reservation create too-much").wait_for()
        dialog.get_by_role("button", name="Reserve", exact=True).click()
        nearest = dialog.get_by_role("button", name=re.compile("^Take "))
        nearest.first.wait_for()
        keep_picture(page, "reservation-conflict")
        nearest.first.click()
        page.get_by_text("too-much is reserved.").wait_for()
        names = [one["name"] for one in api(portal, "reservations?project=vision")["items"]]
        assert "too-much" in names

    def test_one_is_cancelled_and_had_back(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("maintainer")
        self.week(portal, world, page)
        course = page.get_by_role("button", name="course")
        course.click()
        page.get_by_role("dialog").get_by_text("madang job run --reservation course").wait_for()
        keep_picture(page, "reservation")
        page.get_by_role("button", name="Cancel it").click()
        page.get_by_text("course is cancelled.").wait_for()
        course.wait_for(state="detached")
        page.get_by_role("button", name="Undo").click()
        course.wait_for()

    def test_who_may_not_reserve_is_not_offered_to(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("viewer")
        self.week(portal, world, page)
        page.get_by_role("button", name="demo-day").click()
        page.get_by_role("dialog").get_by_text("madang job run --reservation").wait_for()
        assert page.get_by_role("button", name="Cancel it").count() == 0


class TestHistory:
    def test_the_numbers_are_a_click_away(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/cluster?tab=history")
        page.get_by_role("link", name="1 hour").click()
        page.wait_for_url(re.compile("range=1h"))
        card = page.locator(".m-chart-card", has_text="GPUs in use")
        card.get_by_text("The numbers").click()
        card.locator("tbody tr").first.wait_for()
        with page.expect_download() as download:
            card.get_by_role("button", name="CSV").click()
        lines = download.value.path().read_text().splitlines()
        assert lines[0] == "When,In use,There are,Asked for by those that wait"
        assert len(lines) > 240


class TestWaitingJob:
    def test_why_it_waits_and_what_can_be_done(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        job_id = run_job(portal, "waits-long", resources={"gpu": 4})
        page = log_in("member")
        page.goto(f"{portal.url}/jobs/{job_id}")
        card = page.locator(".m-wait")
        card.get_by_text("Place in line").wait_for()
        keep_picture(page, "job-waits")
        page.get_by_role("button", name="Priority").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Priority").fill("many")
        dialog.get_by_role("button", name="Save").click()
        dialog.locator(".q-field--error").wait_for()
        dialog.get_by_label("Priority").fill("high")
        dialog.get_by_text(f"madang job priority {job_id} high").wait_for()
        dialog.get_by_role("button", name="Save").click()
        page.get_by_text("waits-long has priority 100 now.").wait_for()
        page.get_by_text("default, priority 100").wait_for()
        page.get_by_role("button", name="Move").click()
        dialog.get_by_label("Queue").click()
        page.get_by_role("option", name="research/train").click()
        dialog.get_by_role("button", name="Move", exact=True).click()
        page.get_by_text("waits-long waits in research/train now.").wait_for()
        assert api(portal, f"jobs/{job_id}")["job"]["queue"] == "train"
        request(portal, "member", "POST", f"jobs/{job_id}/cancel")

    def test_the_form_says_when_it_would_start(
        self, portal: PortalServer, world: World, log_in: LogIn
    ) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/new-job?command=true&cpu=1")
        page.locator(".m-starts").get_by_text("Starts now").wait_for()
        page.get_by_label("GPUs for each process (a part of one: 0.25)").fill("4")
        page.locator(".m-starts .m-chip.wait").wait_for()
        keep_picture(page, "job-form-waits")
