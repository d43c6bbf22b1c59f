"""Which content keys come out of the keeper? Those of contacts that the ledger has as proven, and of mail that leaves.

The associated data of a sealed row decide, not the caller: a grant passed for another message, holder, role or contact
opens nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core import keys
from cryptnsend.core.errors import NoGrant, SealBroken
from cryptnsend.core.model import KEEPER, MANAGED, account_holder, address_holder, new_id, time_of
from cryptnsend.keeper import accounts, allowances, contacts, ledger, tickets, wraps
from cryptnsend.keeper.contacts import Clearance
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import Adopted, EpochRow, Leaving, QueueGrant, SealedGrant
from cryptnsend.keeper.rows import Account

MOST = 500  # grants in one request


def adopt(context: Context, ticket: bytes, grants: Sequence[SealedGrant]) -> list[Adopted]:
    """
    Re-wrap the grants whose contact is cleared for who is signed in, to that account's own pairs.

    Those that are not theirs are left out without a word, those that are damaged with a line in the log: one bad row
    must not keep the others from their owner.
    """
    account = tickets.signed_in(context, context.reads, ticket, by_device=True)
    adoption = _Adoption(context, account)
    adopted = []
    for grant in grants[:MOST]:
        try:
            content = adoption.content(grant)
        except SealBroken:
            context.log.warning("keeper.grant-damaged", message=grant.message, organisation=grant.organisation)
            continue
        if content is not None:
            adopted.append(adoption.rewrap(grant, content))
    return adopted


def leaving(context: Context, grant: QueueGrant) -> Leaving:
    """Open mail that waits to leave. Where it may go is in the associated data of its key."""
    if (grant.epoch.owner, grant.epoch.holder) != (KEEPER, "queue"):
        raise NoGrant("This does not wait to leave.")
    try:
        pair = context.secrets.pair("queue", grant.epoch.pair)
    except LookupError:
        raise NoGrant("This does not wait to leave.") from None
    epoch_key = pair.open(grant.epoch.sealed, label="epoch", owner=KEEPER, holder="queue", ref=grant.epoch.id)
    binding = keys.QueueBinding(grant.organisation, grant.message, grant.delivery, grant.recipient, grant.form)
    content = keys.unwrap_content(epoch_key, grant.wrap, binding)
    return Leaving(grant.recipient, content, _passphrase(context, grant) if grant.form == "zip" else None)


def _passphrase(context: Context, grant: QueueGrant) -> str:
    owner = ledger.account_at(context.reads, grant.recipient)
    found = accounts.passphrases(context, owner.id) if owner else []
    if not found:
        raise NoGrant("The recipient has no delivery passphrase.")
    return found[0].words


class _Adoption:
    """One request's work: each epoch is opened once, each contact judged once, and new epochs are shared."""

    def __init__(self, context: Context, account: Account):
        self._context, self._account = context, account
        self._holder = account_holder(account.id)
        self._opened: dict[tuple[int, int, bytes], bytes | None] = {}
        self._cleared: dict[str, Clearance | None] = {}
        self._epochs: dict[str, tuple[EpochRow, bytes]] = {}

    def content(self, grant: SealedGrant) -> bytes | None:
        """Return the content key, or None if this account may not have it; raise `SealBroken`."""
        if not self._may(grant):
            return None
        epoch_key = self._epoch_key(grant.epoch)
        if epoch_key is None:
            return None
        try:
            binding = keys.GrantBinding(
                grant.organisation, grant.message, grant.holder, grant.role, grant.contact, grant.custody
            )
        except ValueError:
            raise SealBroken("There is no grant of this kind.") from None
        return keys.unwrap_content(epoch_key, grant.wrap, binding)

    def rewrap(self, grant: SealedGrant, content: bytes) -> Adopted:
        """Wrap a content key for the account's own pair of the grant's custody."""
        if grant.custody not in self._epochs:
            self._epochs[grant.custody] = self._new_epoch(grant.custody)
        epoch, key = self._epochs[grant.custody]
        binding = keys.GrantBinding(
            grant.organisation, grant.message, self._holder, grant.role, grant.contact, grant.custody
        )
        wrap = keys.wrap_content(key, content, binding, self._context.rng)
        return Adopted(
            grant.organisation,
            grant.message,
            grant.holder,
            self._holder,
            grant.role,
            grant.contact,
            grant.custody,
            epoch,
            wrap,
        )

    def _may(self, grant: SealedGrant) -> bool:
        """
        Say whether the grant is for a contact of this account that the ledger has as proven or waived.

        A grant without a contact that waits was sealed for the subscriber of its own thread while they were weak: it
        opens for that account alone, once it is not weak any more. Under a withheld pair it may be another holder's
        of the same account, so it comes back with that pair only.
        """
        if grant.role == "archive" or grant.custody not in ("managed", "strict"):
            return False
        if not grant.contact:
            is_own = grant.holder == self._holder and self._account.has("subscriber") and not self._account.is_weak
            return is_own and grant.epoch.owner == KEEPER
        address, _, subscriber = grant.contact.rpartition("|")
        if grant.holder != address_holder(address) and not grant.holder.startswith("account:"):
            return False
        if grant.contact not in self._cleared:
            self._cleared[grant.contact] = self._clearance(address, subscriber)
        cleared = self._cleared[grant.contact]
        if cleared is not None and (cleared.until is None or time_of(grant.message) <= cleared.until):
            return True
        if not subscriber.isdecimal() or len(subscriber) > 19:
            return False
        return allowances.may_open(self._context, self._account, address, int(subscriber), grant.message)

    def _clearance(self, address: str, subscriber: str) -> Clearance | None:
        if not subscriber.isdecimal() or len(subscriber) > 19:
            return None
        reads = self._context.reads
        owner = ledger.account(reads, int(subscriber))
        return contacts.clearance(self._context, reads, self._account, address, owner) if owner else None

    def _epoch_key(self, epoch: EpochRow) -> bytes | None:
        """Open an epoch that rests under the pending pair or a withheld managed one; None for any other."""
        known = (epoch.id, epoch.pair, epoch.sealed)
        if known not in self._opened:
            self._opened[known] = self._open(epoch)
        return self._opened[known]

    def _open(self, epoch: EpochRow) -> bytes | None:
        if (epoch.owner, epoch.holder) == (KEEPER, "pending"):
            try:
                pair = self._context.secrets.pair("pending", epoch.pair)
            except LookupError:
                return None
            return pair.open(epoch.sealed, label="epoch", owner=KEEPER, holder="pending", ref=epoch.id)
        withheld = ledger.pair(self._context.reads, epoch.pair)
        if withheld is None or withheld.state != "withheld" or withheld.custody != MANAGED:
            return None
        seed = wraps.recovered(self._context, withheld)
        return keys.open_with(seed, epoch.sealed, label="epoch", owner=epoch.owner, holder=epoch.holder, ref=epoch.id)

    def _new_epoch(self, custody: str) -> tuple[EpochRow, bytes]:
        context = self._context
        pair = accounts.current_pair(context.reads, self._holder, custody)
        ident, key = new_id(context.clock.now(), context.rng), context.rng(32)
        sealed = keys.seal_to(pair.public, key, label="epoch", owner=self._holder, holder=self._holder, ref=ident)
        return EpochRow(ident, pair.id, pair.suite, self._holder, self._holder, sealed), key
