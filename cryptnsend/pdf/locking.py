"""What goes into the document besides its pages, and what locks it?

Files stand inside as attachments, as they are. Those that are PDF are set behind the message as pages, too, because
phones show no attachments: only their pages, with what was filled in, and nothing that runs or leads anywhere. Then
all of it is locked by AES-256 (ISO 32000-2, revision 6), names and description included.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import pikepdf
from pikepdf import AttachedFileSpec, Dictionary, Encryption, Name, OutlineItem, Pdf

from cryptnsend.pdf.document import Document, Enclosed

MOST_PAGES = 300  # of one file
MOST_APPENDED = 1000  # of all
US = "CryptnSend"
# What is kept of a stranger's page: how it looks. No links, actions, turns of pages by time, files, thumbnails.
OF_PAGES = frozenset(
    f"/{each}"
    for each in (
        "Type", "Parent", "Resources", "Contents", "MediaBox", "CropBox", "BleedBox", "TrimBox", "ArtBox", "Rotate",
        "UserUnit", "Group",
    )
)  # fmt: skip
ELSEWHERE = ("/F", "/FFilter", "/FDecodeParms", "/Ref", "/OPI")  # of streams


def lock(pages: bytes, document: Document, files: Sequence[bytes]) -> bytes:
    """Return *pages* with *files* in them, locked."""
    appends = document.append and any(each.is_pdf for each in document.files)
    made = _locked(pages, document, files, append=appends)
    return made if len(made) <= document.most or not appends else _locked(pages, document, files, append=False)


def _locked(pages: bytes, document: Document, files: Sequence[bytes], *, append: bool) -> bytes:
    with Pdf.open(io.BytesIO(pages)) as pdf:
        if append:
            _append(pdf, document.files, files)
        for about, octets in zip(document.files, files, strict=True):
            pdf.attachments[about.name] = AttachedFileSpec(
                pdf,
                octets,
                filename=about.name,
                mime_type=about.media_type,
                description="",
                creation_date="",
                mod_date="",
            )
        _say_nothing(pdf, document.title)
        out = io.BytesIO()
        pdf.save(
            out,
            encryption=Encryption(user=document.password, owner=document.second_password, R=6),
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
            deterministic_id=False,
        )
        return out.getvalue()


def _append(pdf: Pdf, files: Sequence[Enclosed], contents: Sequence[bytes]) -> None:
    """Set the pages of those files that are PDF behind the message; what cannot be read stays an attachment."""
    entries: list[OutlineItem] = []
    appended = 0
    for about, octets in zip(files, contents, strict=True):
        if not about.is_pdf:
            continue
        try:
            with Pdf.open(io.BytesIO(octets), suppress_warnings=True) as source:
                count = len(source.pages)
                if not 0 < count <= min(MOST_PAGES, MOST_APPENDED - appended):
                    continue
                source.flatten_annotations("all")
                at = len(pdf.pages)
                pdf.pages.extend(source.pages)
        except pikepdf.PdfError:  # damaged, or locked itself
            continue
        for page in list(pdf.pages)[at:]:
            for what in [each for each in page.obj.keys() if each not in OF_PAGES]:  # noqa: SIM118 - no mapping
                del page.obj[what]
        entries.append(OutlineItem(about.name, at))
        appended += count
    if entries:
        _have_nothing_elsewhere(pdf)
        with pdf.open_outline() as outline:
            outline.root.extend(entries)
        _is_no_longer_tagged_throughout(pdf)


def _have_nothing_elsewhere(pdf: Pdf) -> None:
    """Let no stream of a stranger's take its octets, or its picture, from another file or host (ISO 32000-2, 7.3.8)."""
    for each in pdf.objects:
        if isinstance(each, pikepdf.Stream):
            for what in ELSEWHERE:
                if what in each:
                    del each[what]


def _is_no_longer_tagged_throughout(pdf: Pdf) -> None:
    """Take back the promise of PDF/UA: what a stranger's pages are tagged with, nobody knows."""
    with pdf.open_metadata(set_pikepdf_as_editor=False) as told:
        for name in [each for each in told if "pdfua" in each]:
            del told[name]


def _say_nothing(pdf: Pdf, title: str) -> None:
    """Leave one title in what describes the document, the same for all."""
    for each in list(pdf.docinfo.keys()):
        del pdf.docinfo[each]
    pdf.docinfo[Name.Title] = pikepdf.String(title)
    pdf.docinfo[Name.Producer] = pikepdf.String(US)
    pdf.Root.ViewerPreferences = Dictionary(DisplayDocTitle=True)
    for each in ("/OpenAction", "/AA"):
        if each in pdf.Root:
            del pdf.Root[each]
