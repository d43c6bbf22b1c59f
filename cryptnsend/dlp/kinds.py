"""What kind of file is this, by its octets, and is that what its name says?"""

from __future__ import annotations

import re

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_PICTURES = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"\0\0\1\0",
    b"\xd7\xcd\xc6\x9a", b"\1\0\0\0",
)  # fmt: skip
_PGP = re.compile(rb"-----BEGIN PGP MESSAGE-----")
# A program that draws, also behind a word to the printer, and with a picture of itself before it.
_POSTSCRIPT = (b"%!PS", b"\x04%!PS", b"\x1b%-12345X", b"\xc5\xd0\xd3\xc6")
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|table|div|p)\b", re.IGNORECASE)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x08\x0b\x1b\x1a")) + b"\x7f"
_MARKED = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")

# What a name's ending says, and which kinds are that. Other endings say nothing.
CLAIMS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("pdf",), frozenset({"pdf"})),
    **dict.fromkeys(("docx", "docm", "dotx", "xlsx", "xlsm", "pptx", "pptm", "ppsx"), frozenset({"zip", "ole"})),
    **dict.fromkeys(("odt", "ods", "odp", "odg", "ott", "zip", "epub", "jar"), frozenset({"zip"})),
    "rtf": frozenset({"rtf"}),
    **dict.fromkeys(("doc", "xls", "ppt", "msg"), frozenset({"ole", "rtf", "html", "text", "zip"})),
    **dict.fromkeys(
        ("png", "jpg", "jpeg", "gif", "bmp", "tif", "tiff", "webp", "heic", "ico", "emf", "wmf"), frozenset({"picture"})
    ),
    **dict.fromkeys(("txt", "csv", "tsv", "log", "ics", "vcf", "json", "md"), frozenset({"text", "html", "pgp"})),
    **dict.fromkeys(("htm", "html", "xml", "svg", "xhtml"), frozenset({"text", "html"})),
    "eml": frozenset({"text", "html", "pgp"}),
    **dict.fromkeys(("ps", "eps", "epsf", "prn"), frozenset()),
}
TYPES: dict[str, frozenset[str]] = {
    "application/postscript": frozenset(),
    "application/pdf": frozenset({"pdf"}),
    "application/rtf": frozenset({"rtf"}),
    "text/rtf": frozenset({"rtf"}),
    "application/zip": frozenset({"zip"}),
    "image/png": frozenset({"picture"}),
    "image/jpeg": frozenset({"picture"}),
    "image/gif": frozenset({"picture"}),
}


def kind_of(octets: bytes) -> str:
    """Return empty pdf zip rtf tnef ole picture pgp html text, or unknown."""
    head = octets[:4096]
    if not octets:
        return "empty"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return "zip"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(b"{\\rt"):
        return "rtf"
    if head.startswith(b"\x78\x9f\x3e\x22"):
        return "tnef"
    if head.startswith(_OLE):
        return "ole"
    if head.lstrip().startswith(_POSTSCRIPT):
        return "unknown"  # nobody knows what it shows who does not run it
    if _is_picture(head):
        return "picture"
    if _PGP.search(head):
        return "pgp"
    if not is_text(octets):
        return "unknown"
    return "html" if _HTML.search(head) else "text"


def _is_picture(head: bytes) -> bool:
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return True
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"hevc"):
        return True
    if head.startswith(b"\1\0\0\0"):
        return head[40:44] == b" EMF"
    return head.startswith(_PICTURES) and not (head.startswith(b"BM") and is_text(head))


def is_text(octets: bytes) -> bool:
    """Say whether octets are text in a charset that mail uses: no controls but those of lines and of ISO-2022."""
    if octets.startswith(_MARKED):
        return True
    return not octets.translate(None, bytes(set(range(256)) - set(_CONTROLS)))


def is_honest(kind: str, name: str, media_type: str) -> bool:
    """Say whether a file is what its name and its type say, as far as they say anything that is known here."""
    ending = name.rpartition(".")[2].casefold() if "." in name else ""
    claimed = CLAIMS.get(ending, TYPES.get(media_type))
    return kind == "empty" or claimed is None or kind in claimed
