"""`cryptnsend-open`: read a sealed export without a server, a home or a network. docs/vault-format.md §9."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, BinaryIO

import click

from cryptnsend import __version__
from cryptnsend.core import export
from cryptnsend.core.errors import CryptnSendError, SealBroken
from cryptnsend.core.linkedfiles import file_names
from cryptnsend.hardening import harden

DAMAGED, REFUSED = 1, 4  # exit codes, as `cryptnsend` has them


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cryptnsend-open")
@click.argument("sealed", type=click.File("rb"))
@click.argument("output", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), required=False)
@click.option(
    "--files",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for the large files beside the message.",
)
@click.option("--password-stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--check", is_flag=True, help="Verify the file and write nothing.")
def main(sealed: BinaryIO, output: Path | None, folder: Path | None, from_stdin: bool, check: bool) -> None:
    """
    Open SEALED, a file made by `cryptnsend message export --sealed`, and write the message to OUTPUT.

    OUTPUT is a new file that only you can read, or - for standard output. Everything is verified before the first
    octet is written. Large files that rest beside the message go into the folder of --files.

    Exit codes: 0 done; 1 the file is damaged or no sealed export; 2 wrong use of the command line; 4 wrong password.
    """
    if (output is None) is not check:
        raise click.UsageError("Name an OUTPUT, or give --check; not both.")
    try:
        exported, stored = export.read_object(sealed)
        content_keys = exported.content_keys(_password(from_stdin))
        export.verify(exported, content_keys, stored)
        beside = export.read_beside(exported, content_keys, stored)
        for each in beside:
            for _ in each.octets():
                continue
        if output is not None:
            _write(export.open_message(exported, content_keys, stored), stored.size, output)
            _write_files(beside, folder)
    except CryptnSendError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(DAMAGED if isinstance(error, SealBroken) else REFUSED)
    click.echo(f"Message {exported.grant.message} is whole.", err=True)


def _password(from_stdin: bool) -> str:
    """Return the password, never from an argument, where every user of the machine could read it."""
    if not from_stdin:
        return str(click.prompt("Password given at the export", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _write(pieces: Iterable[bytes], size: int, output: Path) -> None:
    try:
        with _new_file(output) as file, click.progressbar(length=size, label="Opening", file=sys.stderr) as bar:
            for piece in pieces:
                file.write(piece)
                bar.update(len(piece))
    except SealBroken:  # the file changed since it was verified: half a message is worse than none
        if str(output) != "-":
            output.unlink()
        raise


def _write_files(beside: Sequence[export.Beside], folder: Path | None) -> None:
    names = file_names([each.file for each in beside])
    if folder is None:
        for name in names:
            click.echo(f"Beside it rests {name}, which was not written. Name a folder with --files.", err=True)
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each, name in zip(beside, names, strict=True):
        _write(each.octets(), each.file.size, folder / name)


def _new_file(output: Path) -> IO[bytes]:
    if str(output) == "-":
        return click.open_file("-", "wb")
    try:
        # Never over another file, and for nobody else's eyes, from the first moment on.
        return os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise click.UsageError(f"{output}: {error.strerror or 'it cannot be written'}.") from None


def run() -> None:
    """Run the program `cryptnsend-open`."""
    harden()
    main(prog_name="cryptnsend-open")


if __name__ == "__main__":
    run()
