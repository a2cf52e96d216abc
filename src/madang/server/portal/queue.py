"""One queue: the arithmetic of its share, and who waits in it, why and until when."""

from __future__ import annotations

from html import escape

from nicegui import ui

from madang.schemas.queues import Queue, QueueExplanation, ShareLine, WaitingJob
from madang.server.portal.components import command, facts, html, link_button, note, plain_table
from madang.server.portal.dialogs import button
from madang.server.portal.frame import header, page
from madang.server.portal.history import duration_words
from madang.server.portal.live import refresh_on
from madang.server.portal.queue_dialogs import Draw, delete_queue, edit_queue
from madang.server.portal.queue_request import amounts_text
from madang.server.portal.queue_tree import all_queues, amount_words
from madang.server.portal.session import PortalSession

FIRST = 100
MOST = 1000
"""Of those that wait: how many are shown at first, and at all."""

QUIET_S = 2.0


@page("/queues/{queue}", title="Queue", section="/queues")
async def queue_page(session: PortalSession) -> None:
    say = session.say
    limit = MOST if session.query.get("all") else FIRST
    explanation = await session.everywhere.queues.explain(
        session.path_values["queue"], limit=limit
    )
    queue = explanation.queue
    with header(queue.name) as state:
        if queue.can_write:
            button(say("Change"), lambda: _edit(session, explanation, draw))
            button(say("Delete"), lambda: delete_queue(session, queue, _leave), "danger")
    body = ui.element("div")

    async def draw() -> None:
        nonlocal explanation
        explanation = await session.everywhere.queues.explain(queue.id, limit=limit)
        state.set_content(escape(_sentence(session, explanation)))
        body.clear()
        with body:
            _draw(session, explanation, limit)

    await draw()
    refresh_on(session, ("queue:", "workload:"), draw, quiet_s=QUIET_S)


async def _edit(session: PortalSession, explanation: QueueExplanation, draw: Draw) -> None:
    policy = await session.client.scheduling.policy()
    queues = await all_queues(session)
    edit_queue(session, explanation.queue, queues, draw, orderings=policy.orderings)


async def _leave() -> None:
    ui.navigate.to("/queues")


def _sentence(session: PortalSession, explanation: QueueExplanation) -> str:
    queue = explanation.queue
    facts = {"path": queue.path, "running": f"{queue.running:,}", "waiting": f"{queue.waiting:,}"}
    if not queue.open:
        return session.say(
            "{path} is closed, nothing more starts from it. Running: {running}, waiting: "
            "{waiting}.",
            **facts,
        )
    return session.say("{path}. Running: {running}, waiting: {waiting}.", **facts)


def _draw(session: PortalSession, explanation: QueueExplanation, limit: int) -> None:
    say, queue = session.say, explanation.queue
    with ui.element("div").classes("m-card"):
        facts(_facts(session, queue))
    html(f"<h2>{escape(say('Its share'))}</h2>")
    titles = [say("Resource"), say("In use"), say("Guarantee"), say("Fair share"), say("Limit"),
              say("Borrowed"), say("Lent"), say("Could still get"), say("Cluster")]  # fmt: skip
    plain_table(titles, [_share_row(session, line) for line in explanation.shares]).classes(
        "m-numbers"
    )
    html(f"<h2>{escape(say('Who waits'))}</h2>")
    if not explanation.waiting:
        note(say("Nobody waits here"), say("What is submitted to this queue starts at once."))
    else:
        _waiting(session, explanation.waiting)
        if queue.waiting > len(explanation.waiting) and limit < MOST:
            link_button(say("Show the first {count}", count=f"{MOST:,}"), session.link(all="1"))
    html(f"<h2>{escape(say('The same on the command line'))}</h2>")
    project = f" --project {queue.project}" if queue.project else ""
    command(f"madang queue explain {queue.name}{project}", say("Copy"))


def _facts(session: PortalSession, queue: Queue) -> list[tuple[str, str]]:
    say = session.say
    weight = say(
        "{weight:g}: {fair} of the cluster while its siblings want more; it has {share}",
        weight=queue.weight,
        fair=f"{100 * queue.fair_share:.1f} %",
        share=f"{100 * queue.share:.1f} %",
    )
    return [
        (say("Weight"), escape(weight)),
        (say("Project"), escape(queue.project or say("the platform's"))),
        (say("Order within"), escape(queue.ordering)),
        (say("Borrows at most"), escape(amounts_text(queue.borrowing_limit))),
        (say("Lends at most"), escape(amounts_text(queue.lending_limit))),
        (
            say("Before a job may be preempted"),
            escape(duration_words(session, queue.min_runtime_s)) if queue.min_runtime_s else "",
        ),
        (say("What for"), escape(queue.description)),
        (say("Id"), f'<code class="m-mono">{escape(queue.id)}</code>'),
    ]


def _share_row(session: PortalSession, line: ShareLine) -> tuple[str, ...]:
    def words(amount: float | None) -> str:
        if amount is None:
            return f'<span class="m-muted">{escape(session.say("no bound"))}</span>'
        return escape(amount_words(line.resource, amount)) if amount else "–"

    return (
        escape(line.resource),
        words(line.used),
        words(line.guarantee),
        words(line.fair),
        words(line.limit),
        words(line.borrowed),
        words(line.lent),
        words(line.available),
        words(line.cluster),
    )


def _waiting(session: PortalSession, waiting: list[WaitingJob]) -> None:
    say = session.say
    plain_table(
        ["#", say("Job"), say("By"), say("Priority"), say("Why it waits"), say("Expected start")],
        [_waiting_row(session, job) for job in waiting],
        hrefs=[f"/jobs/{job.job_id}" if job.job_id else "" for job in waiting],
    )


def _waiting_row(session: PortalSession, job: WaitingJob) -> tuple[str, ...]:
    say = session.say
    if job.job_id:
        name = f'<a href="/jobs/{escape(job.job_id)}">{escape(job.name)}</a>'
    else:
        name = f'<span class="m-muted">{escape(say("of another project"))}</span>'
    starts = "–"
    if job.expected_start:
        starts = say("about {time}", time=session.clock(job.expected_start))
    return (
        str(job.position),
        name,
        escape(job.user),
        str(job.priority),
        escape(session.why(job.reason)) if job.reason else "–",
        escape(starts),
    )
