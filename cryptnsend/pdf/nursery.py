"""What does the process do that makes a document? It sets the pages, puts the files in, and locks the whole.

Where it comes from, and what it cannot do, is in cryptnsend/confined. It may read files, since fonts are files.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import BinaryIO

import msgspec
from fontTools.ttLib import tables
from PIL import Image

from cryptnsend.confined import nursery
from cryptnsend.pdf import locking, setting
from cryptnsend.pdf.document import LOGO, Document, Enclosed

# One of everything: what is loaded for it is there when nothing can be imported any more, because whoever works may
# not read where the program lies.
_SAMPLE = """<html lang="en"><title>x</title><style>@page{@bottom-left{content:counter(page)}}.f{display:flex}\
.s{font-variant:small-caps}</style><h1>x</h1><div class="f"><p>a <b>b</b> <i>c</i> <b><i>d</i></b></p><pre>e</pre>\
</div><table><tr><th>f<td>g</table><ul><li>h</ul><ol><li>i</ol><a href="https://x.example/">j</a><hr><p class="s">k</p>\
<p>\u0416 \u03a9 \u05d0 \u0639 \u0939 \u0e01 \u4e2d \u3042 \uac00 \U0001f600</p><p dir="rtl">l</p><sup>m</sup>%s"""

_DRAWING = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><defs><linearGradient id="a"><stop offset="0" \
stop-color="#123"/><stop offset="1" stop-color="#456"/></linearGradient><clipPath id="b"><circle r="3"/></clipPath>\
</defs><g transform="rotate(9)"><path d="M0 0h9v9z" fill="url(#a)" clip-path="url(#b)"/><rect width="3" height="2"/>\
<text y="9">x</text></g></svg>"""


def warm_up() -> None:
    """Do once what would take long, or load something later."""
    for each in iter_modules(tables.__path__, f"{tables.__name__}."):  # fonts load the code of their tables by name
        import_module(each.name)
    pictures = "".join(f'<img alt="x" src="{each}">' for each in _pictures())
    pictures += f'<img alt="x" src="{LOGO}">'
    pages = setting.set_pages(_SAMPLE % pictures, ("image/svg+xml", _DRAWING))
    inner = locking.lock(pages, Document("", "", "x", "", ""), [])
    file = Enclosed("x.pdf", "application/pdf", len(inner))
    locking.lock(pages, Document("", "", "x", "x", "y", (file,)), [inner])


def _pictures() -> Iterator[str]:
    for kind, media_type in setting.FORMATS.items():
        out = io.BytesIO()
        Image.new("RGB", (2, 2)).save(out, kind)
        yield f"data:{media_type};base64,{base64.b64encode(out.getvalue()).decode()}"


def work(encoded: bytes, octets: BinaryIO) -> bytes:
    """Make a document; whatever is raised ends the process, and whoever asked hears that."""
    document = msgspec.msgpack.decode(encoded, type=Document)
    files = [octets.read(each.size) for each in document.files]
    if [len(each) for each in files] != [each.size for each in document.files]:
        raise EOFError("files were cut short")
    pages = setting.set_pages(document.pages or document.plain, (document.logo_type, document.logo))
    return locking.lock(pages, document, files)


if __name__ == "__main__":
    nursery.serve(int(sys.argv[1]), warm_up, work)
