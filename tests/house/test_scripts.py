"""What may a script rely on? Every command answers in JSON, alone on standard output, with ids that nobody rounds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cryptnsend.__main__ import main
from cryptnsend.clock import SystemClock
from cryptnsend.core.answers import IDS, for_scripts
from cryptnsend.flow.domains import Domains
from cryptnsend.store.records import filelinks
from docs import reference
from tests.flow.conftest import Desk
from tests.support.authenticator import Passkey
from tests.support.house import DAY, PASSWORD, SOURCE, House
from tests.support.terminal import Operator

ANN, BOB, PAT = "ann@gmail.example", "bob@gmail.example", "pat@yahoo.example"
OLIVE, CARL, MIA, DORA = (f"{name}@clinic.example" for name in ("officer", "carl", "mia", "dora"))
NEW = "lantern gravel mosaic forty"
EXACT = 1 << 53  # from here on, JavaScript and jq round whole numbers
WITHOUT = {  # commands that have no --json, and why
    "serve": "its log lines are JSON, and it answers nothing",
    "demo": "it is for people, and says by its exit code whether all went well",
    "message export": "it writes the message itself, also to standard output",
    "audit export": "it always writes JSON, an entry a line",
}
LEAVES = {
    context.command_path.partition(" ")[2]: context.command
    for context in reference.walk(main, ("cryptnsend",))
    if not isinstance(context.command, click.Group)
}


def values(answer: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value in an answer with the name it stands under."""
    if isinstance(answer, dict):
        for key, each in answer.items():
            yield from values(each, key)
    elif isinstance(answer, list):
        for each in answer:
            yield from values(each, name)
    else:
        yield name, answer


def check(answer: Any) -> None:
    """Check what holds for every answer."""
    assert isinstance(answer, dict | list)
    for name, value in values(answer):
        if isinstance(value, int) and not isinstance(value, bool):
            assert abs(value) < EXACT, (name, value)
            assert name not in IDS, (name, value)
        if isinstance(value, str):
            assert not value.startswith(("{", "[{")), f"{name} is JSON inside a string: {value}"


def link(house: House, message: int) -> int:
    """Write the row of a link by which nothing can be had; return its number."""
    about = house.engine.query("SELECT org FROM messages WHERE id = :id", id=message)[0]
    pair = house.engine.query("SELECT min(id) AS id FROM pairs")[0]["id"]
    now = house.clock.now()
    row = filelinks.LinkRow(
        5 << 54, about["org"], message, b"l" * 32, "secret", b"", "", b"", b"", pair, "active", 0, 0, now + DAY, now
    )
    house.engine.write(lambda rows: filelinks.add(rows, row)).result()
    return row.id


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_answers_in_json_or_says_why_not(path: str) -> None:
    has = any("--json" in parameter.opts for parameter in LEAVES[path].params)
    assert has is (path not in WITHOUT), path


class Script:
    """An operator's script: it asks for JSON, checks what comes, and remembers which commands there were."""

    def __init__(self, house: House, operator: Operator, folder: Path):
        self.house, self.operator, self.folder = house, operator, folder
        self.org, self.message = house.organisation("Clinic"), 0
        self.asked: set[str] = set()

    def ask(self, path: str, *arguments: object, passwords: tuple[str, ...] = (), code: int | None = 0) -> Any:
        done = self.operator.run(*path.split(), *arguments, "--json", passwords=passwords, code=code)
        answer = json.loads(done.stdout)
        check(answer)
        self.asked.add(path)
        return answer


def people_and_devices(script: Script) -> None:
    """Subscribers, and what they sign in with."""
    ask, house = script.ask, script.house
    assert ask("subscriber add", ANN, "--own", passwords=(PASSWORD,))["recovery"]["code"]
    ask("subscriber add", BOB, passwords=(PASSWORD,))
    assert ask("subscriber invite", PAT)["invitation"].isdecimal()
    listed = {each["address"]: (each["organisation"], each["single"]) for each in ask("subscriber list")}
    assert (listed[ANN], listed[BOB]) == ((None, True), ("Clinic", False))
    made = ask("device add", ANN, "--name", "Outlook", passwords=(PASSWORD,))
    assert ask("subscriber show", ANN)["devices"][0]["id"] == made["id"]
    assert ask("device list", ANN)[0]["id"] == made["id"]
    revoked = ask("device revoke", made["id"])["revoked"]
    assert house.engine.query("SELECT revoked FROM devices WHERE id = :id", id=int(made["id"])) == [
        {"revoked": revoked}
    ]
    assert ask("device list", ANN) == []
    session, passkey = house.session(ANN), Passkey()
    begun = house.accounts.begin_passkey(session, PASSWORD, SOURCE)
    added = house.accounts.add_passkey(session, "Phone", passkey.make(begun.challenge), b"")
    assert ask("passkey list", ANN)[0]["id"] == str(added.id)
    assert ask("passkey revoke", ANN, "Phone")["id"] == str(added.id)


def programs(script: Script) -> None:
    """Tokens and webhooks, and who is stopped."""
    ask, house = script.ask, script.house
    session = house.session(ANN)
    wanted = {"name": "Practice", "scopes": ["send"], "days": 30, "password": PASSWORD, "source": SOURCE}
    token = house.portal.api_tokens.add(session, **wanted).id
    assert [(each["id"], each["scopes"]) for each in ask("token list", ANN)] == [(str(token), ["send"])]
    assert ask("token revoke", token)["revoked"]
    said = {"url": "https://hooks.practice.example/in", "events": ["opened"]}
    hook = house.portal.webhooks.add(session, **said, password=PASSWORD, source=SOURCE).id
    assert [(each["id"], each["events"]) for each in ask("webhook list", ANN)] == [(str(hook), ["opened"])]
    assert ask("webhook end", hook)["ended"]
    assert ask("webhook list", ANN) == []
    assert ask("subscriber disable", BOB)["state"] == "disabled"
    assert ask("subscriber passwd", ANN, passwords=(PASSWORD, NEW))["state"] == "active"


def messages(script: Script) -> None:
    """What was sent, and what waits to leave."""
    ask, house = script.ask, script.house
    script.message = message = house.submit(ANN, [PAT], house.mail())
    assert ask("message list") == [{**ask("message list", "--author", ANN)[0], "id": str(message)}]
    assert ask("message show", message)["thread"].isdecimal()
    assert ask("message reports") == []
    assert ask("message expire", message)["recipients"][0]["state"] == "suspended"
    assert ask("message restore", message)["recipients"][0]["state"] == "active"
    house.submit(ANN, [PAT], house.mail())
    notice, *_ = [each["id"] for each in ask("queue list", "--kind", "notice", "--state", "due")]
    assert ask("queue list")[0]["outcome"] == {}
    ask("queue list", "--counts")
    assert ask("queue count", "--by", "kind")[0]["count"] > 0
    assert ask("queue show", notice)["id"] == notice
    for act, state in (("hold", "held"), ("release", "due"), ("retry", "due"), ("drop", "cancelled")):
        assert ask(f"queue {act}", notice) == {"id": notice, "state": state}
    assert {each["state"] for each in ask("queue hold", "--kind", "receipt")} == {"held"}


def rules(script: Script) -> None:
    """An organisation's rules."""
    ask = script.ask
    assert ask("policy explain", "--from", ANN, "--to", PAT)["decision"] == "vault"
    assert ask("policy default", "tls-or-vault", "--why", "x")["holds"] == "vault"
    assert ask("policy set", "plain", "forbid", "--why", "x")["holds"] is False
    assert ask("policy show")["plain"] is False
    rules = CliRunner().invoke(main, ["policy", "rules", "--json"])  # of no home
    assert "life-most-days" in rules.stdout
    check(json.loads(rules.stdout))
    script.asked.add("policy rules")
    assert [each["version"] for each in ask("policy history")] == [2, 1]
    assert [each["rule"] for each in ask("policy compare", 1, 2)] == ["plain-token"]
    assert ask("policy revert", 1)["version"] == 3


def domains_and_looks(script: Script) -> None:
    """Its domains, and how it looks."""
    ask = script.ask
    assert ask("domain add", "practice.example")["name"] == "practice.example"
    assert [each["name"] for each in ask("domain list")] == ["practice.example"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Domains, "check", lambda *_: False)  # no name server answers here
        assert ask("domain check", "practice.example", code=1)["proven"] is False
    assert ask("look preview", "--accent", "#8a2b6b")["said"] == {"accent": "#8a2b6b"}
    assert ask("look set", "--accent", "#8a2b6b")["version"] == 1
    assert ask("look show")["said"] == {"accent": "#8a2b6b"}
    assert [each["version"] for each in ask("look history")] == [1]
    assert [each["after"] for each in ask("look compare", 0, 1)] == ["#8a2b6b"]
    assert ask("look reset")["version"] == 2
    assert ask("look revert", 1)["said"] == {"accent": "#8a2b6b"}
    assert ask("domain drop", "practice.example") == {"domain": "practice.example"}


def held_mail(script: Script) -> None:
    """What was to leave plain."""
    ask, house, tmp_path = script.ask, script.house, script.folder
    number = house.submit(ANN, [PAT], house.mail(":: Insurance", "His SSN is 219-44-1234."))
    Desk(house).deliver()
    assert [(each["message"], each["rules"]) for each in ask("hold list")] == [(str(number), ["ssn"])]
    assert ask("hold encrypt", number)["state"] == "encrypt"
    (tmp_path / "mail.eml").write_bytes(house.mail("Insurance", "His SSN is 219-44-1234."))
    assert [each["rule"] for each in ask("hold check", tmp_path / "mail.eml", code=None)] == ["ssn"]


def trail_and_archive(script: Script) -> None:
    """What a practice has to prove."""
    ask, tmp_path = script.ask, script.folder
    message = script.message
    assert {each["problem"] for each in ask("audit verify")} == {""}
    assert {each["object"] for each in ask("audit show", "--message", message)} == {str(message)}
    assert ask("audit checkpoint", "--out", tmp_path / "checkpoints.json")["checkpoints"] > 1
    ask("vault verify")
    own = ("--organisation", next(each["organisation"] for each in ask("audit verify") if each["name"] == ANN))
    assert {each["id"] for each in ask("archive search", *own)} >= {str(message)}
    assert ask("archive hold", "Smith", "--message", message, "--reason", "A judge asked for it.", *own)
    assert [each["subject"] for each in ask("archive holds", *own)] == [str(message)]
    assert ask("archive release", "Smith", *own) == {"case": "Smith", "holds": 1}
    assert {tuple(each["problems"]) for each in ask("archive verify")} == {()}
    assert ask("archive copies", *own) == []
    assert ask("archive rule", "one", *own)["officers"] == "one"
    case = ("--officer", ANN, "--reason", "A judge asked for it.", "--out", tmp_path / "case.zip")
    assert ask("archive export", ANN, *case, passwords=(NEW,))["messages"] > 1
    assert {each["id"] for each in ask("message recall", "--message", message, *own)} == {str(message)}


def roles_and_links(script: Script) -> None:
    """Who may do what, and links for anyone."""
    ask, house, tmp_path = script.ask, script.house, script.folder
    message = script.message
    org = script.org
    clinic = ("--organisation", "Clinic")
    (tmp_path / "people.csv").write_text(f"{DORA},Dora\n")
    assert ask("subscriber import", tmp_path / "people.csv", *clinic)["invited"] == 1
    house.add_subscriber(CARL, organisation=org, name="Carl")
    house.add_subscriber(MIA, organisation=org, name="Mia")
    house.second(OLIVE)
    for path, roles in (("role grant", ["subscriber", "manager"]), ("role revoke", ["subscriber"])):
        typed = (PASSWORD, house.number(OLIVE))
        assert ask(path, CARL, "manager", "--officer", OLIVE, passwords=typed)["roles"] == roles
    assert {each["address"] for each in ask("role list", *clinic)} >= {OLIVE}
    typed = (PASSWORD, house.number(OLIVE))
    assert ask("subscriber hand-over", CARL, "--to", MIA, "--officer", OLIVE, passwords=typed)
    shared = link(house, message)
    assert [each["id"] for each in ask("link list")] == [str(shared)]
    assert ask("link show", shared) == []
    assert ask("link revoke", shared)["state"] == "revoked"


def keys_and_names(script: Script) -> None:
    """Backups, keys, and what DNS and a look at all of it say."""
    ask, house, tmp_path = script.ask, script.house, script.folder
    assert ask("backup", tmp_path / "backup")["signing_keys"] is True
    assert {each["name"] for each in ask("keys list")} >= {"link", "queue", "recovery"}
    assert [each["in_use"] for each in ask("keys rotate", "queue")] == [False, True]
    assert ask("keys renew", ANN) == {"accounts": 1}
    house.stop_keeper()
    assert ask("keys master")["recovery"][0]["code"]
    house.start_keeper()
    ask("dns")
    assert {each["selector"] for each in ask("dkim list")} == {"rsa1", "ed1"}
    assert len(ask("dkim rotate")) == 2
    assert ask("dkim check", "gmail.example", code=1)["keeps_author"] is False
    ask("doctor", code=None)  # what it finds depends on the machine


def test_every_command_answers_as_promised(
    house: House, operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, as an operator's script would run them; each is checked, and none is left out."""
    monkeypatch.setenv("CRYPTNSEND_DELIVERY_NAMESERVERS", "127.0.0.1:9")  # where nobody answers
    house.clock.at = SystemClock().now()  # as the commands have it
    script = Script(house, operator, tmp_path)
    for step in (
        people_and_devices, programs, messages, rules, domains_and_looks, held_mail, trail_and_archive,
        roles_and_links, keys_and_names,
    ):  # fmt: skip
        step(script)
    assert script.asked == set(LEAVES) - set(WITHOUT) - {"init", "recover", "restore"}


def test_a_home_is_made_and_brought_back_by_scripts(short_folder: Path) -> None:
    def ask(*arguments: object, lines: tuple[str, ...] = ()) -> Any:
        done = CliRunner().invoke(main, [*map(str, arguments), "--json"], input="".join(f"{each}\n" for each in lines))
        assert done.exit_code == 0, done.output
        answer = json.loads(done.stdout)
        check(answer)
        return answer

    home, other = short_folder / "home", short_folder / "other"
    host = ("--hostname", "mail.example")
    made = ask("init", "--home", home, *host, "--officer", ANN, "--password-stdin", lines=(PASSWORD,))
    archive, installation = made["recovery"]
    assert (made["home"], Path(archive["file"]).name) == (str(home), f"archive-{ANN}.txt")
    ask("backup", short_folder / "backup", "--home", home)
    assert ask("init", "--home", other, *host, "--for-restore")["recovery"] == []
    back = ask("recover", installation["file"], "--home", other, "--password-stdin", lines=(installation["code"],))
    assert Path(back["master_key"]).is_file()
    assert ask("restore", short_folder / "backup", "--home", other)["signing_keys"] == ["ed1", "rsa1"]
    exported = CliRunner().invoke(main, ["audit", "export", "--organisation", "0", "--home", str(other)]).stdout
    newest = json.loads(exported.splitlines()[-1])
    assert (newest["action"], newest["actor"], newest["detail"]["source"]) == (
        "installation.restored", "owner", "command line",
    )  # fmt: skip


def test_the_exported_audit_trail_is_enough_to_check_the_chain(house: House, operator: Operator) -> None:
    """As a script without our code would: each field by its length and octets, behind the hash of the entry before."""
    house.add_subscriber(ANN)
    house.submit(ANN, [PAT], house.mail())
    operator("queue", "drop", operator.json("queue", "list")[0]["id"])
    before: dict[str, str] = {}
    entries = [json.loads(line) for line in operator("audit", "export").splitlines()]
    for entry in entries:
        check({name: value for name, value in entry.items() if name != "stored"})
        assert json.loads(entry["stored"]).keys() == entry["detail"].keys()
        fields = [b"cryptnsend/v1 audit", bytes.fromhex(before.get(entry["organisation"], "00" * 32))]
        names = ("organisation", "seq", "at", "actor", "action", "object", "stored")
        fields += [str(entry[name]).encode() for name in names]
        framed = b"".join(len(each).to_bytes(4, "big") + each for each in fields)
        assert entry["hash"] == hashlib.sha256(framed).hexdigest()
        before[entry["organisation"]] = entry["hash"]
    assert {"account.added", "message.sealed", "delivery.cancelled"} == {each["action"] for each in entries}


def test_only_ids_become_text() -> None:
    answer = {"id": 1 << 62, "size": 5, "seen": None, "single": True, "of": [{"message": 7, "device": None}], "org": 0}
    assert for_scripts(answer) == {
        "id": str(1 << 62), "size": 5, "seen": None, "single": True, "of": [{"message": "7", "device": None}],
        "org": "0",
    }  # fmt: skip
