"""The page `/docs`: Swagger UI over our own OpenAPI description, served from here alone."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

ASSETS = "/docs/assets"


def add_docs_page(app: FastAPI) -> None:
    """Serve `/docs` with the script, style and icon that the package `fastapi-swagger` ships, so
    that it works where there is no internet."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Madang API",
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon-32x32.png",
            swagger_ui_parameters={"filter": True, "defaultModelsExpandDepth": -1},
        )

    app.mount(ASSETS, StaticFiles(packages=[("fastapi_swagger", "resources")]))
