"""What is written in a picture? Tesseract reads it, where it is installed; elsewhere it is noted that nobody did."""

from __future__ import annotations

import re
import subprocess

from cryptnsend.confined.confine import die_with_parent
from cryptnsend.core.charsets import decode_text
from cryptnsend.dlp.budget import Budget, NotRead

SMALLEST = 2048  # octets; what is smaller is a line, a dot or a tiny logo
SECONDS = 40
_EMF, _WMF = b"\1\0\0\0", b"\xd7\xcd\xc6\x9a"


_RUN = re.compile(rb"[\x20-\x7e\t]{8,}")
_WIDE_RUN = re.compile(rb"(?:[\x20-\x7e]\0){8,}")


def read(octets: bytes, where: str, budget: Budget) -> None:
    """Read a picture's words into the budget's pieces: what was noted in it, then what it shows."""
    budget.add(where, b"\n".join(_RUN.findall(octets)).decode("ascii"))
    budget.add(where, b"\n\0".join(_WIDE_RUN.findall(octets)).decode("utf-16-le"))
    if len(octets) < SMALLEST:
        return
    if not budget.ocr or octets.startswith((_EMF, _WMF)):
        budget.pictures.append(where)
        return
    budget.add(where, words_of(octets, budget))


def words_of(octets: bytes, budget: Budget) -> str:
    """Return what tesseract reads in a picture; raise NotRead if it cannot."""
    try:
        done = subprocess.run(
            [budget.ocr, "stdin", "stdout"],
            input=octets,
            capture_output=True,  # a reader may open no file to write, not even /dev/null
            timeout=SECONDS,
            check=False,
            preexec_fn=die_with_parent,  # else it would go on after a reader that was killed
            env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/bin:/bin"},
        )
    except (OSError, subprocess.TimeoutExpired):
        raise NotRead("OCR") from None
    if done.returncode != 0:
        raise NotRead("OCR")
    return decode_text(done.stdout)
