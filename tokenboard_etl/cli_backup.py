"""`tokenboard backup` and `tokenboard restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import filesize

from tokenboard_etl.logs import show_warnings
from tokenboard_etl.settings import load_settings
from tokenboard_etl.terminal import err, out


def backup(
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="A folder outside of TOKENBOARD_HOME.")],
    keep: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Remove all but the N newest backups afterwards.")
    ] = None,
) -> None:
    """Copy everything that cannot be had again, with checksums; of landings only those that are new."""
    from tokenboard_etl.backups import backup as back_up

    settings = load_settings()
    with show_warnings(err):
        done = back_up(settings.home, dest, settings.now, keep_last=keep)
    out.print(
        f"Backed up {done.files} file(s), {filesize.decimal(done.bytes)}, as {done.name}; "
        f"{done.copied_files} of them new or changed, {filesize.decimal(done.copied_bytes)}",
        highlight=False,
    )


def restore(
    src: Annotated[Path, typer.Argument(metavar="SRC", help="The folder backups were taken to.")],
    name: Annotated[str | None, typer.Option("--backup", metavar="NAME", help="Which one; else the newest.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Lose what TOKENBOARD_HOME holds now.")] = False,
) -> None:
    """Put a backup back into TOKENBOARD_HOME, after verifying every checksum."""
    from tokenboard_etl.backups import restore as put_back

    settings = load_settings()
    with show_warnings(err):
        done = put_back(src, settings.home, name=name, replace=replace)
    out.print(
        f"Restored {done.files} file(s), {filesize.decimal(done.bytes)}, of {done.name} into {settings.home}",
        highlight=False,
    )
