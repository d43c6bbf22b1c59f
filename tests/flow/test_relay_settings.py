"""What the configuration says about the relay and about authorities reaches the wire."""

from __future__ import annotations

from pathlib import Path

import trustme

from tests.delivery.peers import ENVELOPE, MESSAGE, Peer, server_context
from tests.support.house import MakeHouse

AUTH = "250-x\r\n250 AUTH PLAIN"


def test_a_relay_with_a_user_gets_the_password_of_the_file(make_house: MakeHouse) -> None:
    with Peer({"EHLO": AUTH, "AUTH": "235 2.7.0 welcome"}) as relay:
        url = f"smtp://ann%40clinic.example@127.0.0.1:{relay.port}"
        house = make_house(delivery={"smarthost": url, "smarthost_password_file": "relay-password"})
        (house.home.path / "relay-password").write_text("wonder ful\n")
        courier = house.courier.courier
        assert courier.send(ENVELOPE, "opportunistic", MESSAGE).kind == "delivered"
        courier.close()
    assert relay.commands[1].startswith("AUTH PLAIN ")


def test_a_private_authority_is_taken_from_the_file(make_house: MakeHouse, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with Peer(context=server_context(authority, "127.0.0.1")) as host:
        house = make_house(
            delivery={
                "routes": {"peer.example": host.route},
                "proven_domains": ["peer.example"],
                "authorities": str(tmp_path / "ca.pem"),
            }
        )
        courier = house.courier.courier
        assert courier.send(ENVELOPE, "proven", MESSAGE).proof == "operator"
        courier.close()
