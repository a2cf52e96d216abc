"""What people do in the portal, done by a browser."""

from __future__ import annotations

import re
import shlex
import tarfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from madang.core.states import WorkloadState
from madang.schemas.jobs import JobCreate
from madang.server.identity import users
from madang.server.workloads import jobs
from tests.e2e.conftest import WIDE, PortalServer, keep_picture
from tests.server.portal.test_job_request import request_of_command_line

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.e2e

LogIn = Callable[..., "Page"]


def api(portal: PortalServer, path: str, person: str = "member") -> Any:
    async def get() -> Any:
        async with portal.people.client(person) as client:
            answer = await client.get(f"/api/v1/{path}")
            return answer.json() if answer.is_success else answer.status_code

    return portal.run(get)


def run_job(portal: PortalServer, name: str, **options: Any) -> str:
    async def create() -> str:
        member = await portal.people.principal("member")
        request = JobCreate(["sleep", "1"], name=name, project="vision", **options)
        return (await jobs.create_job(portal.people.context, member, request)).id

    job_id: str = portal.run(create)
    return job_id


def state_of(portal: PortalServer, job_id: str) -> str:
    return str(api(portal, f"jobs/{job_id}")["job"]["state"])


class TestLogin:
    @pytest.fixture
    def page(self, browser: Browser) -> Any:
        context = browser.new_context(viewport=WIDE)
        context.set_default_timeout(30_000)
        yield context.new_page()
        context.close()

    def test_by_link(self, portal: PortalServer, page: Page) -> None:
        link = portal.run(lambda: portal.login_link("member"))
        page.goto(f"{portal.url}/login?link={link}")
        keep_picture(page, "login-link")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Welcome, member").wait_for()
        page.goto(f"{portal.url}/login?link={link}")
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("This link was used already").wait_for()

    def test_by_password_and_on_to_where_one_wanted(
        self, portal: PortalServer, page: Page
    ) -> None:
        async def set_password() -> None:
            admin = await portal.people.principal("admin")
            await users.create_user(
                portal.people.context, admin, "mina", password="a long password"
            )

        portal.run(set_password)
        page.goto(f"{portal.url}/jobs?state=failed")
        keep_picture(page, "login")
        page.get_by_label("Name").fill("mina")
        page.get_by_label("Password").fill("not this one")
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("Name or password is wrong").wait_for()
        keep_picture(page, "login-error")
        assert page.get_by_label("Name").input_value() == "mina"
        page.get_by_label("Password").fill("a long password")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{portal.url}/jobs?state=failed")

    @pytest.mark.parametrize(
        "wanted", ["/%09/evil.test", "%5C%5Cevil.test", "http://[", "data:,x"]
    )
    def test_never_to_another_site(self, portal: PortalServer, page: Page, wanted: str) -> None:
        link = portal.run(lambda: portal.login_link("member"))
        page.goto(f"{portal.url}/login?next={wanted}&link={link}")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Welcome, member").wait_for()
        assert page.url == f"{portal.url}/"

    def test_somebody_without_a_project_is_told_the_way(
        self, portal: PortalServer, page: Page
    ) -> None:
        async def link() -> str:
            admin = await portal.people.principal("admin")
            made = await users.create_user(portal.people.context, admin, "nobodys")
            return await portal.login_link(made.id)

        page.goto(f"{portal.url}/login?link={portal.run(link)}")
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("You are in no project yet").wait_for()
        keep_picture(page, "home-without-project")


class TestJobs:
    def test_launching_asks_for_what_the_form_and_its_command_say(
        self, portal: PortalServer, log_in: LogIn
    ) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/new-job")
        for label, text in (
            ("Command", "python train.py --name 'two words'"),
            ("Name (made from the command when empty)", "from-the-form"),
            ("CPUs for each process", "0.5"),
            ("Memory for each process", "1GiB"),
            ("Folders (FOLDER:/where/inside:ro)", "digits:/data:ro"),
            ("Datasets (NAME@VERSION:VIEW)", "digits@1:train"),
            ("Environment variables", "EPOCHS=10 'NOTE=a b'"),
            ("Time limit in seconds", "90"),
        ):
            page.get_by_label(label, exact=True).fill(text)
        shown = page.locator(".m-command span").first
        page.wait_for_function("document.querySelector('.m-command').innerText.includes('90s')")
        line = shown.inner_text()
        page.wait_for_function("location.search.includes('=90')")  # the address keeps the form
        page.reload()
        assert page.get_by_label("Command", exact=True).input_value().startswith("python train")
        page.get_by_role("button", name="Run", exact=True).click()
        page.wait_for_url(re.compile("/jobs/job-.*tab=logs"))
        job_id = page.url.rpartition("/")[2].partition("?")[0]
        asked = api(portal, f"jobs/{job_id}")["request"]
        assert asked["command"] == ["python", "train.py", "--name", "two words"]
        assert asked["environment_variables"] == {"EPOCHS": "10", "NOTE": "a b"}
        assert asked["mounts"] == [{"folder": "digits", "target": "/data", "read_only": True}]
        parsed = request_of_command_line(shlex.split(line))
        assert parsed.name == asked["name"] == "from-the-form"
        assert parsed.datasets == asked["datasets"]
        assert parsed.environment_variables == asked["environment_variables"]
        assert parsed.time_limit_s == asked["time_limit_s"] == 90

    def test_a_running_job_is_cancelled_and_run_again(
        self, portal: PortalServer, log_in: LogIn
    ) -> None:
        job_id = run_job(portal, "to-cancel")
        page = log_in("member")
        page.goto(f"{portal.url}/jobs/{job_id}")
        page.locator(".m-head .m-chip", has_text="running").wait_for()
        page.get_by_role("button", name="Cancel").click()
        page.locator(".m-head .m-chip", has_text="cancelled").wait_for()
        assert page.get_by_text("was cancelled by member").first.is_visible()
        page.get_by_role("button", name="Cancel").wait_for(state="detached")
        page.get_by_role("button", name="Run again").click()
        page.wait_for_url(lambda url: job_id not in url)
        copy = page.url.rpartition("/")[2]
        assert api(portal, f"jobs/{copy}")["request"]["command"] == ["sleep", "1"]

    def test_chosen_jobs_are_cancelled_by_keyboard_together(
        self, portal: PortalServer, log_in: LogIn
    ) -> None:
        ids = [run_job(portal, f"bulk-{number}", resources={"gpu": 4}) for number in range(3)]
        page = log_in("member")
        page.goto(f"{portal.url}/jobs?name=bulk-")
        page.locator("tbody tr").nth(2).wait_for()
        for key in ("j", "x", "j", "x"):
            page.keyboard.press(key)
        assert page.locator("tbody input.pick:checked").count() == 2
        page.get_by_role("button", name="Cancel chosen").click()
        page.get_by_text("Asked 2 jobs to stop.").wait_for()
        page.wait_for_function("document.querySelectorAll('tbody .m-chip.off').length === 2")
        assert [state_of(portal, job_id) for job_id in reversed(ids[1:])] == ["cancelled"] * 2
        assert state_of(portal, ids[0]) == "pending"
        page.get_by_role("heading", name="Jobs").click()
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(f"/jobs/{ids[1]}"))

    def test_filters_are_in_the_address(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/jobs")
        page.get_by_label("Any state").select_option("failed")
        page.wait_for_url(re.compile("state=failed"))
        page.get_by_label("Search by name").fill("eval")
        page.wait_for_url(re.compile("name=eval"))
        page.reload()
        page.get_by_role("link", name="evaluate-2").wait_for()
        assert page.locator("tbody tr").count() == 1
        assert page.get_by_label("Any state").input_value() == "failed"
        page.get_by_label("Search by name").fill("no such job")
        page.get_by_text("Nothing matches").wait_for()
        page.get_by_role("link", name="Clear the filters").click()
        page.get_by_role("link", name="train-digits").wait_for()

    def test_a_new_job_appears_by_itself(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/jobs")
        page.get_by_role("link", name="train-digits").wait_for()
        page.wait_for_timeout(300)
        run_job(portal, "appears-by-itself")
        page.get_by_role("link", name="appears-by-itself").wait_for()

    def test_the_log_is_shown_as_it_is_written(self, portal: PortalServer, log_in: LogIn) -> None:
        job_id = run_job(portal, "writes")
        content = portal.content

        async def task_id() -> str:
            await content.platform.until_state(job_id, WorkloadState.RUNNING)
            return (await content.platform.tasks(job_id))[0].id

        task = portal.run(task_id)

        async def write(text: str) -> None:
            content.logs.write(task, text)

        page = log_in("member")
        page.goto(f"{portal.url}/jobs/{job_id}?tab=logs")
        log = page.get_by_role("log")
        log.wait_for()
        portal.run(lambda: write("first <b>line</b>\n"))
        log.get_by_text("first <b>line</b>").wait_for()
        portal.run(lambda: write("10 %\r50 %\r\x1b[32m100 %\x1b[0m\nlast"))
        log.get_by_text("last").wait_for()
        assert log.inner_text() == "first <b>line</b>\n100 %\nlast"
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert "50 %" in download.value.path().read_text()

    def test_what_waits_is_told_in_the_top_bar(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/models")
        page.get_by_role("link", name="waiting").click()
        page.wait_for_url(re.compile(r"/jobs\?state=pending"))
        page.get_by_text("waits until all 4 tasks fit at once").first.wait_for()


class TestFiles:
    def test_a_folder_is_made_filled_browsed_and_downloaded(
        self, portal: PortalServer, log_in: LogIn, tmp_path: Path
    ) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/data")
        page.get_by_role("button", name="New folder").click()
        page.get_by_label("Name").fill("from-the-browser")
        page.get_by_label("Name").press("Enter")
        page.get_by_text("Nothing is in here").wait_for()
        small, large = tmp_path / "small 파일.txt", tmp_path / "large.bin"
        small.write_text("안녕")
        large.write_bytes(bytes(range(256)) * (20 * 2**20 // 256))
        page.locator("input[type=file]").set_input_files([small, large])
        page.get_by_text("2 uploaded.").wait_for()
        page.get_by_role("link", name="large.bin").wait_for()
        keep_picture(page, "folder-uploaded")
        with page.expect_download() as download:
            page.get_by_role("link", name="small 파일.txt").click()
        assert download.value.suggested_filename == "small 파일.txt"
        assert download.value.path().read_text() == "안녕"
        with page.expect_download() as download:
            page.get_by_role("button", name="Download all").click()
        with tarfile.open(download.value.path()) as archive:
            sizes = {member.name.rpartition("/")[2]: member.size for member in archive}
        assert sizes["large.bin"] == large.stat().st_size

    def test_what_is_there_is_replaced_only_when_asked(
        self, portal: PortalServer, log_in: LogIn, tmp_path: Path
    ) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/data/folders/{portal.content.folder}")
        page.get_by_role("link", name="README.md").wait_for()
        readme = tmp_path / "README.md"
        readme.write_text("other")
        page.locator("input[type=file]").set_input_files(readme)
        page.get_by_text("A file of this name is there already.").wait_for()
        page.get_by_role("button", name="Replace it").click()
        page.get_by_text("1 uploaded.").wait_for()

    def test_what_is_removed_can_be_restored(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/data/folders/{portal.content.folder}?path=train/9")
        page.get_by_label("Choose 0001.png").check()
        page.get_by_role("button", name="Remove chosen").click()
        page.get_by_role("link", name="0001.png").wait_for(state="detached")
        page.get_by_role("link", name="Trash", exact=True).click()
        page.get_by_label("Choose train/9/0001.png").check()
        page.get_by_role("button", name="Restore chosen").click()
        page.get_by_text("The trash is empty").wait_for()

    def test_large_work_runs_as_a_job_and_shows_its_command(
        self, portal: PortalServer, log_in: LogIn
    ) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/data/folders/{portal.content.folder}?path=train")
        page.get_by_label("Choose 8", exact=True).check()
        page.get_by_role("button", name="Copy chosen").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Copy them").click()
        dialog.get_by_text("it is not said where to").wait_for()
        dialog.get_by_label("Into which directory").fill("bare/from-digits")
        line = "madang files cp -rp --resume -t folder:bare/from-digits folder:digits/train/8"
        dialog.get_by_text(line, exact=True).wait_for()
        keep_picture(page, "copy-chosen")
        dialog.get_by_role("button", name="Copy them").click()
        page.wait_for_url(re.compile("/jobs/job-"))
        job = api(portal, f"jobs/{page.url.rpartition('/')[2].partition('?')[0]}")["job"]
        assert job["name"] == "files-cp"

    def test_a_folder_is_removed_by_its_name(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/data?new=folder")
        page.get_by_label("Name").fill("to-remove")
        page.get_by_label("Name").press("Enter")
        page.get_by_role("button", name="Remove", exact=True).click()
        page.get_by_label("Type to-remove to confirm").fill("something else")
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        page.get_by_text("That is not the name.").wait_for()
        keep_picture(page, "remove-by-name")
        page.get_by_label("Type to-remove to confirm").fill("to-remove")
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        page.wait_for_url(re.compile("tab=trash"))
        page.get_by_role("cell", name="to-remove", exact=True).wait_for()


class TestEndpoints:
    def test_a_model_is_deployed_and_deleted_by_name(
        self, portal: PortalServer, log_in: LogIn
    ) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/models/digits")
        page.get_by_role("link", name="Deploy", exact=True).click()
        name = page.get_by_label("Name of the endpoint")
        assert name.input_value() == "digits"
        name.fill("from-the-form")
        page.get_by_label("Environment (that of the training job when empty)").fill("vision")
        page.get_by_text("madang endpoint deploy from-the-form").wait_for()
        keep_picture(page, "endpoint-deploy")
        page.get_by_role("button", name="Deploy", exact=True).click()
        page.get_by_role("heading", name="from-the-form").wait_for()
        made = api(portal, "endpoints/from-the-form?project=vision")
        assert made["revision"]["model"] == "digits/2"
        page.get_by_role("button", name="Delete").click()
        page.get_by_label("Type from-the-form to confirm").fill("from-the-form")
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        page.wait_for_url(f"{portal.url}/endpoints")

    def test_a_ready_one_is_tried(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/endpoints/digits?tab=try")
        request = page.get_by_label("Request")
        page.wait_for_function("document.getElementById('try-request')?.value.includes('data')")
        assert '"shape"' in request.input_value()
        page.get_by_role("button", name="Send").click()
        page.get_by_text("200 after").wait_for()
        assert "outputs" in page.locator("#try-answer").inner_text()
        keep_picture(page, "endpoint-try")

    def test_its_log(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/endpoints/digits?tab=logs")
        page.get_by_text("digits/2 is loaded").wait_for()


class TestFrame:
    def test_the_palette_goes_anywhere(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/")
        page.get_by_role("heading", name="Welcome, member").wait_for()
        page.keyboard.press("Control+k")
        page.get_by_label("Go to…").fill("endp")
        keep_picture(page, "palette")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{portal.url}/endpoints")

    def test_the_project_is_switched(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/models")
        page.get_by_role("link", name="digits").wait_for()
        page.get_by_label("Project").select_option("empty")
        page.get_by_text("No models yet").wait_for()

    def test_korean(self, portal: PortalServer, log_in: LogIn) -> None:
        page = log_in("member", language="ko")
        page.goto(f"{portal.url}/jobs/{portal.content.jobs['train-digits']}")
        page.get_by_role("button", name="다시 실행").wait_for()
        assert page.locator("html").get_attribute("lang") == "ko"
        keep_picture(page, "job-korean")
        page.goto(f"{portal.url}/")
        page.get_by_role("heading", name="환영합니다").wait_for()
        keep_picture(page, "home-korean")

    def test_an_unknown_address_is_told_in_words(
        self, portal: PortalServer, log_in: LogIn
    ) -> None:
        page = log_in("member")
        page.goto(f"{portal.url}/no/such/page")
        page.get_by_text("There is nothing here").wait_for()
        keep_picture(page, "not-found")


def test_the_docs_load_nothing_from_elsewhere(portal: PortalServer, log_in: LogIn) -> None:
    page = log_in("member")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{portal.url}/docs")
    page.get_by_text("List jobs").or_(page.get_by_text("/api/v1/jobs").first).first.wait_for()
    assert all(url.startswith((portal.url, "data:")) for url in asked), asked
