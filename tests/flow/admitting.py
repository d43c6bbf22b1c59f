"""Admission by hand: in one line, or with everything that `House.submit` does not ask for."""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.flow.admit import Admitted
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.store.records import accounts
from tests.support.house import House

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


def submit(
    house: House,
    octets: bytes,
    to: Sequence[str | Addressee] = (PAT,),
    *,
    author: str = ANN,
    reverse_path: str | None = None,
    nonce: bytes | None = None,
    origin: str = "smtp",
    process: str = "door",
) -> Admitted:
    """Admit a mail with everything that `House.submit` does not ask for."""
    row = accounts.by_address(house.engine, author)
    assert row is not None
    own = frozenset(accounts.addresses(house.engine, row["id"]))
    draft = getattr(house, process).admission.begin(
        Author(row["id"], row["org"], author, own, True),
        Envelope(
            author if reverse_path is None else reverse_path,
            tuple(each if isinstance(each, Addressee) else Addressee(each) for each in to),
        ),
        origin,
        nonce=nonce,
    )
    end = octets.index(b"\r\n\r\n") + 4
    try:
        draft.header(octets[:end])
        for at in range(end, len(octets), 65536):
            draft.body(octets[at : at + 65536])
    except BaseException:
        draft.abort()
        raise
    return draft.commit_now()


def sent(house: House, to: Sequence[str] = (PAT,), author: str = ANN, **header: str) -> int:
    """Submit a mail of Ann's that has only what is given here; return its id."""
    return house.submit(author, to, house.mail(author=author, to=to, **header))
