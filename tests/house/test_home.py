"""A home: complete, private, repeatable after an interruption, and honest about its ports."""

from __future__ import annotations

import socket
import ssl
import stat
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cryptnsend.config import Config
from cryptnsend.core.errors import ConfigError
from cryptnsend.home import Home, bind, bind_beside, write_private
from cryptnsend.making import create
from tests.support.homes import make_home


def test_everything_in_a_home_is_for_its_owner_only(config, home):
    paths = [home.path, *home.path.rglob("*")]
    assert len(paths) > 10
    for path in paths:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_the_certificate_serves_host_name_and_loopback(config):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.tls.certificate, config.tls.key)
    certificate = x509.load_pem_x509_certificate(config.tls.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mail.clinic.example", "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_a_client_that_trusts_the_certificate_verifies_it_strictly(config):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(config.tls.certificate, config.tls.key)
    client = ssl.create_default_context(cafile=str(config.tls.certificate))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname="mail.clinic.example")
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert here.getpeercert()["subject"] == ((("commonName", "mail.clinic.example"),),)


def test_a_given_certificate_is_left_alone(short_folder):
    given = make_home(short_folder / "first")
    config = make_home(
        short_folder / "second", {"tls": {"certificate": str(given.tls.certificate), "key": str(given.tls.key)}}
    )
    assert config.tls.certificate == given.tls.certificate
    assert not list(Home(config.server.home).tls.iterdir())


def test_there_are_two_signing_keys(home):
    assert isinstance(load_pem_private_key((home.dkim / "rsa1.pem").read_bytes(), None), rsa.RSAPrivateKey)
    assert isinstance(load_pem_private_key((home.dkim / "ed1.pem").read_bytes(), None), ed25519.Ed25519PrivateKey)


def test_a_second_init_changes_nothing(config, home):
    before = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="there is a home here already"):
        create(home.path, {})
    assert {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()} == before


def test_an_interrupted_init_can_be_repeated_and_keeps_its_keys(config, home):
    key = config.tls.key.read_bytes()
    home.config_file.unlink()
    assert make_home(home.path) == config
    assert config.tls.key.read_bytes() == key


def test_a_wrong_value_makes_nothing(short_folder):
    with pytest.raises(ConfigError, match="hostname"):
        create(short_folder / "home", {"server": {"hostname": "Not A Host"}})
    assert not (short_folder / "home").exists()


def test_a_path_too_long_for_sockets_is_told_at_once(short_folder):
    with pytest.raises(ConfigError, match="at most 70 bytes"):
        create(short_folder / ("x" * 80), {})


def test_ports_of_several_processes_are_merged(home):
    assert home.ports() == {}
    threads = [threading.Thread(target=home.announce, args=({f"door{n}": n},)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert home.ports() == {f"door{n}": n for n in range(8)}
    home.forget_ports()
    assert home.ports() == {}


@pytest.mark.parametrize(
    ("portal", "url"),
    [
        ({"portal": 443}, "https://mail.example"),
        ({"portal": 8443}, "https://mail.example:8443"),
        ({"portal": 0}, "https://mail.example:5001"),
    ],
)
def test_links_start_with_the_port_that_is_used(home, tmp_path, portal, url):
    home.announce({"portal": 5001})
    text = f'[server]\nhostname = "mail.example"\n[ports]\nportal = {portal["portal"]}'
    assert home.base_url(Config.parse(text, tmp_path / "x.toml", {})) == url


def test_a_configured_url_outranks_host_and_port(home, tmp_path):
    text = '[portal]\nbase_url = "https://secure.example"'
    assert home.base_url(Config.parse(text, tmp_path / "x.toml", {})) == "https://secure.example"


def test_write_private_replaces_the_whole_file(tmp_path):
    file = tmp_path / "sub" / "secret"
    write_private(file, b"a longer first text")
    write_private(file, b"short")
    assert file.read_bytes() == b"short"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_that_somebody_listens_at_is_refused(address):
    with bind(address, 0) as held:
        held.listen()
        with pytest.raises(OSError, match="in use"):
            bind(address, held.getsockname()[1])


def test_a_port_that_processes_of_another_server_share_is_refused_too():
    with bind("127.0.0.1", 0) as held, bind_beside(held) as beside:
        assert beside.getsockname() == held.getsockname()
        for bound in (held, beside):
            bound.listen()
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", held.getsockname()[1])


def test_the_address_of_all_takes_ipv4_too():
    with bind("::", 0) as held:
        held.listen()
        with socket.create_connection(("127.0.0.1", held.getsockname()[1]), 60) as knocking:
            taken, source = held.accept()
            taken.close()
            assert source[:2] == (f"::ffff:{knocking.getsockname()[0]}", knocking.getsockname()[1])
