"""What does `doctor` say of the machine: its certificate, clock, ports, room and recovery files?"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import trustme

from cryptnsend.cli import doctor
from cryptnsend.cli.findings import Finding
from cryptnsend.config import Config
from cryptnsend.core import transport
from cryptnsend.home import Home
from tests.delivery.peers import Peer
from tests.support.house import PASSWORD, SOURCE, House


def certified(config: Config, leaf: trustme.LeafCert, authority: trustme.CA, *, chain: bool = True) -> Finding:
    """Return what is said of a certificate, with its intermediate ones or without."""
    pems = leaf.cert_chain_pems if chain else leaf.cert_chain_pems[:1]
    config.tls.certificate.write_bytes(b"".join(each.bytes() for each in pems))
    config.tls.key.write_bytes(leaf.private_key_pem.bytes())
    ca_file = config.server.home / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    (told,) = doctor.certificate(replace(config, delivery=replace(config.delivery, authorities=str(ca_file))))
    return told


def test_the_certificate_s_chain_names_and_dates_are_looked_at(config: Config) -> None:
    root, host = trustme.CA(), config.server.hostname
    below, web = root.create_child_ca(), transport.policy_host(config.server.domain)
    assert certified(config, below.issue_cert(host, web), root).level == "ok"
    broken = certified(config, below.issue_cert(host, web), root, chain=False)
    assert (broken.level, "cannot follow its chain" in broken.words) == ("error", True)
    stranger = certified(config, trustme.CA().issue_cert(host, web), root)
    assert (stranger.level, "cannot follow its chain" in stranger.words) == ("error", True)
    few = certified(config, root.issue_cert(host), root)
    assert (few.level, web in few.words) == ("warning", True)
    assert "is not for" in certified(config, root.issue_cert("mail.other.example"), root).words
    wildcard = root.issue_cert(f"*.{host.partition('.')[2]}", web)
    assert certified(config, wildcard, root).level == "ok"
    now = datetime.now(UTC)
    for end, level, words in ((-3, "error", "ended 3 days ago"), (5, "warning", "ends in")):
        leaf = root.issue_cert(host, web, not_before=now - timedelta(days=30), not_after=now + timedelta(days=end))
        told = certified(config, leaf, root)
        assert (told.level, words in told.words) == (level, True), told
    early = root.issue_cert(host, web, not_before=now + timedelta(days=1), not_after=now + timedelta(days=90))
    assert "begins at" in certified(config, early, root).words


def test_a_profile_s_certificate_that_cannot_sign_or_has_ended_is_told(config: Config) -> None:
    (told,) = doctor.profiles(config)
    assert (told.level, "of the doors" in told.words) == ("ok", True)
    own = replace(config.programs, profile_certificate="signer.pem", profile_key="signer.key")
    theirs = replace(config, programs=own)
    (told,) = doctor.profiles(theirs)
    assert (told.level, "cannot be signed" in told.words) == ("error", True)
    past = datetime.now(UTC) - timedelta(days=9)
    leaf = trustme.CA().issue_cert("signer.test", not_before=past - timedelta(days=9), not_after=past)
    (config.server.home / "signer.pem").write_bytes(b"".join(each.bytes() for each in leaf.cert_chain_pems))
    (config.server.home / "signer.key").write_bytes(leaf.private_key_pem.bytes())
    (told,) = doctor.profiles(theirs)
    assert (told.level, "has ended" in told.words) == ("error", True)


def test_a_certificate_of_our_own_making_is_only_a_warning(config: Config) -> None:
    (told,) = doctor.certificate(config)
    assert (told.level, "signs itself" in told.words) == ("warning", True)


def test_a_key_of_another_certificate_is_told(config: Config) -> None:
    config.tls.key.write_bytes(trustme.CA().issue_cert("x.example").private_key_pem.bytes())
    (told,) = doctor.certificate(config)
    assert (told.level, "cannot be used" in told.words) == ("error", True)


@pytest.mark.parametrize(("kept", "level"), [(True, "ok"), (False, "warning")])
def test_a_clock_that_nobody_keeps_is_told(
    config: Config, monkeypatch: pytest.MonkeyPatch, kept: bool, level: str
) -> None:
    monkeypatch.setattr(doctor, "_is_kept", lambda: kept)
    (told,) = doctor.clock(config)
    assert told.level == level


def test_the_kernel_says_whether_its_clock_is_kept() -> None:
    assert doctor._is_kept() in (True, False)


@pytest.mark.parametrize("newest", [0, 4_000_000_000_000])
def test_a_clock_behind_what_happened_is_told(config: Config, monkeypatch: pytest.MonkeyPatch, newest: int) -> None:
    monkeypatch.setattr(doctor, "_is_kept", lambda: True)
    monkeypatch.setattr(doctor, "_newest", lambda _config: newest)
    if not newest:
        monkeypatch.setattr(time, "time", lambda: 86_400.0)
    (told,) = doctor.clock(config)
    assert (told.level, "already" in told.words) == ("error", True)


def test_a_port_that_another_program_holds_is_told(config: Config) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        taken = replace(config, ports=replace(config.ports, submission=port))
        found = [each for each in doctor.doors(taken) if each.check == "ports"]
    assert [each.level for each in found] == ["error"]
    assert f"port {port} (submission)" in found[0].words
    assert str(port) in found[0].remedy


def test_an_address_that_this_machine_does_not_have_is_told(config: Config) -> None:
    found = list(doctor.doors(replace(config, ports=replace(config.ports, bind="192.0.2.1"))))
    assert {each.level for each in found if each.check == "ports"} == {"error"}
    assert all("[ports] bind" in each.remedy for each in found if each.check == "ports")


@pytest.mark.parametrize(
    ("greeting", "said"),
    [(b"220 mail.clinic.example ESMTP x\r\n", ""), (b"220 other.example ESMTP\r\n", "Somebody else"), (b"", None)],
)
def test_what_answers_at_a_door_has_to_be_us(config: Config, greeting: bytes, said: str | None) -> None:
    with Peer(serve=lambda wire: wire.sock.sendall(greeting)) as peer:
        if said is None:
            with pytest.raises(ConnectionResetError):
                doctor._knock(config, ("127.0.0.1", peer.port), implicit_tls=False)
        else:
            assert doctor._knock(config, ("127.0.0.1", peer.port), implicit_tls=False).startswith(said)


def test_a_door_that_shows_an_old_certificate_is_told(config: Config) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.tls.certificate, config.tls.key)
    with Peer(serve=lambda wire: None, context=context, implicit=True) as peer:
        place = ("127.0.0.1", peer.port)
        assert doctor._knock(config, place, implicit_tls=True) == ""
        leaf = trustme.CA().issue_cert("mail.clinic.example")
        config.tls.certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
        assert "shows another certificate" in doctor._knock(config, place, implicit_tls=True)


def test_little_room_and_recovery_files_are_told(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = config.limits.free_octets
    told = ((1 << 40, "ok", "free"), (1 << 30, "warning", "free"), (reserve, "error", "soon be refused"))
    for free, level, words in (*told, (reserve - 1, "error", "is refused with 452 now")):
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _path, free=free: SimpleNamespace(free=free))
        (found,) = doctor.room(config)
        assert found.level == level
        assert words in found.words
    assert [each.level for each in doctor.recovery_files(config)] == ["ok"]
    (Home(config.server.home).recovery / "installation.txt").touch()
    assert [each.level for each in doctor.recovery_files(config)] == ["warning"]


def test_archives_whose_recovery_file_nobody_has_confirmed_are_named(house: House) -> None:
    """An organisation of one by its subscriber's address; who closed their account cannot make the file any more."""

    def found() -> Finding:
        (finding,) = doctor.archives(house.config)
        return finding

    assert found().level == "ok"
    house.organisation("Clinic")
    for name in ("ann", "zoe"):
        house.add_subscriber(f"{name}@gmail.example")
    house.accounts.close(house.session("zoe@gmail.example"), PASSWORD, SOURCE)
    assert found().level == "warning"
    assert "in a safe place: Clinic (officer@clinic.example), ann@gmail.example." in found().words
    assert "/account/recovery-file" in found().remedy
    house.accounts.confirm_recovery_file(house.session("officer@clinic.example"))
    assert "in a safe place: ann@gmail.example." in found().words
    house.accounts.confirm_recovery_file(house.session("ann@gmail.example"))
    assert found().level == "ok"
    for number in range(doctor.MANY + 2):
        house.add_subscriber(f"s{number:02}@gmail.example")
    assert "s09@gmail.example and 2 more." in found().words
