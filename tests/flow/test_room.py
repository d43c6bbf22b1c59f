"""A disk that is nearly full: nothing new begins, what is there can be read, and room is all it takes to go on."""

from __future__ import annotations

import os

import pytest

from cryptnsend.core.errors import StoreFull
from cryptnsend.store.vault import Vault
from tests.support.house import House

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


def test_a_nearly_full_disk_refuses_what_is_new_and_shows_what_is_there(house: House) -> None:
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT], house.mail("Results"))
    pat = house.register(PAT, message)
    portal, data = house.process(), house.home.main_db.parent
    # No disk has so much room as this one keeps for what is there already.
    vars(portal)["vault"] = Vault(portal.blobs, os.urandom, house.home.deletions_lock, folder=data, reserve=1 << 62)
    assert portal.pickup.show(pat, message).subject == "Results"
    reply = {"everybody": False, "text": "thanks", "files": [], "nonce": b"n" * 16, "kept": None}
    with pytest.raises(StoreFull) as refused:
        portal.replies.send(pat, message, **reply)
    assert (refused.value.code, refused.value.status) == (452, "4.3.1")
    with pytest.raises(StoreFull):
        portal.uploads.begin(pat, "film.mp4", "video/mp4", 5, nonce=b"f" * 16, parent=message)
    assert house.engine.query("SELECT count(*) AS n FROM messages") == [{"n": 1}]
    house.replies.send(pat, message, **reply)
    assert house.engine.query("SELECT count(*) AS n FROM messages") == [{"n": 2}]
