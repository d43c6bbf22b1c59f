"""How does somebody get passkeys, sign in by them, and show them in the place of something typed?

The keeper judges every answer; here its word becomes sessions, audit rows and mails. What a browser says and what a
passkey gives (`output`, of the PRF extension) is passed on and kept nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cryptnsend import metrics
from cryptnsend.core import passwords
from cryptnsend.core.errors import Ended, WrongSecret
from cryptnsend.flow.people import Shown, canonical_or_nobody
from cryptnsend.flow.second import SecondSteps
from cryptnsend.flow.sessions import Session
from cryptnsend.keeper.credentials import PasskeyAsk, PasskeyRow, SecondWays
from cryptnsend.keeper.requests import Opened

T = TypeVar("T")
SHOWN, MOST_SHOWN = "passkeys that were shown", 500  # by one source a day, before the pauses begin
LATE = "This took too long, or was answered already. Try again."


class Passkeys(SecondSteps):
    """Signing in by passkeys, and what belongs to somebody who has some."""

    def _enters(self, opened: Opened, name: str, source: str, agent: str, by: str = "") -> str:
        raise NotImplementedError  # of `Accounts`, which signs everybody in

    # -- signing in ---------------------------------------------------------------------------------------------------

    def ask_any_passkey(self, browser: bytes) -> PasskeyAsk:
        """Return the challenge of the sign-in page, which *browser* shows again. Raises Denied where there are none."""
        return self._keeper.passkey_sign_in(browser)

    def passkey_sign_in(self, browser: bytes, answer: bytes, output: bytes, source: str, agent: str) -> str:
        """
        Return the cookie of a new session.

        Raises WrongSecret for an answer that is not right, also of an unknown passkey, and for one that comes late or
        twice; Denied for an account that no passkey alone gets into.
        """
        self._throttle.ask(SHOWN, source, MOST_SHOWN)
        with metrics.signing_in():
            opened = _judged(lambda: self._keeper.open_passkey(browser, answer, output))
        return self._enters(opened, opened.addresses[0], source, agent, "passkey")

    def second_ways(self, held: bytes) -> SecondWays:
        """Return what may come after a password that was right; raises Ended when that was too long ago."""
        return self._keeper.second_ways(held)

    def second_passkey(self, address: str, held: bytes, answer: bytes, source: str, agent: str) -> str:
        """Return the cookie of a new session for a passkey after the password; raises WrongSecret or Ended."""
        with metrics.signing_in():
            opened = self._keeper.open_second_passkey(held, answer)
        return self._enters(opened, canonical_or_nobody(address), source, agent, "passkey")

    # -- one's own ----------------------------------------------------------------------------------------------------

    def passkeys(self, session: Session) -> list[PasskeyRow]:
        """Return the passkeys of who is signed in, oldest first."""
        return self._keeper.passkeys(session.ticket)

    def begin_passkey(self, session: Session, password: str, source: str) -> PasskeyAsk:
        """Return the challenge for a new passkey; raises WrongSecret, Throttled, or Denied where there are enough."""
        return self._keeper.passkey_begin(session.ticket, self._confirmed(session, password, source))

    def add_passkey(self, session: Session, name: str, answer: bytes, output: bytes) -> PasskeyRow:
        """Take a new passkey, which opens mail by itself if it gave an *output*; raises WrongSecret or Denied."""
        made = _judged(
            lambda: self._keeper.passkey_add(session.ticket, name, answer, output, session.seeds if output else {})
        )
        self._note(session, "passkey.added", {"passkey": made.id, "opens": made.opens})
        self._alert(session.account, "passkey-added")
        return made

    def seal_passkey(self, session: Session, answer: bytes, output: bytes) -> PasskeyRow:
        """Let a passkey open mail by itself; raises WrongSecret, or Denied for one that cannot."""
        made = _judged(lambda: self._keeper.passkey_seal(session.ticket, answer, output, session.seeds))
        self._note(session, "passkey.opens", {"passkey": made.id})
        return made

    def remove_passkey(self, session: Session, passkey: int, password: str, source: str) -> None:
        """Remove a passkey, by the password; raises WrongSecret, NoGrant, or Denied for the last of a second step."""
        self._keeper.passkey_remove(session.ticket, self._confirmed(session, password, source), passkey)
        self._note(session, "passkey.removed", {"passkey": passkey})
        self._alert(session.account, "passkey-removed")

    def ask_passkey(self, session: Session, purpose: str) -> PasskeyAsk:
        """Return a challenge for who is signed in: `password`, `number` (to stand for it), `seal`, `unlock`."""
        return self._keeper.passkey_ask(session.ticket, purpose)

    def show_passkey(self, session: Session, what: str, answer: bytes) -> str:
        """Return what stands for the `password` (as a `Shown`) or the `number` of a form; raises WrongSecret."""
        shown = _judged(lambda: self._keeper.passkey_show(session.ticket, what, answer))
        self._note(session, "passkey.shown", {"for": what})
        return Shown(shown) if what == "password" else shown

    def second_of(self, session: Session) -> SecondWays:
        """Return what who is signed in could show besides the password, and whether a passkey is asked for."""
        return self._keeper.second_of(session.ticket)

    def begin_passkey_step(self, session: Session, password: str, code: str, source: str) -> str:
        """
        Ask for a passkey after the password from now on; return a fresh recovery code, for when all are lost.

        *code* is a number, or what `show_passkey` gave. Raises WrongSecret or Throttled.
        """
        k = self._confirmed(session, password, source, itself=True)
        self._keeper.passkey_step(session.ticket, k, code, True)
        recovery = passwords.new_recovery_code(self._random)
        self._keeper.store_wraps(session.ticket, "recovery", passwords.recovery_key(recovery), session.seeds)
        self._note(session, "account.passkey-step-begun", {})
        self._alert(session.account, "passkey-step-begun")
        return recovery

    def end_passkey_step(self, session: Session, password: str, code: str, source: str) -> None:
        """Ask for no passkey after the password any more; raises WrongSecret or Throttled."""
        self._keeper.passkey_step(session.ticket, self._confirmed(session, password, source), code, False)
        self._note(session, "account.passkey-step-ended", {})
        self._alert(session.account, "passkey-step-ended")


def _judged(ask: Callable[[], T]) -> T:
    """Return what the keeper says of an answer; one that comes late or twice is a wrong one."""
    try:
        return ask()
    except Ended:
        raise WrongSecret(LATE) from None
