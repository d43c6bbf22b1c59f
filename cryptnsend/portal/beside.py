"""Which files of a form go along in the message, and which rest beside it because they are too large?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from cryptnsend.flow.views import Upload
from cryptnsend.portal.desk import desk
from cryptnsend.portal.visits import is_subscriber, signed_in, visitor
from cryptnsend.portal.writing import FORM_EXTRA, nonce_of


def most_octets() -> int:
    """Return how many raw octets the files of a message may have: base64 makes 78 octets of 57."""
    return max(0, (desk().config.limits.message_octets - FORM_EXTRA) * 57 // 78)


def shared_octets() -> int:
    """Return how many octets a file beside a message may have, for who asks; 0 is none."""
    somebody = visitor()
    return desk().rules(somebody).file_octets if is_subscriber(somebody) else 0


def arranged(before: int, files: Iterable[Upload], form: str) -> list[Upload]:
    """
    Return the files of a form, those that do not fit into the message beside it.

    *before*: octets that are in its draft already; *form*: the form's nonce. A file that came with the form in one go
    is taken in as one that came in pieces.
    """
    room, found = most_octets() - before, []
    for each in files:
        if each.linked or each.size <= room:
            room -= 0 if each.linked else each.size
            found.append(each)
        elif each.size > shared_octets():
            found.append(each)  # the page says that it is too large
        else:
            found.append(replace(each if each.key else _taken_in(each, form), linked=True))
    return found


def _taken_in(file: Upload, form: str) -> Upload:
    uploads = desk().uploads
    nonce = hashlib.sha256(f"{form}\0{file.name}\0{file.size}".encode() + nonce_of("")).digest()[:16]
    begun = uploads.begin(signed_in(), file.name, file.media_type, file.size, nonce=nonce, may_share=True)
    uploads.append(signed_in(), begun.id, 0, file.chunks())
    return uploads.upload(signed_in(), begun.id)
