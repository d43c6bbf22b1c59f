"""Pat and somebody who reads Pat's mailbox, in any order of what both can do: Ann's mail opens for Pat alone.

Both reset the password by mail as often as they like, follow every link, keep every password, recovery code and device
they ever had. Pat alone is told Ann's codes; the intruder has a subscription and tells themselves codes of their own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptnsend.core import keys
from cryptnsend.core.cards import read_card
from cryptnsend.core.errors import Denied
from cryptnsend.core.model import account_holder
from cryptnsend.keeper import credentials
from cryptnsend.keeper import requests as q

from .conftest import Make, Person, Running, content_of, register, reset_by_mail, send, subscriber
from .sealing import sealed_to


class NothingToDo(Exception):
    """The contact is proven already."""


@dataclass
class Player:
    """What one of the two knows: every password, recovery key and device that they ever set."""

    passwords: list[bytes] = field(default_factory=list)
    recoveries: list[bytes] = field(default_factory=list)
    devices: list[credentials.NewDevice] = field(default_factory=list)


class War:
    """One address, two who read its mail, and what Ann sent to it."""

    def __init__(self, keeper: Running, number: int):
        self.keeper = keeper
        self.ann = subscriber(keeper, f"ann{number}@clinic.example")
        self.mallory = subscriber(keeper, f"mallory{number}@evil.example")
        self.pat, self.intruder = Player(), Player()
        self.holder: Player | None = None
        self.person = Person(f"pat{number}@home.example")
        self.sent: list[tuple[q.SealedGrant, bytes]] = []
        self.ann_sends()

    @property
    def address(self) -> str:
        return self.person.address

    # what both can do

    def reset(self, player: Player) -> None:
        person = Person(self.address)
        reset_by_mail(self.keeper, person)
        self._holds(player, person)

    def add_recovery(self, player: Player) -> None:
        opened = self._signed_in(player)
        key = os.urandom(32)
        self.keeper.portal.store_wraps(opened.ticket, "recovery", key, opened.seeds)
        player.recoveries.append(key)

    def add_device(self, player: Player) -> None:
        opened = self._signed_in(player)
        player.devices.append(self.keeper.portal.device_add(opened.ticket, "read", opened.seeds))

    def unlock(self, player: Player) -> None:
        opened = self._signed_in(player)
        shown = [("password", k, 0) for k in player.passwords] + [("recovery", k, 0) for k in player.recoveries]
        for kind, secret, device in [*shown, *(("device", each.secret, each.id) for each in player.devices)]:
            try:
                self.keeper.portal.unlock(opened.ticket, kind, secret, self.person.k, device)
            except Denied:
                continue

    def subscribe(self, player: Player) -> None:
        self.keeper.portal.subscribe(self._signed_in(player).ticket, self.person.k, None, "")

    # what only one of them can

    def prove_ann(self, player: Player) -> None:
        self._prove(player, self.ann, self.pat)

    def prove_mallory(self, player: Player) -> None:
        self._prove(player, self.mallory, self.intruder)

    def register_anew(self, player: Player) -> None:
        sender = self.ann if player is self.pat else self.mallory
        person = Person(self.address)
        register(self.keeper, send(self.keeper, sender, self.address), self._code(sender), person)
        self._holds(player, person)

    def ann_sends(self, player: Player | None = None) -> None:
        """Seal as admission does: to the pair on the card if the contact is proven, else to the pending pair."""
        opened = self.person.opened and self._newest()
        statement = opened and next((c for c in opened.contacts if c.subscriber == self.ann.account), None)
        if not opened or not statement or opened.state == "weak":
            mail = send(self.keeper, self.ann, self.address)
            self.sent.append((mail.grant, mail.content))
            return
        signed = self.keeper.portal.card(account_holder(opened.account))
        assert signed is not None
        card = read_card(signed, self.keeper.portal.anchors().card_key)
        contact = f"{self.address}|{self.ann.account}"
        pair = card.pair("managed")
        now = self.keeper.clock.now()
        self.sent.append(sealed_to(now, pair, opened.account, contact, "managed", self.ann.opened))

    # what must hold

    def opens(self) -> list[bytes]:
        """Return the content keys of Ann's messages that whoever holds the account opens now."""
        opened = self._newest()
        found = []
        for grant, content in self.sent:
            if grant.epoch.pair in opened.seeds:
                found.append(_unsealed(grant, opened.seeds[grant.epoch.pair]))
            for adopted in self.keeper.portal.adopt(opened.ticket, [grant]):
                found.append(content_of(adopted, opened))
            assert all(each in [known for _, known in self.sent] for each in found), content
        return found

    def opens_by_device(self, player: Player) -> list[bytes]:
        """Return the content keys of Ann's messages that a player's reading devices open now."""
        found = []
        for device in player.devices:
            try:
                opened = self.keeper.role("mailbox").open_device(device.id, device.secret)
            except Denied:
                continue
            for grant, _ in self.sent:
                if grant.epoch.pair in opened.seeds:
                    found.append(_unsealed(grant, opened.seeds[grant.epoch.pair]))
                for adopted in self.keeper.role("mailbox").adopt(opened.ticket, [grant]) if opened.ticket else ():
                    if adopted.epoch.pair in opened.seeds:
                        found.append(content_of(adopted, opened))
        return found

    def _newest(self) -> q.Opened:
        return self.person.sign_in(self.keeper)

    def _holds(self, player: Player, person: Person) -> None:
        self.holder, self.person = player, person
        player.passwords.append(person.k)

    def _signed_in(self, player: Player) -> q.Opened:
        if self.holder is not player:
            raise Denied("the other one's password")
        return self._newest()

    def _code(self, sender: Person) -> str:
        sender.sign_in(self.keeper)
        told = self.keeper.portal.codes(sender.ticket, [self.address])[0]
        if told.code is None:
            raise NothingToDo
        return told.code

    def _prove(self, player: Player, sender: Person, knows: Player) -> None:
        opened = self._signed_in(player)
        if player is not knows:
            raise Denied("does not know the code")
        mail = send(self.keeper, sender, self.address)
        self.keeper.portal.prove_session(opened.ticket, mail.link.token, mail.claims, self._code(sender))


def _unsealed(grant: q.SealedGrant, seed: bytes) -> bytes:
    epoch = grant.epoch
    key = keys.open_with(seed, epoch.sealed, label="epoch", owner=epoch.owner, holder=epoch.holder, ref=epoch.id)
    binding = keys.GrantBinding(
        grant.organisation, grant.message, grant.holder, grant.role, grant.contact, grant.custody
    )
    return keys.unwrap_content(key, grant.wrap, binding)


Move = Callable[[War, Player], None]
TAKING: list[Move] = [War.reset, War.reset, War.reset, War.register_anew]
MOVES: list[Move] = [
    War.prove_ann,
    War.prove_mallory,
    War.ann_sends,
    War.unlock,
    War.unlock,
    War.add_recovery,
    War.add_device,
    War.subscribe,
]
# A round: who takes the account over, how, and what they do with it then.
ROUNDS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(TAKING), st.lists(st.sampled_from(MOVES), max_size=6)),
    min_size=2,
    max_size=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(rounds=ROUNDS)
def test_whatever_both_do_anns_mail_opens_for_pat_alone(
    make_keeper: Make, rounds: list[tuple[bool, Move, list[Move]]]
) -> None:
    keeper = _shared(make_keeper)
    war = War(keeper, len(keeper.engine.query("SELECT id FROM accounts")))
    war.register_anew(war.pat)
    war.ann_sends()
    for is_pat, taking, moves in rounds:
        player = war.pat if is_pat else war.intruder
        for move in (taking, *moves):
            _attempt(war, player, move)
            if war.holder is war.intruder:
                assert war.opens() == []
            assert war.opens_by_device(war.intruder) == []
    # And Pat gets everything back: whoever holds the account now, Pat resets it and tells Ann's code.
    war.reset(war.pat)
    war.prove_ann(war.pat)
    assert set(war.opens()) == {content for _, content in war.sent}


def _attempt(war: War, player: Player, move: Move) -> None:
    """Make a move, or not, where the keeper does not allow it at this moment."""
    with contextlib.suppress(Denied, NothingToDo):
        move(war, player)


_KEEPERS: list[Running] = []


def _shared(make_keeper: Make) -> Running:
    """Return one keeper for all examples of the test; each example has people of its own."""
    if not _KEEPERS or _KEEPERS[0].thread is None or not _KEEPERS[0].thread.is_alive():
        _KEEPERS[:] = [make_keeper(signup="open", mail_codes_per_day=10_000, codes_per_week=10_000)]
    return _KEEPERS[0]
