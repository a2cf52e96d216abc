"""`madang dataset …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from madang.cli._output import (
    JsonOption,
    LimitOption,
    ProjectOption,
    ago,
    connect,
    print_item,
    print_json,
    print_list,
)

if TYPE_CHECKING:
    from madang.schemas.datasets import Dataset, DatasetVersion

app = typer.Typer(help="Datasets: versions of a folder's files.", no_args_is_help=True)

DatasetArgument = Annotated[str, typer.Argument(help="Dataset: name, PROJECT/NAME or id.")]


@app.command("create")
def create_dataset(
    name: Annotated[str, typer.Argument(help="Its name.")],
    source: Annotated[
        str, typer.Option("--from", help="folder:NAME or folder:NAME/PATH; PATH holds its files.")
    ],
    description: Annotated[str, typer.Option(help="What it is.")] = "",
    save: Annotated[bool, typer.Option("--save/--no-save", help="Save a version now.")] = True,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name a folder's files as a dataset, and save version 1 of them."""
    folder, path = parse_source(source)
    with connect(project) as client:
        dataset = client.datasets.create(name, folder, path, save=save, description=description)
    if as_json:
        print_json(dataset)
        return
    _print_dataset(dataset)


@app.command("version")
def create_version(
    dataset: DatasetArgument, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Save what its files are now; the same content again is the same version."""
    with connect(project) as client:
        version = client.datasets.create_version(dataset)
    if as_json:
        print_json(version)
        return
    _print_version(version)


@app.command("list")
def list_datasets(
    limit: LimitOption = 50, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Show the datasets that you see."""
    with connect(project) as client:
        page = client.datasets.list(limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda dataset: dataset.name,
            "PROJECT": lambda dataset: dataset.project,
            "FROM": _source,
            "NEWEST": lambda dataset: dataset.latest and dataset.latest.ref,
            "FILES": lambda dataset: dataset.latest and f"{dataset.latest.num_items:,}",
            "VIEWS": lambda dataset: ", ".join(view.name for view in dataset.views),
            "CREATED": lambda dataset: ago(dataset.created_at),
        },
        as_json=as_json,
        empty="No datasets yet: `madang dataset create NAME --from folder:FOLDER`.",
    )


@app.command("show")
def show_dataset(
    dataset: DatasetArgument,
    version: Annotated[
        int | None, typer.Option("--version", "-v", help="Its number; the newest if not.")
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a dataset: classes and counts, sizes, formats, views."""
    with connect(project) as client:
        found = client.datasets.get(dataset)
        shown = found.latest
        if version is not None:
            shown = client.datasets.version(found.id, version)
    if as_json:
        print_json(shown if version is not None else found)
        return
    _print_dataset(found, shown)


@app.command("versions")
def list_versions(
    dataset: DatasetArgument,
    limit: LimitOption = 50,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the versions of a dataset."""
    from madang.core.resources import format_bytes

    with connect(project) as client:
        page = client.datasets.versions(dataset, limit=limit)
    print_list(
        page.items,
        {
            "REF": lambda version: version.ref,
            "FILES": lambda version: f"{version.num_items:,}",
            "SIZE": lambda version: format_bytes(version.total_bytes),
            "CLASSES": lambda version: len(version.report.classes),
            "DIGEST": lambda version: version.digest[:12],
            "BY": lambda version: version.created_by,
            "SAVED": lambda version: ago(version.created_at),
        },
        as_json=as_json,
        empty=f"No version yet: `madang dataset version {dataset}`.",
    )


@app.command("view")
def hold_out(
    dataset: DatasetArgument,
    hold_out: Annotated[
        str, typer.Option("--hold-out", help="The view to hold out and its part: test=0.2.")
    ] = "test=0.2",
    rest: Annotated[str, typer.Option(help="The view with everything else.")] = "train",
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another split.")] = 0,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Split a dataset in two views; a file stays on its side as data arrives."""
    name, fraction = parse_hold_out(hold_out)
    with connect(project) as client:
        page = client.datasets.hold_out(dataset, fraction, name=name, rest=rest, seed=seed)
    print_list(
        page.items,
        {
            "VIEW": lambda view: f"{dataset}:{view.name}",
            "PART": lambda view: f"{view.end - view.start:.0%}",
            "SEED": lambda view: view.seed,
        },
        as_json=as_json,
        empty="",
    )


def parse_source(source: str) -> tuple[str, str]:
    """`folder:digits/train` → folder `digits` and the path `train` in it."""
    from madang.core.errors import InvalidInput

    kind, separator, rest = source.partition(":")
    folder, _, path = rest.partition("/")
    if kind != "folder" or not separator or not folder:
        raise InvalidInput(
            f"{source!r} is not a source",
            field="from",
            hint="Write folder:NAME or folder:NAME/PATH.",
        )
    return folder, path


def parse_hold_out(text: str) -> tuple[str, float]:
    """`test=0.2` → the view `test` with a fifth of the items."""
    from madang.core.errors import InvalidInput

    name, separator, part = text.partition("=")
    try:
        fraction = float(part)
    except ValueError:
        separator = ""
    if not name or not separator:
        raise InvalidInput(f"{text!r} is not a part", field="hold_out", hint="Write test=0.2.")
    return name, fraction


def _print_dataset(dataset: Dataset, version: DatasetVersion | None = None) -> None:
    version = version or dataset.latest
    print_item(
        dataset,
        as_json=False,
        lines=[
            ("name", f"{dataset.project}/{dataset.name}"),
            ("id", dataset.id),
            ("from", _source(dataset)),
            ("views", ", ".join(f"{v.name} {v.end - v.start:.0%}" for v in dataset.views)),
            ("created", dataset.created_at),
            ("description", dataset.description),
        ],
    )
    if version is not None:
        print()
        _print_version(version)


def _print_version(version: DatasetVersion) -> None:
    from madang.core.resources import format_bytes

    report = version.report
    sizes = report.sizes
    formats = ", ".join(f"{name or 'none'} {count:,}" for name, count in report.formats.items())
    skipped = ", ".join(f"{count:,} {what}" for what, count in report.skipped.items())
    print_item(
        version,
        as_json=False,
        lines=[
            ("version", version.ref),
            ("files", f"{version.num_items:,}, {format_bytes(version.total_bytes)}"),
            (
                "sizes",
                f"{format_bytes(sizes.min)} to {format_bytes(sizes.max)}, "
                f"median {format_bytes(sizes.median)}",
            ),
            ("formats", formats),
            ("passed over", skipped),
            ("imbalance", f"{report.imbalance:g}" if report.imbalance else None),
            ("listing", None if report.stable else "files changed while they were listed"),
            ("digest", version.digest[:16]),
            ("saved", version.created_at),
        ],
    )
    if report.classes:
        print()
        classes = [*report.classes]
        print_list(
            classes,
            {
                "CLASS": lambda entry: entry.name,
                "FILES": lambda entry: f"{entry.count:,}",
                "SHARE": lambda entry: f"{entry.count / version.num_items:.1%}",
                "SIZE": lambda entry: format_bytes(entry.num_bytes),
            },
            as_json=False,
            empty="",
        )
    if report.unlabelled:
        print(f"{report.unlabelled:,} files have no class: they are not in a class folder.")


def _source(dataset: Dataset) -> str:
    return f"folder:{dataset.folder}" + (f"/{dataset.path}" if dataset.path else "")
