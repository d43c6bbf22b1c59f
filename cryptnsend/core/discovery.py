"""How does a mail program learn our servers when somebody types an address into it?

It asks the address's domain, in one of several ways; each has a document here. All of them say what anybody may know:
no answer depends on whether an address has an account, nor on the address at all but for repeating it.

- autoconfig, of Thunderbird and others: draft-ietf-mailmaint-autoconfig
- Autodiscover, of Outlook and others: [MS-OXDSCLI] in XML ("POX"), [MS-OXDISCO]'s JSON that leads to it
- PACC: draft-ietf-mailmaint-pacc; DNS vouches for the octets of its document
- SRV records (RFC 6186, RFC 8314 §5.1), which `dns` prints
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring
from xml.parsers import expat

from cryptnsend.core.addresses import canonical
from cryptnsend.core.places import is_host

AUTOCONFIG_PATHS = ("/.well-known/autoconfig/mail/config-v1.1.xml", "/mail/config-v1.1.xml")
AUTODISCOVER_PATH = "/autodiscover/autodiscover.xml"
PACC_PATH = "/.well-known/user-agent-configuration.json"
PREFIXES = ("autoconfig", "autodiscover", "ua-auto-config")  # of the hosts that an address's domain has for this
ASKED_OCTETS = 16_384  # the largest question that is read; Outlook's have some 350
_DEPTH = 8
_ADDRESS = 320  # characters
_RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_SETTINGS = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_PACC_PORTS = {"imap": 993, "pop3": 995, "smtp": 465}  # the draft knows no others


class Service(NamedTuple):
    """One protocol at one port. *starttls*: TLS begins after a command, else with the first octet."""

    kind: str  # imap, pop3, smtp
    port: int
    starttls: bool = False


@dataclass(frozen=True, slots=True)
class Servers:
    """Where mail is read and sent: the host, what it offers (best of a kind first), and the pages that explain it."""

    host: str
    services: tuple[Service, ...]
    pages: str  # https://host[:port]

    @property
    def are_whole(self) -> bool:
        """Say whether mail can be read here too; a mail program takes no account that only sends."""
        return any(each.kind != "smtp" for each in self.services)


class NotAsked(ValueError):
    """What came is no question that can be answered."""


def domain_of(host: str, address: str = "") -> str:
    """Return the domain that is asked for: the address's, else the one whose host was asked, "" if neither is one."""
    asked = address.rpartition("@")[2].lower()
    if "@" in address and is_host(asked):
        return asked
    prefix, _, rest = host.partition(".")
    domain = rest if prefix in PREFIXES else host
    return domain if is_host(domain) else ""


# -- autoconfig -------------------------------------------------------------------------------------------------------


def autoconfig(servers: Servers, domain: str) -> bytes:
    """Return the document for addresses of *domain*. Programs refuse one without an incoming server (`are_whole`)."""
    root = Element("clientConfig", version="1.1")
    provider = SubElement(root, "emailProvider", id=domain)
    _text(provider, "domain", domain)
    _text(provider, "displayName", f"CryptnSend ({servers.host})")
    _text(provider, "displayShortName", "CryptnSend")
    for service in servers.services:
        kind = "outgoingServer" if service.kind == "smtp" else "incomingServer"
        server = SubElement(provider, kind, type=service.kind)
        _text(server, "hostname", servers.host)
        _text(server, "port", str(service.port))
        _text(server, "socketType", "STARTTLS" if service.starttls else "SSL")
        _text(server, "authentication", "password-cleartext")
        _text(server, "username", "%EMAILADDRESS%")
    page = SubElement(provider, "documentation", url=f"{servers.pages}/help")
    _text(page, "descr", "The password is a device password from your settings").set("lang", "en")
    return _document(root)


# -- Autodiscover -----------------------------------------------------------------------------------------------------


def autodiscover(servers: Servers, address: str) -> bytes:
    """Return the answer for an address ([MS-OXDSCLI] §2.2.4), as `asked_for` gave it."""
    root, response = _response(_SETTINGS)
    account = SubElement(response, "Account")
    _text(account, "AccountType", "email")
    _text(account, "Action", "settings")
    for service in servers.services:
        if service.starttls:
            continue  # "SSL on" with such a port breaks Outlook
        protocol = SubElement(account, "Protocol")
        fields = {"Type": service.kind.upper(), "Server": servers.host, "Port": str(service.port), "LoginName": address}
        switches = {"DomainRequired": "off", "SPA": "off", "SSL": "on", "AuthRequired": "on"}
        if service.kind == "smtp":
            switches |= {"UsePOPAuth": "off", "SMTPLast": "off"}
        for name, value in (fields | switches).items():
            _text(protocol, name, value)
    return _document(root)


def not_discovered(time: str) -> bytes:
    """Return the answer to what is no question ([MS-OXDSCLI] §2.2.4.1.3); *time* as HH:MM:SS."""
    root, response = _response(_RESPONSE)
    error = SubElement(response, "Error", Time=time, Id="0")
    for name, value in (("ErrorCode", "600"), ("Message", "Invalid Request"), ("DebugData", "")):
        _text(error, name, value)
    return _document(root)


def asked_for(octets: bytes) -> str:
    """
    Return the address that an Autodiscover request asks about ([MS-OXDSCLI] §2.2.3); raise `NotAsked`.

    It comes from strangers: a document type, and with it every entity but the five of XML itself, is refused before
    anything of it is read, the encoding is UTF-8 whatever the document says, and size and depth are bounded.
    """
    if len(octets) > ASKED_OCTETS:
        raise NotAsked("The request is too long.")
    reader = _Question()
    try:
        reader.parser.Parse(octets, True)
    except expat.ExpatError:
        raise NotAsked("The request is not XML.") from None
    address = "".join(reader.address).strip()
    try:
        canonical(address)
    except ValueError:
        raise NotAsked("The request asks about no address.") from None
    return address


class _Question:
    """Collects the text of Autodiscover/Request/EMailAddress, whatever their namespaces."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate("UTF-8", " ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.path: list[str] = []
        self.address: list[str] = []

    def _refuse(self, *_: object) -> None:
        raise NotAsked("The request has a document type.")

    def _start(self, name: str, _attributes: object) -> None:
        self.path.append(name.rpartition(" ")[2])
        if len(self.path) > _DEPTH:
            raise NotAsked("The request is too deep.")

    def _end(self, _name: str) -> None:
        self.path.pop()

    def _characters(self, text: str) -> None:
        if self.path != ["Autodiscover", "Request", "EMailAddress"]:
            return
        self.address.append(text)
        if sum(map(len, self.address)) > _ADDRESS:
            raise NotAsked("The address is too long.")


def redirection(servers: Servers, protocol: str) -> bytes | None:
    """Return the JSON that leads to the XML ([MS-OXDISCO], v2), None for a protocol that is not spoken here."""
    if protocol.lower() != "autodiscoverv1":
        return None
    return _json({"Protocol": "AutodiscoverV1", "Url": f"{servers.pages}{AUTODISCOVER_PATH}"})


def no_protocol() -> bytes:
    """Return the JSON for a protocol that is not spoken here."""
    return _json({"ErrorCode": "ProtocolNotSupported", "ErrorMessage": "Only AutodiscoverV1 is answered here."})


def _response(namespace: str) -> tuple[Element, Element]:
    root = Element("Autodiscover", xmlns=_RESPONSE)
    return root, SubElement(root, "Response", xmlns=namespace)


# -- PACC -------------------------------------------------------------------------------------------------------------


def pacc(servers: Servers) -> bytes | None:
    """
    Return the document, the same octets for every domain; None where reading or a port of the draft's is missing.

    Sending is called `smtp` in the draft's -02 and `submit` since; both are given.
    """
    offered = {each.kind for each in servers.services if not each.starttls and _PACC_PORTS[each.kind] == each.port}
    if "smtp" not in offered or len(offered) < 2:
        return None
    protocols = {kind: {"host": servers.host} for kind in (*offered, "submit")}
    info = {"provider": {"name": f"CryptnSend ({servers.host})"}, "help": {"documentation": f"{servers.pages}/help"}}
    return _json({"protocols": protocols, "authentication": {"password": True}, "info": info})


def pacc_record(document: bytes) -> str:
    """Return the TXT record for `_ua-auto-config` that vouches for the document."""
    return f"v=UAAC1; a=sha256; d={base64.b64encode(hashlib.sha256(document).digest()).decode()}"


# -- what a domain publishes ------------------------------------------------------------------------------------------


def hosts(servers: Servers, domain: str) -> Iterator[tuple[str, str]]:
    """Yield (host, what it is for) of each name that has to lead to our pages."""
    if servers.are_whole:
        yield f"autoconfig.{domain}", "where Thunderbird and others find us (autoconfig)"
        yield f"autodiscover.{domain}", "where Outlook and others find us (Autodiscover)"
    if pacc(servers) is not None:
        yield f"ua-auto-config.{domain}", "where programs find us by a newer way (PACC)"


def _text(parent: Element, name: str, text: str) -> Element:
    made = SubElement(parent, name)
    made.text = text
    return made


def _document(root: Element) -> bytes:
    octets: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return octets


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
