"""Which targets there are, and what each begins with: octets that tests elsewhere already know to be worth a look."""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
FOUND = VECTORS / "fuzz"  # a folder a target: octets that once made it fail

TARGETS = {
    "data": "wire",
    "smtp": "wire",
    "inbound": "wire",
    "imap": "wire",
    "pop": "wire",
    "header": "mail",
    "structure": "mail",
    "html": "mail",
    "bounce": "mail",
    "sealed": "vault",
    "forged": "vault",
    "exported": "vault",
    "index": "vault",
    "token": "vault",
    "sts": "policies",
    "tlsa": "policies",
    "texts": "policies",
    "discovery": "policies",
    "tnef": "files",
    "packed": "files",
    "names": "files",
    "drawing": "files",
}

Target = Callable[[bytes], None]


def target(name: str) -> Target:
    """Return the target, whose module is only now imported: whoever follows its branches has made ready by then."""
    found: Target = getattr(importlib.import_module(f"tests.fuzz.{TARGETS[name]}"), name)
    return found


def seeds(name: str) -> list[bytes]:
    """Return what the target begins with: seeds of ours, and whatever it stumbled over before."""
    return [*_SEEDS[name](), *(path.read_bytes() for path in sorted((FOUND / name).glob("*")))]


def _mails() -> list[bytes]:
    return [path.read_bytes() for path in sorted((VECTORS / "mime").glob("*.eml"))]


def _headers() -> list[bytes]:
    secret = b"To: a@b.example\r\nBcc: c@d.example,\r\n\te@f.example\r\nbCC:\r\nResent-Bcc: g@h.example\r\n\r\n"
    return [secret, *(mail.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for mail in [*_mails(), *_imap_mails()])]


def _imap_mails() -> list[bytes]:
    return [path.read_bytes() for path in sorted((VECTORS / "imap").glob("*.eml"))]


def _imap() -> list[bytes]:
    lines = [json.loads(line) for line in (VECTORS / "imap" / "commands.jsonl").read_text("utf-8").splitlines()]
    commands = [b"\r\n".join(part.encode() for part in line["command"]) + b"\r\n" for line in lines]
    return [b"".join(commands[at : at + 8]) for at in range(0, len(commands), 8)] + [
        b"a LOGIN {3}\r\nann {4+}\r\npa\r\n\r\nb NOOP\n",
        b"a APPEND Sent (\\Seen) {5+}\r\nhello\r\nb NOOP\r\n",
        b"a APPEND {4+}\r\nSent {2+}\r\nhi\r\n",
        b"a SEARCH CHARSET UTF-8 OR FROM x NOT TEXT {2+}\r\nab\r\n",
    ]


def _smtp() -> list[bytes]:
    begin = b"MAIL FROM:<ann@gmail.example>"
    return [
        b"AUTH LOGIN\r\nYW5u\r\neA==\r\nEHLO y\r\nRSET\r\nNOOP\r\nVRFY x\r\nHELP\r\nQUIT\r\n",
        begin + b" SIZE=10 RET=HDRS ENVID=a+2Bb BODY=8BITMIME SMTPUTF8 REQUIRETLS\r\nRCPT TO:<pat@x.example> "
        b"NOTIFY=SUCCESS,DELAY ORCPT=rfc822;pat+40x\r\nDATA\r\n"
        b"From: ann@gmail.example\r\n\r\n..x\r\n.\r\nQUIT\r\n",
        begin
        + b'\r\nRCPT TO:<@a.example,@b.example:"a b"@x.example>\r\nRCPT TO:<p@[192.0.2.1]>\r\nDATA\r\nx\ry\r\n.\r\n',
        b"MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\nFrom: ann@gmail.example\r\n\r\nx\n.\nMAIL FROM:<e@x>\r\n"
        b".\r\n",
        b"BDAT 10 LAST\r\n0123456789\r\nSTARTTLS\r\nGET / HTTP/1.1\r\n",
        begin + b"\r\nRCPT TO:<%s@x.example>\r\nRCPT TO:<p\xc3\xa9@x.example>\r\n\xff\r\nRCPT TO:<a\x00b@x>\r\n",
    ]


def _inbound() -> list[bytes]:
    return [
        b"EHLO mx.example\r\nMAIL FROM:<>\r\nRCPT TO:<b+good@our.example>\r\nDATA\r\n"
        b"Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n",
        b"HELO mx\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<p%y.example@our.example>\r\nRCPT TO:<r+one@our.example>\r\n"
        b"RCPT TO:<r+else@our.example>\r\nRCPT TO:<p@[127.0.0.1]>\r\nDATA\r\n\r\n.\r\nAUTH PLAIN x\r\n",
    ]


def _vectors(folder: str, field: str) -> list[bytes]:
    found = [json.loads(path.read_text("utf-8")) for path in sorted((VECTORS / folder).glob("*.json"))]
    return [base64.b64decode(each[field]) for each in found if field in each and len(each[field]) < 40_000]


def _exported() -> list[bytes]:
    whole = _vectors("export", "object")
    metas = [file[512 : 512 + int(file[124:135], 8)] for file in whole]  # the first member of each
    return [*whole[:4], *metas[:4]]


def _indexes() -> list[bytes]:
    from cryptnsend.core.mime import index_message

    return [index_message(mail).to_octets() for mail in _mails()]


def _html() -> list[bytes]:
    from tests.core.attacks import ATTACKS

    return [each.encode("utf-8", "surrogateescape") for each in ATTACKS]


def _bounces() -> list[bytes]:
    folder = VECTORS.parent / "core" / "bounces"
    return [path.read_bytes().partition(b"\n")[2].replace(b"\n", b"\r\n") for path in sorted(folder.glob("*.eml"))]


def _tnef() -> list[bytes]:
    from tests.dlp.documents import tnef

    rich = (
        b"\x2d\0\0\0\x2b\0\0\0LZFu\xf1\xc5\xc7\xa7\x03\0\x0a\0rcpg125\x42\x32\x0a\xf3\x20hel"
        b"\x09\0\x20bw\x05\xb0ld\x7d\x0a\x80\x0f\xa0"
    )
    return [tnef("Hello", {"a.txt": b"x", "../../b.exe": b"MZ"}), tnef(html="<p>x</p>"), rich]


def _packed() -> list[bytes]:
    from tests.dlp.documents import docx, mail, odt, pptx, rtf, tnef, xlsx, zipped

    office = [docx("Hello"), xlsx([["a", 1]]), pptx("x", notes="y"), odt("x"), zipped({"../a.txt": "x", "b.zip": "y"})]
    return [*office, rtf("x"), tnef("x", {"a.txt": b"x"}), mail("x"), b"<html><p>x"]


def _certificate() -> bytes:
    return (Path(__file__).parent / "certificate.der").read_bytes()


def _octets(*texts: str) -> Callable[[], Iterable[bytes]]:
    return lambda: [text.encode("utf-8", "surrogateescape") for text in texts]


_SEEDS: dict[str, Callable[[], Iterable[bytes]]] = {
    "data": lambda: [b"..\r\n.a\r\n\r\n...", b"A: b\r\n\r\nc\n.\nd", b"x\r\n.\rx", b".\r\nQUIT", *_mails()[:3]],
    "smtp": _smtp,
    "inbound": _inbound,
    "imap": _imap,
    "pop": _octets("USER ann\r\nPASS x y\r\nSTAT\r\nTOP 1 10\r\nUIDL 2\r\nAUTH PLAIN AGEAYg==\r\nCAPA\r\nQUIT\r\n"),
    "header": _headers,
    "structure": lambda: [*_mails(), *_imap_mails()],
    "html": _html,
    "bounce": _bounces,
    "sealed": lambda: [
        b"", b"\0\0\1\0\0\1", b"\1\0\7\0\5\0\2\1\0\1\0\0", b"\5\0\0\0\1\0", b"\4\x10\0\0\0\0", b"\3\0\0\0\0x",
    ],
    "forged": lambda: [*_vectors("seal", "sealed"), *_vectors("wrap", "wrap"), *_vectors("epoch", "sealed")],
    "exported": _exported,
    "index": _indexes,
    "token": _octets("aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinry", "A" * 45, "a" * 39, "0189", "é"),
    "sts": _octets(
        "version: STSv1\r\nmode: enforce\r\nmx: mx.example\r\nmx: *.mail.example.\r\nmax_age: 604800\r\n",
        "v=STSv1; id=20260101T000000;\nv=TLSRPTv1; rua=mailto:a@b.example",
        "version:STSv1\nmode:none\nmax_age:0",
    ),
    "tlsa": lambda: [
        bytes([3, 1, 1]) + b"x" * 32,
        bytes([2, 0, 0]) + _certificate(),
        bytes([3, 0, 0]) + _certificate() + b"---" + _certificate(),
    ],
    "texts": _octets(
        "v=DMARC1; p=reject; sp=none; adkim=s; aspf=r; pct=50",
        "v=TLSRPTv1; rua=mailto:tls@x.example,https://x.example:8443/report?a=b; x=y",
    ),
    "discovery": _octets(
        '<?xml version="1.0"?><Autodiscover xmlns="http://x/y"><Request><EMailAddress>ann@clinic.example</EMailAddress>'
        "</Request></Autodiscover>",
        '<!DOCTYPE a [<!ENTITY b "c">]>'
        "<Autodiscover><Request><EMailAddress>&b;</EMailAddress></Request></Autodiscover>",
    ),
    "tnef": _tnef,
    "packed": _packed,
    "names": _octets("../../etc/passwd\nCON\nnul.txt\n.bash\na\u202egpj.exe\n" + "x" * 300, "a.pdf\nA.PDF\n\n "),
    "drawing": _octets(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g fill="url(#a)"><path d="M0 0L9 9"/></g></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><style>.a{fill:red}</style><rect class="a"/>'
        '<script>x</script><a href="javascript:x"><text>y</text></a></svg>',
    ),
}  # fmt: skip
