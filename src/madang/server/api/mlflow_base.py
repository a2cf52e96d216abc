"""What the routes of MLflow's protocol share: reading its messages, its errors, its paging.

The routes exist twice: as they are, for the project of the token (or the only one, or the one in
`?project=`), and below `/projects/PROJECT`, so that `http://HOST/projects/PROJECT` can be a
tracking URI.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from madang.core.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    MadangError,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from madang.server.api.deps import Actor, Context, permission_of
from madang.server.api.text import check_whole_characters
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.projects import PROJECT_UNCLEAR, resolve_project

MAX_BODY_BYTES = 32 * 2**20
_TRACKING_URI = (
    "Name it in the tracking URI: {base}projects/NAME. `madang project list` shows yours."
)
_INT64 = range(-(2**63), 2**63)

ERROR_CODES: list[tuple[type[MadangError], str, int]] = [
    (InvalidInput, "INVALID_PARAMETER_VALUE", 400),
    (Unauthenticated, "UNAUTHENTICATED", 401),
    (Forbidden, "PERMISSION_DENIED", 403),
    (NotFound, "RESOURCE_DOES_NOT_EXIST", 404),
    (Conflict, "RESOURCE_ALREADY_EXISTS", 400),
    (RateLimited, "REQUEST_LIMIT_EXCEEDED", 429),
    (Unsupported, "NOT_IMPLEMENTED", 501),
    (Unavailable, "TEMPORARILY_UNAVAILABLE", 503),
    (MadangError, "INVALID_PARAMETER_VALUE", 400),
]
"""Our errors in MLflow's words, with the status that its own server answers."""

VIEW_STAGES = {
    "ACTIVE_ONLY": ("active",),
    "DELETED_ONLY": ("deleted",),
    "ALL": ("active", "deleted"),
}
_VIEW_NUMBERS = {1: "ACTIVE_ONLY", 2: "DELETED_ONLY", 3: "ALL"}


class MlflowRoute(APIRoute):
    """A route whose errors are MLflow's."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except InvalidInput as error:
                if error.field == "project" and error.message == PROJECT_UNCLEAR:
                    error.hint = _TRACKING_URI.format(base=str(request.base_url))
                return error_response(error)
            except MadangError as error:
                return error_response(error)

        return handler


def error_response(error: MadangError) -> JSONResponse:
    code, status = next(
        (code, status) for kind, code, status in ERROR_CODES if isinstance(error, kind)
    )
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return JSONResponse({"error_code": code, "message": str(error)}, status, headers=headers)


class Message:
    """A request's fields, as MLflow's protobuf JSON has them: numbers may be strings.

    Raises InvalidInput that names the field whenever one is missing or of the wrong kind.
    """

    def __init__(self, values: dict[str, Any], prefix: str = "") -> None:
        self._values = values
        self._prefix = prefix

    def text(self, *names: str) -> str:
        """A field that must be there; further names are older spellings of it."""
        found = next((value for name in names if (value := self.text_or_none(name))), None)
        if found is None:
            raise InvalidInput(
                f"missing value for required parameter '{self._prefix}{names[0]}'", field=names[0]
            )
        return found

    def text_or_none(self, name: str) -> str | None:
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return None if value is None else _check_text(value, self._prefix + name)
        raise self._wrong(name, "a string")

    def text_or_empty(self, name: str) -> str:
        return self.text_or_none(name) or ""

    def integer(self, name: str) -> int | None:
        value = self._values.get(name)
        if isinstance(value, str):
            try:
                value = int(value)
            except ValueError:
                raise self._wrong(name, "an integer") from None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None or (type(value) is int and value in _INT64):
            return value
        raise self._wrong(name, "an integer of 64 bits")

    def number(self, name: str) -> float:
        value = self._values.get(name)
        if value is None:
            raise InvalidInput(f"missing value for required parameter '{self._prefix}{name}'")
        if isinstance(value, str) or type(value) in (int, float):
            try:
                return float(value)
            except (ValueError, OverflowError):
                pass
        raise self._wrong(name, "a valid double (64-bit floating point)")

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        if value in ("true", "True", "false", "False"):
            return str(value).lower() == "true"
        raise self._wrong(name, "true or false")

    def texts(self, name: str) -> list[str]:
        values = self._list(name)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(name, "a list of strings")
        return [_check_text(value, self._prefix + name) for value in values]

    def messages(self, name: str) -> list[Message]:
        values = self._list(name)
        if not all(isinstance(value, dict) for value in values):
            raise self._wrong(name, "a list of objects")
        return [
            Message(value, f"{self._prefix}{name}[{index}].") for index, value in enumerate(values)
        ]

    def message(self, name: str) -> Message:
        value = self._values.get(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return Message(value, f"{self._prefix}{name}.")

    def pairs(self, name: str) -> list[tuple[str, str]]:
        """A list of `{"key": …, "value": …}`; a value left out is empty."""
        return [
            (item.text_or_empty("key"), item.text_or_empty("value"))
            for item in self.messages(name)
        ]

    def enum(self, name: str, numbers: dict[int, str]) -> str | None:
        """A protobuf enum, by name or by number."""
        value = self._values.get(name)
        if isinstance(value, str) and not value.isdecimal():
            return _check_text(value, self._prefix + name)
        number = self.integer(name)
        if number is not None and number not in numbers:
            raise self._wrong(name, f"one of {', '.join(numbers.values())}")
        return None if number is None else numbers[number]

    def stages(self, name: str) -> tuple[str, ...]:
        """The life cycle stages that a view type means."""
        view = self.enum(name, _VIEW_NUMBERS) or "ACTIVE_ONLY"
        if view not in VIEW_STAGES:
            raise self._wrong(name, f"one of {', '.join(VIEW_STAGES)}")
        return VIEW_STAGES[view]

    def limit(self, default: int, most: int) -> int:
        value = self.integer("max_results")
        if value is None or value == 0:
            return default
        if not 0 < value <= most:
            raise InvalidInput(
                f"invalid value for request parameter max_results: {value}",
                field="max_results",
                hint=f"It must be at least 1 and at most {most}.",
            )
        return value

    def offset(self) -> int:
        """How many results earlier pages had."""
        token = self.text_or_none("page_token")
        if not token:
            return 0
        offset = read_token(token)
        if type(offset) is not int or not 0 <= offset < 2**62:
            raise InvalidInput(f"invalid page token {token!r}", field="page_token")
        return offset

    def _list(self, name: str) -> list[Any]:
        value = self._values.get(name)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        if isinstance(value, str):
            return [value]  # a query parameter that was given once
        raise self._wrong(name, "a list")

    def _wrong(self, name: str, wanted: str) -> InvalidInput:
        return InvalidInput(
            f"invalid value {self._values.get(name)!r:.100} for parameter "
            f"'{self._prefix}{name}' supplied: it must be {wanted}",
            field=name,
        )


@dataclass(frozen=True, slots=True)
class MlflowCall:
    """A request: who asks (within the project of the path, when it names one), and what."""

    context: ServerContext
    actor: Principal
    message: Message


async def mlflow_actor(request: Request, context: Context, actor: Actor) -> Principal:
    """Whose request it is, narrowed to the project that the address names. Raises Forbidden
    when her role there is too low for the route."""
    project = request.path_params.get("project") or request.query_params.get("project")
    if project is None:
        return actor
    async with context.db.read() as session:
        found = await resolve_project(session, actor, project)
    for dependency in request.scope["route"].dependencies:
        if permission := permission_of(dependency.dependency):
            actor.require(permission, found.id)
    return replace(actor, project_id=found.id)


MlflowActor = Annotated[Principal, Depends(mlflow_actor)]


async def _read_call(request: Request, context: Context, actor: MlflowActor) -> MlflowCall:
    values = {
        name: items[0] if len(items := request.query_params.getlist(name)) == 1 else items
        for name in request.query_params
    }
    body = await _read_body(request)
    if body:
        check_whole_characters(body)
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            raise InvalidInput("the request's body is not valid JSON") from None
        if not isinstance(parsed, dict):
            raise InvalidInput("the request's body is not a JSON object")
        values |= parsed
    return MlflowCall(context, actor, Message(values))


Call = Annotated[MlflowCall, Depends(_read_call)]


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise InvalidInput(
                f"the request is larger than {MAX_BODY_BYTES} bytes", hint="Send it in parts."
            )
    return bytes(body)


def answer(values: dict[str, Any]) -> JSONResponse:
    """An answer; what is None or an empty list is left out, as protobuf does."""
    return JSONResponse({k: v for k, v in values.items() if v is not None and v != []})


def page(name: str, found: Sequence[Any], limit: int, offset: int, to_message: Any) -> Response:
    """A page of results: `found` holds one more than `limit` when there are more."""
    shown = [to_message(item) for item in found[:limit]]
    more = len(found) > limit
    return answer({name: shown, "next_page_token": write_token(offset + limit) if more else None})


def write_token(position: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def read_token(token: str) -> Any:
    """What `write_token` was given. Raises InvalidInput for anything else."""
    try:
        return json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, RecursionError):
        raise InvalidInput(f"invalid page token {token!r}", field="page_token") from None


def number_json(value: float) -> float | str:
    """A double in protobuf's JSON, which has words for what JSON lacks."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _check_text(value: str, name: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        storable = False
    else:
        storable = "\0" not in value
    if not storable:
        raise InvalidInput(f"parameter '{name}' holds characters that can't be stored", field=name)
    return value
