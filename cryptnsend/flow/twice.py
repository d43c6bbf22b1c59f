"""Was this form sent before? The same form by its nonce and by everything that was typed, chosen and attached.

The nonce alone is not enough: whoever goes back to a page that was sent already, and writes something else there, would
hear that it is on its way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import msgspec

from cryptnsend.core.errors import Refusal
from cryptnsend.core.seal import framed
from cryptnsend.flow.views import Upload


def digest(
    label: str, nonce: bytes, written: object, files: Sequence[Upload], kept: Collection[int] | None = ()
) -> bytes:
    """
    Return what is the same for a form that was sent twice, and only then.

    *written* is what was typed, of values that JSON has or dataclasses of them; *kept* names files of a draft, None
    all of them.
    """
    named = "all" if kept is None else " ".join(map(str, sorted(set(kept))))
    whole = hashlib.sha256(framed(label, nonce, msgspec.json.encode(written), named))
    for each in files:
        inside = hashlib.sha256()
        for chunk in each.chunks():
            inside.update(chunk)
        whole.update(framed("file", each.name, each.media_type, inside.digest()))
    return whole.digest()[:16]


def check_all_there(kept: Collection[int] | None, found: Sequence[Upload]) -> None:
    """Raise Refusal if one of the files that were to go along was thrown away meanwhile."""
    if kept and len(found) < len(set(kept)):
        raise Refusal("A file that was to go along is not here any more. Look through the files, then send again.")
