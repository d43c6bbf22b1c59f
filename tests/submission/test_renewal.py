"""A certificate that a program like certbot renews is taken up by itself, and who is connected stays so."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import structlog
import trustme

from cryptnsend.submission.tls import Certificate


def renewed(authority: trustme.CA, folder: Path, number: int) -> None:
    """Write a certificate as certbot does: numbered files in archive/, and links in live/ that are set anew."""
    made = authority.issue_cert("secure.clinic.example")
    archive, live = folder / "archive", folder / "live"
    for place in (archive, live):
        place.mkdir(exist_ok=True)
    chain = b"".join(each.bytes() for each in made.cert_chain_pems)
    for name, octets in (("privkey", made.private_key_pem.bytes()), ("fullchain", chain)):
        (archive / f"{name}{number}.pem").write_bytes(octets)
        link = live / f"{name}.pem"
        link.unlink(missing_ok=True)
        link.symlink_to(f"../archive/{name}{number}.pem")


def greeted(door: Certificate, client: ssl.SSLContext) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Return both ends of a connection to a door."""
    theirs, ours = socket.socketpair()
    ends: list[ssl.SSLSocket] = []
    thread = threading.Thread(target=lambda: ends.append(door.context.wrap_socket(ours, server_side=True)))
    thread.start()
    connected = client.wrap_socket(theirs, server_hostname="secure.clinic.example")
    thread.join()
    return connected, ends[0]


def test_what_certbot_renews_is_taken_up_and_open_connections_stay(tmp_path: Path) -> None:
    authority = trustme.CA()
    client = ssl.create_default_context()
    authority.configure_trust(client)
    renewed(authority, tmp_path, 1)
    live = tmp_path / "live"
    door = Certificate(live / "fullchain.pem", live / "privkey.pem", structlog.get_logger())
    before = greeted(door, client)
    assert door.renew() is False
    renewed(authority, tmp_path, 2)
    assert door.renew() is True
    after = greeted(door, client)
    serials = [(each.getpeercert() or {})["serialNumber"] for each, _ in (before, after)]
    assert serials[0] != serials[1]
    for connected, ours in (before, after):
        connected.sendall(b"NOOP\r\n")
        assert ours.recv(100) == b"NOOP\r\n"
        connected.close()
        ours.close()


def test_between_the_two_files_of_a_renewal_the_old_pair_stays(tmp_path: Path) -> None:
    authority = trustme.CA()
    renewed(authority, tmp_path, 1)
    live = tmp_path / "live"
    door = Certificate(live / "fullchain.pem", live / "privkey.pem", structlog.get_logger())
    context, key = door.context, (live / "privkey.pem").read_bytes()
    renewed(authority, tmp_path, 2)
    new = (live / "privkey.pem").read_bytes()
    (live / "privkey.pem").write_bytes(key)  # the chain is new, the key not yet
    assert door.renew() is False
    assert door.context is context
    (live / "privkey.pem").write_bytes(new)
    assert door.renew() is True
