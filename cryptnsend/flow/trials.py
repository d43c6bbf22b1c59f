"""Does the form work in which replies come? A real message to oneself goes the road that a reply would go.

It is sealed, queued and handed over like any other, in the form on the subscriber's card; it lives for a day.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.mime import Outgoing, build_message
from cryptnsend.core.names import safe_display_name
from cryptnsend.flow.admit import Admission
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.flow.mailwords import Faces
from cryptnsend.flow.people import People
from cryptnsend.flow.sessions import Session

TRIAL = "trial"  # origin of such a message
LIFE = 86_400_000  # milliseconds
MOST = 20  # a day and account, before they get slower


class Trials(People):
    """Sends such messages. Shared by all requests of a process; thread-safe."""

    def __init__(self, *, admission: Admission, domain: str, web: Path, **of_people: Any):
        super().__init__(**of_people)
        self._admission, self._domain, self._faces = admission, domain, Faces(web)

    def send(self, session: Session, nonce: bytes, language: str) -> int:
        """
        Send one and return its id; the same form again, by its *nonce*, returns the same.

        Raises Throttled, Temporary, and Refusal where nothing may be sent.
        """
        self._throttle.ask("test messages", session.address, MOST)
        words = self._faces.words(language).gettext
        aliases = frozenset(session.addresses)
        author = Author(session.account, session.organisation, session.address, aliases, "subscriber" in session.roles)
        envelope = Envelope("", (Addressee(session.address),), protocol="HTTPS")
        me = Mailbox(safe_display_name(session.name), session.address)
        with self._admission.begin(author, envelope, TRIAL, nonce=nonce, life=LIFE) as draft:
            built = build_message(
                Outgoing(
                    author=me,
                    to=[me],
                    subject=words("A test of how replies reach you"),
                    date=self._clock.now(),
                    message_id=f"<m{draft.message}@{self._domain}>",
                    text=words("You can read this: replies reach you in the way that you chose."),
                )
            )
            draft.take(built)
            sent = draft.commit_now().message
        self._wake()
        return sent
