"""What is said where a server cannot have a user for each role, or has not yet?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cryptnsend import rights
from cryptnsend.cli import doctor
from cryptnsend.config import Config
from cryptnsend.core.errors import ConfigError
from cryptnsend.home import Home
from tests.support.apart import PEOPLE, modes, with_users
from tests.support.homes import make_home


def test_missing_users_are_named_with_the_commands_that_make_them(config: Config) -> None:
    users = with_users(config, portal="cs-nobody-portal", group="cs-nobody")
    with pytest.raises(rights.NotApart) as why:
        rights.find(users)
    assert "There is no group cs-nobody, no user cs-nobody-portal." in str(why.value)
    assert "groupadd --system cs-nobody; useradd --system " in str(why.value)
    assert str(why.value).endswith(" --gid cs-nobody cs-nobody-portal")


@pytest.mark.parametrize("twice", [{"portal": "61004"}, {"courier": "61001"}])
def test_one_user_for_two_roles_is_no_separation(config: Config, twice: dict[str, str]) -> None:
    with pytest.raises(rights.NotApart, match="allowed are different users"):
        rights.find(with_users(config, **twice))


def test_a_home_that_the_users_cannot_reach_is_put_back_and_the_closed_folder_named(
    config: Config, as_root: bool
) -> None:
    """The folder of the home is for its owner only here."""
    if not as_root:
        return
    home = Home(config.server.home)
    before = modes(config)
    with pytest.raises(rights.NotApart, match="is closed to other users"):
        rights.apart(with_users(config))
    del before["run/tls"], before["run"]  # a folder that was made is no harm
    assert {name: modes(config)[name] for name in before} == before
    assert not rights.is_apart(home)
    with pytest.raises(ConfigError, match='"always" cannot be'):
        rights.apart(with_users(config, separate="always"))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ('"$1 (Permission denied)"', "Open that folder to others with `chmod o+x`, or make a home elsewhere"),
        ('"the module cryptnsend"', "cannot reach the module cryptnsend"),
    ],
)
def test_what_cannot_be_reached_decides_what_to_do(
    config: Config, as_root: bool, monkeypatch: pytest.MonkeyPatch, told: str, said: str
) -> None:
    """A shell in the place of an interpreter says what a user could not reach; the home's folder is closed here."""
    if not as_root:
        return
    monkeypatch.setattr(sys, "executable", "/bin/sh")
    monkeypatch.setattr(rights, "_PROBE", f"echo {told} >&2; exit 1")
    with pytest.raises(rights.NotApart) as why:
        rights.probe(with_users(config), PEOPLE)
    assert said in str(why.value)
    is_home = "$1" in told
    assert (f"{config.source.parent.parent} is closed to other users" in str(why.value)) is is_home
    assert (rights.ELSEWHERE in str(why.value)) is not is_home


def test_a_program_below_roots_own_folder_is_told_where_to_install_it(
    config: Config, as_root: bool, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a virtual environment below /root, whose interpreter is a link to one that everybody can run."""
    if not as_root:
        return
    closed = short_folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").symlink_to(os.path.realpath(sys.executable))
    monkeypatch.setattr(sys, "executable", str(closed / "python"))
    short_folder.chmod(0o755)
    with pytest.raises(rights.NotApart) as why:
        rights.probe(with_users(config), PEOPLE)
    assert f"cannot run {closed}/python: {closed} is closed to other users. Install CryptnSend where" in str(why.value)
    assert "`python3 -m venv /opt/cryptnsend`" in str(why.value)


def test_doctor_and_serve_say_the_same_about_one_user(
    config: Config, as_root: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not as_root:
        return
    monkeypatch.setenv("CRYPTNSEND_USERS_SEPARATE", "auto")
    monkeypatch.setenv("CRYPTNSEND_USERS_GROUP", "cs-nobody")
    with pytest.raises(rights.NotApart) as why:
        rights.apart(Config.load(config.source))
    found = {each.check: each for each in doctor.users(Config.load(config.source))}
    assert (found["users"].words, found["users"].remedy) == (why.value.words, why.value.remedy)
    assert why.value.words.startswith(rights.ONE_USER)
    assert "Why: There is no group cs-nobody" in why.value.words


def test_doctor_says_of_a_home_that_root_has_not_served_yet_what_to_do(
    config: Config, as_root: bool, short_folder: Path
) -> None:
    if not as_root:
        return
    short_folder.chmod(0o755)
    (finding,) = doctor.users(with_users(config))
    assert finding.remedy.startswith(("Start `cryptnsend serve` as root", "Install CryptnSend where"))


def test_a_server_that_insists_on_users_of_their_own_does_not_start_without(config: Config) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cryptnsend", "serve", "--home", str(config.server.home)],
        env=os.environ | {"CRYPTNSEND_USERS_SEPARATE": "always", "CRYPTNSEND_USERS_GROUP": "cs-nobody"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3
    assert '[users] separate = "always" cannot be' in done.stderr


@pytest.mark.parametrize("value", ["", "Root", "0", "-1", "a b", "x" * 33, "../etc"])
def test_a_user_is_a_name_or_a_number_above_0(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"\[users\] keeper"):
        Config.parse(f'[users]\nkeeper = "{value}"\n', tmp_path / "x.toml", {})


def test_users_are_made_by_the_systems_own_tools(
    config: Config, as_root: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real useradd, on files that are not this machine's."""
    if not as_root:
        return
    (tmp_path / "system" / "etc").mkdir(parents=True)
    for name in ("passwd", "group", "shadow", "gshadow"):
        (tmp_path / "system" / "etc" / name).touch()
    (tmp_path / "bin").mkdir()
    for name in ("useradd", "groupadd"):
        tool = tmp_path / "bin" / name
        tool.write_text(f'#!/bin/sh\nexec /usr/sbin/{name} --prefix {tmp_path}/system "$@"\n')
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    names = {role: f"cs-test-{role}" for role in rights.ROLES}
    made = rights.make_users(with_users(config, **names, group="cs-test"))
    assert made == ["cs-test", *names.values()]
    rows = [line.split(":") for line in (tmp_path / "system" / "etc" / "passwd").read_text().splitlines()]
    assert [row[0] for row in rows] == list(names.values())
    group = (tmp_path / "system" / "etc" / "group").read_text().split(":")[2]
    assert {row[3] for row in rows} == {group}
    assert all(int(row[2]) < 1000 and row[5:] == ["/nonexistent", "/usr/sbin/nologin"] for row in rows)


def test_a_test_home_is_one_users(short_folder: Path) -> None:
    """Or tests would depend on the users of the machine they run on."""
    assert make_home(short_folder / "other").users.separate == "never"
