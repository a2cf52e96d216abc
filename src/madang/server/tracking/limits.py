"""MLflow's rules for names, values and sizes; what its own server would refuse is refused here."""

from __future__ import annotations

import posixpath
import re

from madang.core.errors import InvalidInput

MAX_KEY_LENGTH = 250
MAX_PARAM_LENGTH = 6_000
MAX_TAG_LENGTH = 8_000
MAX_EXPERIMENT_NAME_LENGTH = 500
MAX_EXPERIMENT_TAG_LENGTH = 20_000
MAX_REGISTRY_TAG_LENGTH = 100_000
MAX_ALIAS_LENGTH = 255
MAX_NAME_LENGTH = 250
MAX_PARAMS_PER_BATCH = 100
MAX_TAGS_PER_BATCH = 100
MAX_METRICS_PER_BATCH = 1_000
MAX_ENTITIES_PER_BATCH = 1_000
MAX_INPUTS_PER_BATCH = 1_000
MAX_DATASET_NAME_LENGTH = 500
MAX_DATASET_DIGEST_LENGTH = 36
MAX_DATASET_SOURCE_LENGTH = 65_535
MAX_DATASET_SCHEMA_LENGTH = 1_048_575
MAX_DATASET_PROFILE_LENGTH = 16_777_215
MAX_INPUT_TAG_KEY_LENGTH = 255
MAX_INPUT_TAG_LENGTH = 500
MAX_LOGGED_MODEL_PARAMS = 100

_KEY = re.compile(r"[/\w.\- :]*")
_ALIAS = re.compile(r"[\w\-]+")
_VERSION_ALIAS = re.compile(r"[vV]\d+")
_LOGGED_MODEL_BAD = set("/:.%\"'")


def check_key(key: str, what: str, limit: int = MAX_KEY_LENGTH) -> str:
    """The name of a metric, parameter or tag. Raises InvalidInput."""
    if not _KEY.fullmatch(key):
        raise InvalidInput(
            f"invalid value {key!r} for the key of a {what}",
            field="key",
            hint="Names may only contain alphanumerics, underscores (_), dashes (-), periods (.),"
            " spaces ( ), colon(:) and slashes (/).",
        )
    if not _is_plain_path(key):
        raise InvalidInput(
            f"invalid value {key!r} for the key of a {what}",
            field="key",
            hint="Names may be treated as files: it must not resolve to another name "
            f"when treated as a path ({posixpath.normpath(key)!r}).",
        )
    return check_length(key, f"{what} key", limit)


def check_length(value: str, what: str, limit: int) -> str:
    if len(value) > limit:
        raise InvalidInput(f"{what} exceeds the maximum length of {limit} characters")
    return value


def shorten(value: str, limit: int) -> str:
    """MLflow cuts the values of run parameters and tags that are too long; so do we."""
    return value[:limit]


def check_experiment_name(name: str) -> str:
    if not name.strip():
        raise InvalidInput(f"invalid experiment name: {name!r}", field="name")
    return check_length(name, "name", MAX_EXPERIMENT_NAME_LENGTH)


def check_model_name(name: str) -> str:
    """The name of a registered model. Raises InvalidInput."""
    if not name.strip() or any(mark in name for mark in "/:@") or not _is_plain_path(name):
        raise InvalidInput(
            f"invalid model name {name!r}",
            field="name",
            hint="Names cannot be empty, or contain '/', ':' or '@'.",
        )
    return check_length(name, "name", MAX_NAME_LENGTH)


def check_logged_model_name(name: str) -> str:
    if not name or _LOGGED_MODEL_BAD & set(name):
        raise InvalidInput(
            f"invalid model name ({name!r}) provided",
            field="name",
            hint="A model name must be a non-empty string without / : . % \" and '.",
        )
    return check_length(name, "name", MAX_NAME_LENGTH)


def check_alias(alias: str) -> str:
    if not _ALIAS.fullmatch(alias):
        raise InvalidInput(
            f"invalid alias name: {alias!r}",
            field="alias",
            hint="Names may only contain alphanumerics, underscores (_), and dashes (-).",
        )
    if alias.lower() == "latest" or _VERSION_ALIAS.fullmatch(alias):
        raise InvalidInput(f"alias name {alias!r} is reserved", field="alias")
    return check_length(alias, "alias", MAX_ALIAS_LENGTH)


def check_batch(metrics: int, params: int, tags: int) -> None:
    """How much one log-batch may hold. Raises InvalidInput."""
    for what, count, limit in (
        ("metrics", metrics, MAX_METRICS_PER_BATCH),
        ("params", params, MAX_PARAMS_PER_BATCH),
        ("tags", tags, MAX_TAGS_PER_BATCH),
        ("metrics, params, and tags", metrics + params + tags, MAX_ENTITIES_PER_BATCH),
    ):
        if count > limit:
            raise InvalidInput(
                f"a batch logging request can contain at most {limit} {what}; got {count}",
                hint=f"Split up {what} across multiple requests and try again.",
            )


def _is_plain_path(name: str) -> bool:
    plain = posixpath.normpath(name)
    return plain == name and plain != "." and not plain.startswith(("..", "/"))
