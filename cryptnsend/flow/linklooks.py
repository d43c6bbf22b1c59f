"""May these files leave by a link for anyone? They leave as plain mail does: whoever has the link has them in clear.

So what an organisation has its plain mail looked at for is looked for in them, and the virus scanner sees them once
more, since it may know today what it did not know when they were sent. Where something is found, no link is made until
its author says why, in words that are looked at themselves, and only where the organisation lets held mail leave as it
is. While nobody can look, no link is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

import structlog

from cryptnsend.core.dlp.detect import Finding, Piece, detect
from cryptnsend.core.errors import Denied, Infected, NotYet, Refusal, ScannerGone, Sentence
from cryptnsend.core.linkedfiles import LinkedFile
from cryptnsend.core.model import account_holder
from cryptnsend.core.names import legible
from cryptnsend.flow.filereading import FileReading
from cryptnsend.flow.holding import LONGEST, SHORTEST
from cryptnsend.flow.inspecting import Inspecting, is_looked_at, job_of
from cryptnsend.flow.policies import Policies
from cryptnsend.flow.scanning import Case, Scanning
from cryptnsend.flow.sessions import Session

READ = 96 << 20  # octets of a file beyond which nobody reads it, as in mail
TOO_MUCH = "too-much"
NOBODY_LOOKS = "The files cannot be looked at just now, and without that no link is made. Try again in some minutes."
FOUND = Sentence("This was found in the files, so that no link is made yet.")
NEVER = Sentence("This was found in the files, and your organisation does not let them leave by a link then.")
LENGTH = Sentence("Say in a few words why they have to leave: from 5 to 300 characters.")
NO_NAMES = Sentence("Say why without names or numbers of patients: officers read this reason.")

log = structlog.get_logger("cryptnsend.dlp")


class Held(Denied):
    """Something was found in the files; `may_leave` says whether its author may let them leave with a reason."""

    def __init__(self, text: Sentence, found: Sequence[Finding], *, may_leave: bool):
        super().__init__(text)
        self.found, self.may_leave = found, may_leave


class LinkLooks:
    """Looks at files before a link for anyone is made to them. Thread-safe; keeps nothing."""

    def __init__(self, *, inspecting: Inspecting, scanning: Scanning, policies: Policies, reading: FileReading):
        self._inspecting, self._scanning, self._policies, self._reading = inspecting, scanning, policies, reading

    def check(self, session: Session, message: int, files: Sequence[LinkedFile], reason: str) -> dict[str, object]:
        """
        Return what the audit trail says of a look at these files; {} where nothing was found.

        Raises Held for what was found without a *reason* that counts, and Denied for what may not leave at all, or
        cannot be looked at now.
        """
        try:
            self._scan(session, message, files)
            found = self._found(session.organisation, files)
        except ScannerGone as gone:
            log.warning("files were not looked at", message=message, error=gone.why)
            raise Denied(NOBODY_LOOKS) from None
        except NotYet:
            raise Denied(NOBODY_LOOKS) from None
        if not found:
            return {}
        rules, words = list(dict.fromkeys(each.rule for each in found)), legible(reason)
        self._judge(session.organisation, found, words)
        return {"rules": rules, "reason": words}

    # -- inside -------------------------------------------------------------------------------------------------------

    def _scan(self, session: Session, message: int, files: Sequence[LinkedFile]) -> None:
        if self._scanning.is_idle:
            return
        case = Case(session.account, account_holder(session.account), str(message), "link")
        for each in files:
            try:
                self._scanning.check(case, lambda each=each: self._octets(each))  # type: ignore[misc]
            except Infected as infected:
                raise Denied(
                    Sentence(
                        "The virus scanner found %(what)s in these files, so that they leave by no link.",
                        what=infected.finding,
                    )
                ) from None
            except Refusal as refusal:
                raise Denied(refusal.text) from None

    def _found(self, house: int, files: Sequence[LinkedFile]) -> Sequence[Finding]:
        held = self._policies.now(house)
        if not is_looked_at(held, "plain"):
            return ()
        found: list[Finding] = []
        for each in files:
            if each.size > READ:
                found.append(Finding(TOO_MUCH, "", each.name))
            else:
                found += self._inspecting.found(lambda each=each: self._as_mail(each), house, held)  # type: ignore[misc]
        return found

    def _judge(self, house: int, found: Sequence[Finding], words: str) -> None:
        """Raise Held unless the author says in *words* why the files have to leave all the same."""
        held = self._policies.now(house)
        if not held.dlp_as_is:
            raise Held(NEVER, found, may_leave=False)
        if not words:
            raise Held(FOUND, found, may_leave=True)
        if not SHORTEST <= len(words) <= LONGEST:
            raise Held(LENGTH, found, may_leave=True)
        wanted = job_of(held, "")
        if detect([Piece("reason", words)], wanted.own, wanted.rules):
            raise Held(NO_NAMES, found, may_leave=True)

    def _octets(self, file: LinkedFile) -> Iterator[bytes]:
        return self._reading.octets(file, 0, file.size)

    def _as_mail(self, file: LinkedFile) -> Iterator[bytes]:
        """Yield a mail that has this file and nothing else: what reads mail knows how to read a file of one."""
        name = quote(file.name, safe="")
        yield (
            "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-Disposition: attachment; filename*=utf-8''{name}\r\n\r\n"
        ).encode()
        yield from self._octets(file)
