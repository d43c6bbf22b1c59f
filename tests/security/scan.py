"""
Let two scanners of other people look at a running server, and write down what they say: `make scan`.

    python -m tests.security.scan tls SSLYZE    each port that speaks TLS, against Mozilla's "intermediate"
    python -m tests.security.scan web WAPITI    the portal: as a stranger, then signed in; modules of wapiti by default,
                                                and those for forms, methods, XML and line breaks

Each is the path of a program, installed apart from ours: sslyze wants an older `cryptography`. Both look at a house of
their own on loopback ports, and at nothing else. Ends with an error when anything of medium severity or above
is found.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Internet
from cryptnsend.demo.visitor import Visitor

IMPLICIT, STARTTLS = ("submissions", "imaps", "pop3s", "portal"), ("submission", "inbound")
SECONDS = int(os.environ.get("SECONDS", "600"))  # for finding pages, and a sixth of it for each module
MODULES = "common,crlf,csrf,htaccess,methods,xxe,timesql,backup"
ANN, PASSWORD = "ann.scan@gmail.example", "harbour violet tractor ninety"
TALLIES = {0: "info", 1: "low", 2: "medium", 3: "high", 4: "critical"}


# The certificate is the operator's. The two curves are not asked for, and not weaker than those that are: Python's
# ssl takes one curve or all of OpenSSL's.
PASSED_OVER = re.compile(
    r"certificate_path_validation: .*|maximum_certificate_lifespan: .*"
    r"|tls_curves: TLS curves \{'(?:X448', 'secp521r1|secp521r1', 'X448)'\} are supported, but .*"
)


@contextmanager
def house() -> Iterator[House]:
    """Run a server with a subscriber."""
    with Internet() as internet, House(internet, values={"signup": {"mode": "open"}}) as made:
        made.run("subscriber", "add", ANN, "--own", "--password-stdin", stdin=PASSWORD + "\n")
        yield made


def tls(program: str, made: House) -> dict[str, list[str]]:
    """Return for each port what does not fit Mozilla's intermediate configuration."""
    return {door: _tls_of(program, made.home.ports()[door], starttls=door in STARTTLS) for door in IMPLICIT + STARTTLS}


def _tls_of(program: str, port: int, *, starttls: bool) -> list[str]:
    command = [
        program,
        "--mozilla_config=intermediate",
        f"localhost:{port}",
        *(["--starttls=smtp"] if starttls else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    said = done.stdout.partition("COMPLIANCE AGAINST TLS CONFIGURATION")[2]
    if f"localhost:{port}: OK - Compliant" in said:
        return []
    found = re.findall(r"^\s*\* (.*)$", said, re.MULTILINE)
    if found:
        return [each for each in found if not PASSED_OVER.fullmatch(each)]
    return [done.stderr.strip()[-300:] or "sslyze said nothing about this port"]


def web(program: str, made: House) -> dict[str, dict[str, int]]:
    """Return what was found by kind, with how often, as a stranger and as a subscriber."""
    visitor = Visitor(made.base_url, made.context())
    page = visitor.get("/sign-in")
    visitor.send(page, page.form(with_field="address"), address=ANN, password=PASSWORD)
    cookies = "; ".join(f"{name}={value}" for name, value in visitor._cookies.items())
    assert cookies
    leaving = f"{made.base_url}/sign-out"  # it would end the scan
    return {
        "a stranger": _web_of(program, made.base_url, []),
        "a subscriber": _web_of(program, made.base_url, ["-H", f"Cookie: {cookies}", "-x", leaving]),
    }


def _web_of(program: str, url: str, more: list[str]) -> dict[str, int]:
    with tempfile.TemporaryDirectory(prefix="cryptnsend-scan-") as folder:
        report = Path(folder) / "report.json"
        options = [
            "--scope",
            "domain",
            "-m",
            MODULES,
            "--max-scan-time",
            str(SECONDS),
            "--max-attack-time",
            str(SECONDS // 6),
            "-d",
            "4",
        ]
        options += ["--verify-ssl", "0", "--store-session", folder, "--flush-session", "-f", "json", "-o", str(report)]
        done = subprocess.run(
            [program, "-u", f"{url}/", *options, *more],
            capture_output=True,
            text=True,
            timeout=20 * SECONDS,
            check=False,
        )
        if not report.exists():
            raise SystemExit(f"wapiti did not finish: {(done.stderr or done.stdout)[-800:]}")
        said = json.loads(report.read_text("utf-8"))
    found: dict[str, int] = {"pages and forms": int(said["infos"].get("crawled_pages_nbr", 0))}
    for kind, cases in {**said["vulnerabilities"], **said["anomalies"]}.items():
        for case in cases:
            name = f"{TALLIES.get(case.get('level', 3), 'high')}: {kind} ({case['method']} {case['path']})"
            found[name] = found.get(name, 0) + 1
    return found


def main() -> int:
    """Look, print what was found as JSON, and say whether anything counts."""
    what, program = sys.argv[1:3]
    with house() as made:
        found: dict[str, object] = {**(tls if what == "tls" else web)(program, made)}
    print(json.dumps(found, indent=1))
    if what == "tls":
        return int(any(found.values()))
    return int(any(re.match("medium|high|critical", each) for kinds in found.values() for each in kinds))  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
