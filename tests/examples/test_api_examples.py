"""The examples of the interface for programs, and the lines of docs/api.md, work on a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cryptnsend.core import hooks
from cryptnsend.demo.house import House
from cryptnsend.demo.visitor import Visitor

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PASSWORD = "harbour violet tractor ninety"
ANN = "ann.programs@gmail.example"


@pytest.fixture(scope="session")
def token(served: House) -> str:
    """A token with every scope, made on the page."""
    served.run("subscriber", "add", ANN, "--name", "Ann Ruiz", "--password-stdin", stdin=PASSWORD + "\n")
    visitor = Visitor(served.base_url, served.context())
    page = visitor.get("/sign-in")
    visitor.send(page, page.form(with_field="password"), address=ANN, password=PASSWORD)
    page = visitor.get("/account/programs")
    form = page.form(with_field="days")
    form.values = [(name, value) for name, value in form.values if name != "scope"]
    form.values += [("scope", each) for each in ("send", "status", "expire", "list")]
    made = visitor.send(page, form, name="Practice", password=PASSWORD)
    found = re.search(r"cns_[0-9a-z]{40}", made.html)
    assert found, made.html
    return found[0]


@pytest.fixture
def private(tmp_path: Path) -> Callable[[str, str], str]:
    """Write a file that only its owner can read, and return its path."""

    def write(name: str, text: str) -> str:
        file = tmp_path / name
        file.write_text(text)
        file.chmod(0o600)
        return str(file)

    return write


def run(*command: str, stdin: bytes = b"", **environ: str) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=120, env=os.environ | environ)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


def arrived(served: House, recipient: str) -> bool:
    return "secure message" in str(served.internet.wait_for(recipient).parsed["Subject"])


def test_the_python_example_sends_and_again_sends_nothing(
    served: House, token: str, private: Callable[[str, str], str]
) -> None:
    call = [
        sys.executable, str(EXAMPLES / "api.py"), served.base_url, private("token", token + "\n"), "q1@yahoo.example",
        private("results.pdf", "%PDF-1.7"), str(served.config.tls.certificate),
    ]  # fmt: skip
    first, again = run(*call), run(*call)
    assert "q1@yahoo.example" in first
    assert first.splitlines()[0] == again.splitlines()[0]
    assert arrived(served, "q1@yahoo.example")


def test_the_curl_example_sends_looks_and_takes_back(
    served: House, token: str, private: Callable[[str, str], str]
) -> None:
    header = private("header", f"Authorization: Bearer {token}\n")
    file, certificate = private("letter.pdf", "%PDF-1.7"), str(served.config.tls.certificate)
    said = run("sh", str(EXAMPLES / "api.sh"), served.base_url, header, "q2@yahoo.example", file, certificate)
    assert '"state":"ended"' in said


def test_the_lines_of_the_manual_work(served: House, token: str, private: Callable[[str, str], str]) -> None:
    manual = (ROOT / "docs" / "api.md").read_text("utf-8")
    [block] = re.findall(r"```sh\n(.*?)```", manual, re.DOTALL)
    send, rest = block.split("# The same with a file")
    environ = {
        "BASE": served.base_url,
        "TOKEN": private("header", f"Authorization: Bearer {token}\n"),
        "FILE": private("file.pdf", "%PDF-1.7"),
        "CURL_CA_BUNDLE": str(served.config.tls.certificate),
    }
    ident = json.loads(run("sh", "-euc", send, **environ))["id"]
    said = run("sh", "-euc", "# The same with a file" + rest, **environ, ID=ident)
    assert said.count('"id"') >= 4
    assert '"state":"ended"' in said


def test_the_webhook_example_believes_what_we_signed_and_nothing_else(private: Callable[[str, str], str]) -> None:
    secret = hooks.new_secret(os.urandom)
    now = int(time.time() * 1000)
    body = hooks.body("opened", 4711, now)
    fields = hooks.headers([hooks.new_secret(os.urandom), secret], 12, body, now)
    script, file = str(EXAMPLES / "webhook.py"), private("secret", secret + "\n")
    shown = [fields["webhook-id"], fields["webhook-timestamp"], fields["webhook-signature"]]
    assert run(sys.executable, script, file, *shown, stdin=body) == "message.opened 4711\n"
    other = private("other", hooks.new_secret(os.urandom))
    old = hooks.headers([secret], 12, body, now - 3_600_000)
    for call, octets in (
        ([file, *shown], body + b" "),
        ([other, *shown], body),
        ([file, old["webhook-id"], old["webhook-timestamp"], old["webhook-signature"]], body),
    ):
        refused = subprocess.run([sys.executable, script, *call], input=octets, capture_output=True, timeout=60)
        assert refused.returncode == 1, refused.stdout
