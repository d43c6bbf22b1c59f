"""What of a message is read, and what is downloaded?

Bodies are the parts a reader shows, in order; everything else is an attachment, so that nothing disappears. Names are
safe to save under.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cryptnsend.core.mime_index import Index, Part, is_message
from cryptnsend.core.mime_names import is_dangerous, safe_filename, titled, unique_names


class Body(NamedTuple):
    """One text as HTML, as plain text, or both (the sender's alternatives); paths are as in `Index.walk`."""

    html: Part | None
    text: Part | None


class Attachment(NamedTuple):
    """A part to download."""

    path: str
    name: str  # safe, and unique within the message
    size: int  # octets after decoding; approximate for base64 and quoted-printable
    type: str
    cid: str
    inline: bool  # meant to be seen within the text
    dangerous: bool  # can run or carry a program: warn before the download


def bodies(index: Index) -> list[Body]:
    """Return the texts of the message in reading order."""
    return _bodies(index.root, top=True)


def choose_bodies(index: Index) -> Body:
    """Return the first text of the message; both fields are None if there is none."""
    found = bodies(index)
    return found[0] if found else Body(None, None)


def _bodies(part: Part, *, top: bool = False) -> list[Body]:
    kind = part.type
    if not kind.startswith("multipart/"):
        if kind not in {"text/plain", "text/html"}:
            return []
        if not top and (part.disposition == "attachment" or part.name or not part.size):
            return []
        return [Body(part, None) if kind == "text/html" else Body(None, part)]
    if kind == "multipart/alternative":
        found = [body for child in part.parts for body in _bodies(child)]
        html = next((body.html for body in reversed(found) if body.html), None)
        text = next((body.text for body in found if body.text), None)
        return [Body(html, text)] if html or text else []
    if kind in {"multipart/related", "multipart/signed"}:
        start = part.params.get("start", "").strip("<>")
        children = sorted(part.parts, key=lambda child: not start or child.cid != start)
        return next((found for child in children if (found := _bodies(child))), [])
    if kind == "multipart/encrypted":
        return []
    return [body for child in part.parts for body in _bodies(child)]


def attachments(index: Index, shown: Iterable[Body] | None = None) -> list[Attachment]:
    """
    Return what is to be downloaded, in order: every leaf but those of *shown* (by default of `choose_bodies`).

    Enclosed messages count as one attachment each. Unchosen alternatives of a shown text are left out.
    """
    seen = {id(part) for body in ([choose_bodies(index)] if shown is None else shown) for part in body if part}
    found: list[tuple[str, Part, bool]] = []
    stack = [("", index.root, False, False)]
    while stack:
        path, part, related, alternative = stack.pop()
        if part.type.startswith("multipart/") and part.parts:
            prefix = f"{path}." if path else ""
            related |= part.type == "multipart/related"
            inner = part.type == "multipart/alternative"
            stack += [(f"{prefix}{n}", child, related, inner) for n, child in enumerate(part.parts, 1)][::-1]
        elif id(part) not in seen and not (alternative and _is_alternative(part)) and not _is_empty(part, index):
            found.append((path or "1", part, related))
    names = unique_names([safe_filename(part.name) if part.name else _made_name(part, path) for path, part, _ in found])
    return [
        Attachment(
            path=path,
            name=name,
            size=decoded_size(part),
            type=part.type,
            cid=part.cid,
            inline=_is_inline(part, related),
            dangerous=is_dangerous(name, part.type),
        )
        for (path, part, related), name in zip(found, names, strict=True)
    ]


def _is_alternative(part: Part) -> bool:
    return (
        part.type in {"text/plain", "text/html", "text/enriched", "text/x-amp-html", "text/watch-html"}
        and not part.name
    )


def _is_empty(part: Part, index: Index) -> bool:
    """Tell whether there is nothing to download: the empty text of a message without a body, or a part cut off."""
    return not part.size and not part.name and (part is index.root or part.type == "text/plain")


def _is_inline(part: Part, related: bool) -> bool:
    return part.disposition != "attachment" and part.type.startswith("image/") and bool(part.cid) and (
        related or part.disposition == "inline"
    )  # fmt: skip


def decoded_size(part: Part) -> int:
    """Return about how many octets the part has when decoded."""
    if part.encoding == "base64":
        lines = -(-part.size // 78)  # of 76 digits and CRLF
        return max(0, part.size - 2 * lines) * 3 // 4
    return part.size


_EXTENSIONS = {
    "text/plain": ".txt", "text/html": ".html", "text/calendar": ".ics", "text/csv": ".csv", "text/vcard": ".vcf",
    "application/pdf": ".pdf", "application/zip": ".zip", "application/json": ".json", "application/xml": ".xml",
    "text/xml": ".xml", "image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp",
    "image/heic": ".heic", "image/tiff": ".tif", "image/svg+xml": ".svg", "audio/mpeg": ".mp3", "audio/wav": ".wav",
    "video/mp4": ".mp4", "application/dicom": ".dcm", "application/msword": ".doc", "application/rtf": ".rtf",
    "message/rfc822": ".eml", "message/global": ".eml", "application/pgp-signature": ".asc",
    "application/pkcs7-signature": ".p7s", "application/x-pkcs7-signature": ".p7s", "application/pkcs7-mime": ".p7m",
    "application/ms-tnef": ".dat", "message/delivery-status": ".txt", "text/rfc822-headers": ".txt",
}  # fmt: skip


def _made_name(part: Part, path: str) -> str:
    extension = _EXTENSIONS.get(part.type, "")
    if is_message(part):
        return titled(part.parts[0].subject or part.subject if part.parts else part.subject, ".eml")
    return safe_filename(f"{part.type.partition('/')[0]}-{path.replace('.', '-') or '1'}{extension}")
