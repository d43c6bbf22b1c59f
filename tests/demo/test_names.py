"""The demo's zones can be asked as real ones are, and its hosts prove their mail."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from cryptnsend.delivery.dns import NoSuchDomain
from cryptnsend.delivery.names import DnsNames
from cryptnsend.delivery.spf import check_spf
from cryptnsend.demo.internet import HOST, Internet


@pytest.fixture(scope="module")
def internet() -> Iterator[Internet]:
    with Internet() as made:
        made.register_dkim("s1", "our.example", "v=DKIM1; p=" + "A" * 600)
        yield made


@pytest.fixture
def names(internet: Internet) -> DnsNames:
    host, _, port = internet.nameserver.partition(":")
    return DnsNames([(host, int(port))])


def test_texts_are_told_also_long_ones(names: DnsNames) -> None:
    assert names.txt("_dmarc.yahoo.example") == [b"v=DMARC1; p=reject"]
    assert names.txt("S1._domainkey.OUR.example") == [b"v=DKIM1; p=" + b"A" * 600]


def test_what_is_not_there_does_not_exist(names: DnsNames) -> None:
    with pytest.raises(NoSuchDomain):
        names.txt("nothing.example")
    assert names.txt("_domainkey.our.example") == []  # something is below it
    assert names.addresses("gmail.example") == []


def test_its_hosts_may_send_for_its_domains_and_no_others(names: DnsNames) -> None:
    assert check_spf(names, HOST, "pat@yahoo.example", "mx.yahoo.example")[0] == "pass"
    assert check_spf(names, "192.0.2.1", "pat@yahoo.example", "mx.yahoo.example")[0] == "fail"


def test_what_is_no_question_stops_nobody(internet: Internet, names: DnsNames) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        for octets in (b"\0" * 12, b"\0" * 40, b"x"):
            caller.sendto(octets, (HOST, int(internet.nameserver.rpartition(":")[2])))
    assert names.txt("_dmarc.yahoo.example")
