"""How is the keeper asked about passkeys? As methods that `client.Keeper` has."""

from __future__ import annotations

from collections.abc import Mapping

from cryptnsend.keeper import credentials
from cryptnsend.keeper import requests as q
from cryptnsend.keeper.channel import Channel

# Each takes an answer to a challenge, which is good once.
PASSKEY_ONCE = frozenset(["open_passkey", "open_second_passkey", "passkey_add", "passkey_seal", "passkey_show"])


class PasskeyRequests(Channel):
    """The requests about passkeys; answers are the JSON of WebAuthn level 3 sections 5.1.1 and 5.1.2."""

    def passkey_sign_in(self, browser: bytes) -> credentials.PasskeyAsk:
        """Return the challenge of the sign-in page, *browser* being what only this one shows again (portal)."""
        return self._ask(credentials.PasskeyAsk, "passkey_sign_in", browser=browser)

    def open_passkey(self, browser: bytes, answer: bytes, output: bytes) -> q.Opened:
        """
        Open an account by a passkey and, where there is one, its PRF *output*; strict pairs open by that only (portal).

        Raise `WrongSecret` for an answer that is not right, also of an unknown passkey; `Ended` for one that is late or
        was given already; `Denied` for an account that no passkey alone gets into.
        """
        return self._ask(q.Opened, "open_passkey", browser=browser, answer=answer, output=output)

    def second_ways(self, held: bytes) -> credentials.SecondWays:
        """Return what may come after a password that was right; raise `Ended` (portal)."""
        return self._ask(credentials.SecondWays, "second_ways", held=held)

    def second_of(self, ticket: bytes) -> credentials.SecondWays:
        """Return what who is signed in could show besides the password (portal)."""
        return self._ask(credentials.SecondWays, "second_of", ticket=ticket)

    def open_second_passkey(self, held: bytes, answer: bytes) -> q.Opened:
        """Open an account by what is held and a passkey; raise `WrongSecret` or `Ended` (portal)."""
        return self._ask(q.Opened, "open_second_passkey", held=held, answer=answer)

    def passkey_step(self, ticket: bytes, k: bytes, code: str, on: bool) -> None:
        """Ask for a passkey after the password, or no more; *code* is a number, or what `passkey_show` gave."""
        self._ask(type(None), "passkey_step", ticket=ticket, k=k, code=code, on=on)

    def passkey_begin(self, ticket: bytes, k: bytes) -> credentials.PasskeyAsk:
        """Return the challenge for a new passkey; raise `WrongSecret` (portal)."""
        return self._ask(credentials.PasskeyAsk, "passkey_begin", ticket=ticket, k=k)

    def passkey_add(
        self, ticket: bytes, name: str, answer: bytes, output: bytes, seeds: Mapping[int, bytes]
    ) -> credentials.PasskeyRow:
        """Take a new passkey; with an *output* it opens the pairs of *seeds*. Raise `Ended` or `Denied` (portal)."""
        return self._ask(
            credentials.PasskeyRow,
            "passkey_add",
            ticket=ticket,
            name=name,
            answer=answer,
            output=output,
            seeds=dict(seeds),
        )

    def passkey_ask(self, ticket: bytes, purpose: str) -> credentials.PasskeyAsk:
        """Return a challenge: `password` or `number` (to stand for it), `seal`, `unlock` (portal)."""
        return self._ask(credentials.PasskeyAsk, "passkey_ask", ticket=ticket, purpose=purpose)

    def passkey_seal(
        self, ticket: bytes, answer: bytes, output: bytes, seeds: Mapping[int, bytes]
    ) -> credentials.PasskeyRow:
        """Let the passkey that answered open the pairs of *seeds* (portal)."""
        return self._ask(
            credentials.PasskeyRow, "passkey_seal", ticket=ticket, answer=answer, output=output, seeds=dict(seeds)
        )

    def passkey_show(self, ticket: bytes, what: str, answer: bytes) -> str:
        """Return what stands for the `password` or the `number` for two minutes; raise `WrongSecret` (portal)."""
        return self._ask(str, "passkey_show", ticket=ticket, what=what, answer=answer)

    def passkeys(self, ticket: bytes) -> list[credentials.PasskeyRow]:
        """Return the passkeys of who is signed in, oldest first (portal)."""
        return self._ask(list[credentials.PasskeyRow], "passkeys", ticket=ticket)

    def passkey_remove(self, ticket: bytes, k: bytes, passkey: int) -> None:
        """Remove a passkey; raise `WrongSecret`, `NoGrant`, or `Denied` for the last one of a second step (portal)."""
        self._ask(type(None), "passkey_remove", ticket=ticket, k=k, passkey=passkey)

    def open_rest(self, ticket: bytes, k: bytes) -> dict[int, bytes]:
        """Return what the password opens, for a session that began without it; raise `WrongSecret` (portal)."""
        return self._ask(dict[int, bytes], "open_rest", ticket=ticket, k=k)

    def passkey_list(self, address: str) -> list[credentials.PasskeyRow]:
        """Return the passkeys of an account; raise `NoGrant` (owner)."""
        return self._ask(list[credentials.PasskeyRow], "passkey_list", address=address)

    def passkey_revoke(self, passkey: int) -> None:
        """Remove a passkey; with the last one ends the step after the password. Raise `NoGrant` (owner)."""
        self._ask(type(None), "passkey_revoke", passkey=passkey)
