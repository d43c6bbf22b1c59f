"""What is asked of files that rest beside a new message, because they are too large to go along in it?

They came in pieces and stay in them: only their keys, sealed, go along. So a message with a file of two gigabytes is
sent as quickly as any other, and whoever may open the message may have the file, as long and from no other place.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from markupsafe import escape

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, Refusal, Sentence
from cryptnsend.core.linkedfiles import LinkedFile
from cryptnsend.core.model import account_holder
from cryptnsend.core.subject import peel
from cryptnsend.flow.admit import Admission
from cryptnsend.flow.filereading import FileReading
from cryptnsend.flow.scanning import Case
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.uploading import Uploads
from cryptnsend.flow.views import Upload, Writing
from cryptnsend.store.records import linked

MOST = 20  # files beside one message
GONE = "A file that was to go along is not here any more. Look through the files, then send again."


class Beside:
    """Judges files that are to rest beside a message, and binds them to it. Thread-safe; keeps nothing."""

    def __init__(self, admission: Admission, reading: FileReading, uploads: Uploads):
        self._admission, self._reading, self._uploads = admission, reading, uploads

    def checked(self, session: Session, writing: Writing, files: Sequence[Upload]) -> Sequence[LinkedFile]:
        """Return those of *files* that are linked; raise Refusal for what the organisation's rules do not allow."""
        org = session.organisation
        found = [
            LinkedFile(each.id, org, each.key, each.name, each.media_type, each.size) for each in files if each.linked
        ]
        if not found:
            return found
        most = self._admission.policies.limits(org).file_octets
        if len(found) > MOST:
            raise Refusal(
                Sentence("At most %(count)s files that are too large for mail go with one message.", count=MOST)
            )
        if any(each.size > most for each in found):
            raise Refusal("A file is larger than your organisation allows.")
        if writing.wishes.plain or peel(writing.subject).token == "plain":  # noqa: S105 - a token of a subject
            raise Refusal("Files this large cannot go as ordinary mail. Send it locked, or take them out.")
        return found

    def copied(self, session: Session, files: Sequence[LinkedFile]) -> tuple[Sequence[Upload], Sequence[str]]:
        """Copy large files, piece by piece, for who passes them on; return them, and names of those without room."""
        most = self._admission.policies.limits(session.organisation).file_octets
        copies, left_out = list[Upload](), list[str]()
        for each in files:
            octets = self._reading.octets(each, 0, each.size)
            try:
                if each.size > most:
                    raise Denied("A file is larger than your organisation allows.")
                begun = self._uploads.begin(
                    session, each.name, each.media_type, each.size, nonce=os.urandom(16), may_share=True
                )
            except Denied:  # too much of it, or too many
                left_out.append(each.name)
                continue
            self._uploads.append(session, begun.id, 0, octets)
            copies.append(replace(self._uploads.upload(session, begun.id), linked=True))
        return copies, left_out

    def examine(self, session: Session, message: int, files: Sequence[LinkedFile]) -> None:
        """Let the scanners look at every file, where there are any; raises as `Examination.finish`."""
        for each in files:
            case = Case(session.account, account_holder(session.account), str(message), "page")
            scan = self._admission.scanning.begin(case)
            if scan is None:
                return
            try:
                for octets in self._reading.octets(each, 0, each.size):
                    wait = scan.feed(octets)
                    if wait is not None:
                        wait()
                scan.finish()
            finally:
                scan.close()

    @staticmethod
    def bind(session: Session, message: int, files: Sequence[LinkedFile], rows: Rows) -> None:
        """Let the files belong to the message, in its own transaction; raise Refusal if one of them is gone."""
        for each in files:
            if not linked.bind(rows, session.organisation, session.account, message, each.id):
                raise Refusal(GONE)


def told(writing: Writing, files: Sequence[LinkedFile], words: str) -> Writing:
    """
    Return what was written as it is sent with files beside it: locked in any case, and naming them below the words.

    Mail programs show the words only, so that nobody misses what waits on the page of the message.
    """
    if not files:
        return writing
    subject = writing.subject if peel(writing.subject).token == "secure" else f"secure/ {writing.subject}"  # noqa: S105
    note = "\n".join((words, *(each.name for each in files))) if words else ""
    text, html = writing.text, writing.html
    if note and note not in text:
        text = f"{text.rstrip()}\n\n{note}\n".lstrip("\n")
    if html and words and str(escape(words)) not in html:
        html += f"<p>{'<br>'.join(str(escape(line)) for line in note.splitlines())}</p>"
    return replace(writing, subject=subject, text=text, html=html)
