"""
One message through everything that looks into it, each in a process of its own with a limit.

Reads names of files from standard input, one a line, and answers each with one line of JSON: CPU milliseconds and MiB
beyond those of the process before, for each of the acts, or by what it was ended. Before all, how long a piece of work
took that is always the same: so much slower than by itself is a machine that has other things to do.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from cryptnsend.core import mime
from cryptnsend.core.addresses import single_author
from cryptnsend.core.automatic import automatic, hops
from cryptnsend.core.bounces import read_bounce
from cryptnsend.core.errors import CryptnSendError
from cryptnsend.core.html_reading import annotate, leads_to, quoted_tail
from cryptnsend.core.html_text import linked
from cryptnsend.core.imap import View
from cryptnsend.core.links import target
from cryptnsend.core.mime_headers import cut_bcc
from cryptnsend.core.mime_lines import LongLines
from cryptnsend.core.seal import Sealer
from cryptnsend.core.subject import strip_token
from cryptnsend.flow.opening import Sealed
from cryptnsend.flow.rendering import files_of, render
from cryptnsend.mailbox.search import TEXT
from cryptnsend.portal.frames import heights
from cryptnsend.portal.words import paragraphs
from cryptnsend.submission.data import Content, Header

BLOCK = 65536
LIMIT = 10.0  # seconds of CPU after which a message is given up
KEY = bytes(32)


class Folder:
    """A vault of one file."""

    def open(self, stored: Any, start: int = 0) -> Iterator[bytes]:
        with open(stored, "rb") as file:
            file.seek(start)
            while block := file.read(BLOCK):
                yield block

    def size(self, stored: Any) -> int:
        return os.path.getsize(stored)


def blocks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            yield block


def take(path: str) -> mime.Index:
    """Do what the door does: find the end, read the header, make the index, seal."""
    content, header, indexer, sealer, long_lines = (
        Content(),
        Header(102_400),
        mime.Indexer(),
        Sealer(KEY, 1, "raw"),
        LongLines(),
    )
    with open(path + ".sealed", "wb") as sealed:
        for block in long_lines.watch(blocks(path)):
            octets = content.feed(block)
            if not header.complete:
                with contextlib.suppress(CryptnSendError):
                    head, octets = header.feed(octets)
                    if header.complete:
                        with contextlib.suppress(CryptnSendError):
                            single_author(head)
                        automatic(head)
                        hops(head)
                        kept, _ = cut_bcc(strip_token(head))
                        octets = kept + octets
            indexer.feed(octets)
            sealed.write(sealer.update(octets))
        sealed.write(sealer.finalize())
    index = indexer.finish()
    index.to_octets()
    return index


def show(path: str, index: mime.Index) -> None:
    """Do what the reading page and its frame do."""
    sealed = Sealed(cast(Any, Folder()), cast(Any, path + ".sealed"), KEY, 1, "raw")
    rendered = render(index, sealed)
    fold = lambda: ("<details>", "</details>")  # noqa: E731
    if rendered.html is not None:
        heights(annotate(rendered.html, lead=_lead, fold=fold))
    else:
        text = rendered.text or ""
        quoted_tail(text)
        annotate(str(paragraphs(text, linked)), lead=_lead, fold=fold)
    files_of(index)


def look(path: str, index: mime.Index) -> None:
    """Do what a mail program's list, a search in it and the door for bounces do."""
    reader = Sealed(cast(Any, Folder()), cast(Any, path + ".sealed"), KEY, 1, "raw").reader()
    view = View(index.to_octets(), lambda at, count: b"".join(reader.read_range(at, count)))
    view.envelope()
    view.bodystructure()
    next(iter(view.texts(TEXT)), "").casefold().find("nowhere")  # a search looks at its time before each text
    read_bounce(b"".join(reader.read_range(0, 256 * 1024)))


def _lead(url: str, words: str) -> str:
    return leads_to(target(url, words, ("mail.example",)), words, "")


def measured(act: Callable[[], Any]) -> tuple[Any, list[float]]:
    """Run and return what it returned, milliseconds of CPU and MiB at the most beyond what there was."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak begins anew
    before, began = _memory("VmRSS"), _cpu()
    result = act()
    return result, [round(1000 * (_cpu() - began)), round((_memory("VmHWM") - before) / 1024)]


def _memory(what: str) -> int:
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition(f"{what}:")[2].split()[0])


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def handle(path: str) -> None:
    """Say what it cost."""
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    index, door = measured(lambda: take(path))
    _, page = measured(lambda: show(path, index))
    _, mailbox = measured(lambda: look(path, index))
    print(json.dumps({"door": door, "page": page, "mailbox": mailbox}), flush=True)


def usual() -> float:
    """Return milliseconds of CPU for work of a known size: words sorted, hashed and joined."""
    began = _cpu()
    words = [f"{n * 7919 % 100_003:x}" for n in range(200_000)]
    " ".join(sorted(words)).encode().translate(None, b"7")
    return 1000 * (_cpu() - began)


def main() -> None:
    """Handle each file in a child, so that none has the caches of another."""
    print(json.dumps(min(usual() for _ in range(5))), flush=True)
    for line in sys.stdin:
        if not (child := os.fork()):
            try:
                handle(line.rstrip("\n"))
            except BaseException as error:
                print(json.dumps({"failed": repr(error)[:200]}), flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            print(json.dumps({"failed": f"ended by signal {status & 127}"}), flush=True)


if __name__ == "__main__":
    main()
