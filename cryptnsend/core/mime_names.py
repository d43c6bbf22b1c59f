"""Which file name can an attachment be saved under, on any system and beside the others?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from cryptnsend.core.names import UNSEEN

_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$|clock\$)(?:\s*\.|\s*\Z)", re.IGNORECASE
)
_NAME_OCTETS = 180
_SLASHES = r"[/\\⁄∕＼／]"
_EXTENSION = re.compile(r"\.[^.\s]{1,16}\Z")


def safe_filename(name: str) -> str:
    """
    Return *name* as a file name that stays in its folder on every system.

    Only the part after the last slash or backslash counts; control, invisible and direction-changing characters go,
    those that some system forbids become "_", names reserved by Windows get one in front, leading dots and trailing
    dots and blanks go, and at most 180 octets of UTF-8 stay, with the extension. Never empty.
    """
    name = unicodedata.normalize("NFC", name if len(name) <= 2000 else name[:1000] + name[-1000:])
    name = "".join(" " if c.isspace() else c for c in name if c.isspace() or unicodedata.category(c) not in UNSEEN)
    name = re.split(_SLASHES, name)[-1]
    name = re.sub(r'[<>:"|?*%]', "_", " ".join(name.split()))
    name = name.lstrip(". ").rstrip(". ")
    if name.startswith(("-", "~")) or _RESERVED.match(name):
        name = f"_{name}"
    return _shortened(name, _NAME_OCTETS) or "attachment"


def titled(title: str, extension: str) -> str:
    """Return a file name for something with a title of its own, a subject say, in which a slash begins no folder."""
    plain = re.sub(rf"(?:[.\s]*{_SLASHES})+[.\s]*", "-", title[:100]).lstrip("-. ")
    return safe_filename(f"{plain or 'message'}{extension}")


def _shortened(name: str, octets: int) -> str:
    if len(name.encode()) <= octets:
        return name
    extension = _EXTENSION.search(name)
    tail = extension[0] if extension else ""
    stem = name[: len(name) - len(tail)].encode()[: octets - len(tail.encode())].decode("utf-8", "ignore")
    return stem.rstrip(". ") + tail


def unique_names(names: Sequence[str]) -> list[str]:
    """Return the names with later doubles numbered, "a (2).pdf"; upper and lower case count as the same."""
    taken: set[str] = set()
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        candidate = name
        while candidate.casefold() in taken:
            counts[name.casefold()] = number = counts.get(name.casefold(), 1) + 1
            extension = _EXTENSION.search(name)
            tail = extension[0] if extension else ""
            candidate = f"{name[: len(name) - len(tail)]} ({number}){tail}"
        taken.add(candidate.casefold())
        unique.append(candidate)
    return unique


# File types that run, carry macros, or are opened by something that runs scripts.
_EXTENSIONS = """
    ace ade adp app appimage application appref-ms apk arj asp aspx bas bat bin cab chm cmd cnt com cpl crt csh deb
    desktop
    diagcab dll dmg dotm docm elf exe fxp gadget grp hlp hpj hta htc htm html img inf ins iqy iso isp jar jnlp js jse
    ksh lnk mad maf mag mam mda mdb mde mht mhtml msc msh msi msix msp mst ocx one osd pcd pif pl plg potm ppam ppsm
    pptm prf prg ps1 ps1xml ps2 psc1 psd1 psm1 pst py pyc pyw rb reg rgs rpm scf scr sct search-ms settingcontent-ms
    sh shb shs shtml slk sldm svg svgz swf sys theme tmp url vb vbe vbp vbs vhd vhdx vsmacros vsw wim wll ws wsc wsf
    wsh xbap xht xhtml xlam xll xlm xlsm xltm xml xnk xsl
"""
_DANGEROUS = frozenset(_EXTENSIONS.split())
_DANGEROUS_TYPES = frozenset(
    {
        "application/hta", "application/java-archive", "application/javascript", "application/x-msdos-program",
        "application/x-msdownload", "application/x-sh", "application/xhtml+xml", "application/xml", "image/svg+xml",
        "text/html", "text/javascript", "text/xml",
    }
)  # fmt: skip


def is_dangerous(name: str, kind: str) -> bool:
    """Tell whether a file of that name or media type can run something when it is opened."""
    return name.rpartition(".")[2].strip().lower() in _DANGEROUS or kind in _DANGEROUS_TYPES
