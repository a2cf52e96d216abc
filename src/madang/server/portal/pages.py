"""All pages, and the application that they hang on."""

from __future__ import annotations

import logging

from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import ui

from madang.server.context import ServerContext
from madang.server.portal import (
    cluster,
    data,
    dataset,
    endpoint,
    endpoints,
    folder,
    home,
    job,
    job_form,
    jobs,
    login,
    models,
    queue,
    queues,
)

PAGES = (
    home, jobs, job_form, job, data, folder, dataset, models, endpoints, endpoint, cluster, queues,
    queue,
)  # fmt: skip
"""Modules whose import registers their pages."""


def create_host(context: ServerContext) -> FastAPI:
    """The application of the portal; importing the pages has registered them with NiceGUI."""
    nicegui_app.state.context = context  # what `request.app` is in a page
    logging.getLogger("nicegui").setLevel(logging.WARNING)
    nicegui_app.add_exception_handler(404, login.not_found_page)
    host = FastAPI(openapi_url=None)
    host.include_router(login.router)
    ui.run_with(
        host,
        title="Madang",
        favicon=FAVICON,
        dark=None,
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=30.0,
        show_welcome_message=False,
    )
    return host


FAVICON = (
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>"
    "<rect width='16' height='16' rx='3' fill='%231F6F5C'/>"
    "<path d='M4 12V5l4 4 4-4v7' fill='none' stroke='white' stroke-width='1.6'/></svg>"
)
