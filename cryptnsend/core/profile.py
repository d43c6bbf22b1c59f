"""How does an Apple device get a whole mail account by opening one file? A configuration profile, signed.

The payload is Apple's `com.apple.mail.managed`; the signature is CMS (RFC 5652) with the content inside.
"""

from __future__ import annotations

import plistlib
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7

from cryptnsend.core.addresses import canonical
from cryptnsend.core.discovery import Servers

PROFILE_TYPE = "application/x-apple-aspen-config"
PROFILE_NAME = "secure-mail.mobileconfig"
_NAMES = uuid.UUID("6f5d0c2e-3b43-5d0b-9a6a-5f2f1f0f7c11")  # of the UUIDs below; any constant does


class CannotSign(ValueError):
    """Certificate and key make no signature: they do not fit, or are of a kind that CMS here does not know."""


def mail_profile(servers: Servers, address: str, name: str, password: str, titles: tuple[str, str]) -> bytes:
    """
    Return the profile of one account: IMAP and SMTP at *servers*, with a device *password* inside.

    *name* is the person's; *titles* are what the device shows: the account's name, and a sentence about it. Identifier
    and UUIDs are made of server and address, so that on one device a later profile takes the place of an earlier one
    instead of standing beside it, which iOS refuses for one address. Raises ValueError if mail cannot be read here.
    """
    ports = {each.kind: each.port for each in reversed(servers.services) if not each.starttls}
    if "imap" not in ports or "smtp" not in ports:
        raise ValueError("A profile has an incoming and an outgoing server.")
    title, description = titles
    identifier = f"{'.'.join(reversed(servers.host.split('.')))}.mail.{_uuid(servers, address, 'account').hex}"
    mail = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.mail",
        "PayloadUUID": str(_uuid(servers, address, "mail")).upper(),
        "PayloadDisplayName": title,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": title,
        "EmailAccountName": name,
        "EmailAddress": address,
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": servers.host,
        "IncomingMailServerPortNumber": ports["imap"],
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": address,
        "IncomingPassword": password,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": servers.host,
        "OutgoingMailServerPortNumber": ports["smtp"],
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": address,
        "OutgoingPassword": password,
        "OutgoingPasswordSameAsIncomingPassword": True,
        "PreventMove": True,  # or one swipe moves a secure letter into the ordinary account, in clear
        "PreventAppSheet": False,
        "disableMailRecentsSyncing": True,  # addresses stay out of iCloud
        "allowMailDrop": False,  # large attachments would go to iCloud
        "SMIMEEnabled": False,
    }
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": identifier,
            "PayloadUUID": str(_uuid(servers, address, "profile")).upper(),
            "PayloadDisplayName": title,
            "PayloadDescription": description,
            "PayloadOrganization": servers.host,
            "PayloadScope": "User",
            "PayloadRemovalDisallowed": False,
            "PayloadContent": [mail],
        }
    )


def sign(profile: bytes, chain: bytes, key: bytes) -> bytes:
    """
    Return *profile* inside its CMS signature, DER. *chain* (the signer's certificate first) and *key* are PEM.

    Raises CannotSign.
    """
    try:
        certificates = x509.load_pem_x509_certificates(chain)
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError):
        raise CannotSign("Certificate or key cannot be read.") from None
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise CannotSign("Profiles are signed by RSA or ECDSA keys.")
    if certificates[0].public_key() != private.public_key():
        raise CannotSign("Certificate and key do not belong together.")
    builder = pkcs7.PKCS7SignatureBuilder().set_data(profile).add_signer(certificates[0], private, hashes.SHA256())
    for above in certificates[1:]:
        builder = builder.add_certificate(above)
    return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities])


def _uuid(servers: Servers, address: str, what: str) -> uuid.UUID:
    return uuid.uuid5(_NAMES, f"{servers.host}\n{canonical(address)}\n{what}")
