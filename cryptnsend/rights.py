"""Which user of the system plays which role, and what in a home is whose?

Started as root, each role runs as a user of its own: what one of them holds, the others cannot read, whatever code runs
in them. What they work on together belongs to a group that all of them are in, in folders that hand it on (setgid).

| place | user | who else |
|---|---|---|
| keeper/ | keeper | nobody |
| run/keeper/ | keeper | the group reaches the sockets, where the keeper asks the kernel who it is |
| data/, data/blobs/ | root | the group writes |
| dkim/ | courier | nobody |
| tls/, recovery/ | root | nobody |
| run/tls/ | root | each door reads its own copy of certificate and key |
| cryptnsend.toml, run/ | root | the group reads |
| run/metrics/ROLE/ | that role | the group reads |
| run/ and the name of another role | that role | the group reaches the courier's bell |

Folders that a role can write may hold whatever a taken-over role put there, so nothing here follows a link.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cryptnsend.config import Config, web_root
from cryptnsend.core.contracts import BUNDLE
from cryptnsend.core.errors import ConfigError
from cryptnsend.home import FOLDERS, Home

ROLES = ("keeper", "submission", "inbound", "mailbox", "portal", "courier")
ROOT = ""  # whose places of no role are
UMASK_SHARED, UMASK_PRIVATE = 0o007, 0o077
PATIENCE = 60.0  # seconds for an interpreter to start
ONE_USER = (
    "All roles run as one user of this machine, so a role that is taken over can read the keeper's files. "
    "docs/operations.md, 'One user for all roles', says what that means."
)
ELSEWHERE = (
    "Install CryptnSend where other users may read, for instance with `python3 -m venv /opt/cryptnsend` and, in its"
    " source folder, `/opt/cryptnsend/bin/python -m pip install .`; then start /opt/cryptnsend/bin/cryptnsend."
)

# What a role has to reach before it can start: its code, the pages, and the configuration in its home.
_PROBE = """
import os, sys
try:
    import cryptnsend.config
    os.listdir(sys.argv[1])
    os.stat(sys.argv[2])
    for name in sys.argv[3:]:
        open(name).close()
except OSError as error:
    sys.exit(f"{error.filename} ({error.strerror})")
except ImportError as error:
    sys.exit(f"the module {error.name}")
"""


class NotApart(ConfigError):
    """The roles cannot have users of their own: *why*, and the *remedy*. `words` say what that means, and why."""

    def __init__(self, why: str, remedy: str):
        super().__init__(f"{why} {remedy}")
        self.words, self.remedy = f"{ONE_USER} Why: {why}", remedy


@dataclass(frozen=True, slots=True)
class People:
    """The users that play the roles, by role, and the group that they share."""

    uids: Mapping[str, int]
    gid: int

    def launch(self, role: str) -> dict[str, Any]:
        """Return what `subprocess.Popen` needs to start *role* as its user, with no group but the shared one."""
        return {"user": self.uids[role], "group": self.gid, "extra_groups": [self.gid], "umask": UMASK_SHARED}

    def may_ask(self) -> dict[str, frozenset[int]]:
        """Return whom the keeper serves on each role's socket: that role and root; root alone on the owner's."""
        return {role: frozenset({uid, 0}) for role, uid in self.uids.items()} | {"owner": frozenset({0})}


class Place(NamedTuple):
    """A folder of a home: whose it is, its mode, the mode of its files, and whether `settle` gives them that."""

    folder: str
    owner: str
    mode: int
    files: int
    is_settled: bool = True


APART = (
    Place("data", ROOT, 0o2770, 0o660),
    Place("data/blobs", ROOT, 0o2770, 0o640),
    Place("keeper", "keeper", 0o700, 0o600),
    Place("dkim", "courier", 0o700, 0o600),
    Place("tls", ROOT, 0o700, 0o600),
    Place("recovery", ROOT, 0o700, 0o600),
    Place("run", ROOT, 0o2750, 0o640),
    Place("run/keeper", "keeper", 0o2750, 0o600),
    Place("run/submission", "submission", 0o700, 0o600),
    Place("run/inbound", "inbound", 0o700, 0o600),
    Place("run/mailbox", "mailbox", 0o700, 0o600),
    Place("run/portal", "portal", 0o700, 0o600),
    Place("run/courier", "courier", 0o2750, 0o600),
    Place("run/metrics", ROOT, 0o2750, 0o640),
    *(Place(f"run/metrics/{role}", role, 0o2750, 0o640) for role in ROLES),
    Place("run/tls", ROOT, 0o2750, 0o400, False),  # each file is one door's
    Place("", ROOT, 0o750, 0o640, False),  # what else lies there is not ours to hand on
)
TOGETHER = tuple(Place(place.folder, ROOT, 0o700, 0o600, place.is_settled) for place in APART)


def find(config: Config) -> People:
    """Return the users that the settings name. Raises NotApart if there are none, or one user would play two roles."""
    names = {role: str(getattr(config.users, role)) for role in ROLES}
    if config.users.separate == "never":
        raise NotApart('[users] separate = "never" says so.', "If that is not meant, take it out.")
    uids, gid = {role: _uid(name) for role, name in names.items()}, _gid(config.users.group)
    missing = [names[role] for role, uid in uids.items() if uid is None]
    if missing or gid is None:
        lacking = [f"group {config.users.group}"] * (gid is None) + [f"user {name}" for name in missing]
        commands = "; ".join(shlex.join(command) for command in _commands(config))
        raise NotApart(f"There is no {', no '.join(lacking)}.", f"As root: {commands}")
    found = {role: uid for role, uid in uids.items() if uid is not None}
    if 0 in found.values() or len(set(found.values())) < len(found):
        remedy = "Name others: allowed are different users, none of them root."
        raise NotApart(f"[users] has {', '.join(names.values())}.", remedy)
    return People(found, gid)


def apart(config: Config, *, others_run: bool = False) -> People:
    """
    Arrange the home for a user per role and return these, or put it back for one user and raise NotApart.

    Raises ConfigError if the settings insist on users of their own, and it cannot be; or if *others_run*: roles that
    are users of their own already, whose home must not be put back.
    """
    home = Home(config.server.home)
    try:
        if os.geteuid() != 0:
            raise NotApart("Only root can start processes as other users.", "Start `cryptnsend serve` as root.")
        people = find(config)
        settle(config, people)
        probe(config, people)
    except NotApart as reason:
        if config.users.separate == "always":
            raise ConfigError(f'{config.source}: [users] separate = "always" cannot be: {reason}') from reason
        if others_run and is_apart(home):
            words = f"{home.path}: roles run on this home as users of their own, and this one cannot."
            raise ConfigError(f"{words} Why: {reason}") from reason
        if os.geteuid() == 0 and is_apart(home):
            settle(config, None, deep=True)
        else:
            _make_folders(home)
        raise
    return people


def check(config: Config) -> None:
    """Raise NotApart if one user plays all roles of this home, or would from its next start on."""
    people, served = find(config), is_apart(Home(config.server.home))
    if os.geteuid() == 0:
        # Until root serves it, a home is closed to the roles on purpose.
        probe(config, people, inside=served)
    if not served:
        raise NotApart("This home was not served by root yet.", "Start `cryptnsend serve` as root, which arranges it.")


def probe(config: Config, people: People, *, inside: bool = True) -> None:
    """
    Let each user try to reach code, home and, *inside* it, configuration.

    Raises NotApart with what one of them cannot reach.
    """
    places = (str(Home(config.server.home).path), str(config.source))[: 2 if inside else 1]
    for role, uid in people.uids.items():
        who = f"[users] {role} (uid {uid})"
        launch = people.launch(role)
        try:
            done = subprocess.run(
                [sys.executable, "-c", _PROBE, str(web_root()), *places],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
                **launch,
            )
        except OSError as error:
            closed = _closed(sys.executable, people.gid)
            raise NotApart(f"{who} cannot run {sys.executable}{closed}.", ELSEWHERE) from error
        if done.returncode:
            place = (done.stderr.strip().splitlines() or ["its code"])[-1]
            closed = _closed(places[-1], people.gid)
            if place.startswith(places):
                remedy = "Open that folder to others with `chmod o+x`, or make a home elsewhere, as below /srv."
            else:
                remedy, closed = ELSEWHERE, _closed(str(Path(__file__)), people.gid)
            raise NotApart(f"{who} cannot reach {place}{closed}.", remedy)


def is_apart(home: Home) -> bool:
    """Say whether a home is arranged for a user per role."""
    try:
        return bool((home.path / "data").stat().st_mode & stat.S_ISGID)
    except (FileNotFoundError, PermissionError):
        return False


def renew(config: Config, *, deep: bool = False) -> None:
    """
    Give what a command of root's has made to whom it belongs, if the home is arranged for a user per role.

    *deep* looks at each blob, as after a restore.
    """
    if os.geteuid() == 0 and is_apart(Home(config.server.home)):
        settle(config, find(config), deep=deep)


def keeper_launch(home: Home) -> dict[str, Any]:
    """Return what `subprocess.Popen` needs to start a keeper as whoever owns the keeper's folder."""
    if os.geteuid() != 0 or not is_apart(home):
        return {}
    gid = (home.path / "data").stat().st_gid
    return {"user": home.keeper.stat().st_uid, "group": gid, "extra_groups": [gid], "umask": UMASK_SHARED}


def settle(config: Config, people: People | None, *, deep: bool = False) -> None:
    """
    Give everything in the home to whom it belongs, with None to one user; as root, and repeatable.

    A server may run meanwhile: what is right already is not touched. Blobs are looked at one by one only if their
    folder was arranged otherwise, or if *deep*. Raises NotApart if something that should be a folder is none.
    """
    home = Home(config.server.home)
    _make_folders(home)
    uids: dict[str, int] = {ROOT: 0} | (dict(people.uids) if people is not None else {})
    gid = 0 if people is None else people.gid
    if people is not None:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(home.deletions_lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    for place in TOGETHER if people is None else APART:
        wanted = _Wanted(uids[place.owner], gid, place.mode)
        # Whoever comes first makes the files that all of them write.
        anybody = frozenset(uids.values()) if place.mode & stat.S_IWGRP else frozenset()
        path = home.path / place.folder if place.folder else home.path
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise NotApart(
                f"{path} cannot be used as a folder: {error.strerror}.", "Put a folder in its place."
            ) from error
        try:
            is_new = not wanted.is_met(os.fstat(folder))
            if place.is_settled and (is_new or deep or place.folder != "data/blobs"):
                _settle_files(folder, wanted._replace(mode=place.files, anybody=anybody))
            # The folder last: until then an interrupted pass over its files is begun anew.
            wanted.give(folder)
        finally:
            os.close(folder)
    for file, owner, mode in _single_files(config):
        if file.parent in (home.path, home.run) and file.exists():
            _settle_file(str(file), None, _Wanted(0, 0, 0o600) if people is None else _Wanted(uids[owner], gid, mode))


def _single_files(config: Config) -> Iterator[tuple[Path, str, int]]:
    """Yield (file, owner, mode) of files that are not what their folder's others are; each only where it is ours."""
    home, delivery, programs = Home(config.server.home), config.delivery, config.programs
    yield home.deletions_lock, ROOT, 0o660
    yield config.source, ROOT, 0o640
    if delivery.smarthost_password_file:
        yield home.path / delivery.smarthost_password_file, "courier", 0o600
    if delivery.authorities:
        yield home.path / delivery.authorities, ROOT, 0o640
    if programs.profile_key:
        yield home.path / programs.profile_certificate, "portal", 0o600
        yield home.path / programs.profile_key, "portal", 0o600


class _Wanted(NamedTuple):
    """Whose a file or folder should be, and its mode; *anybody* else may own it as well."""

    uid: int
    gid: int
    mode: int
    anybody: frozenset[int] = frozenset()

    def is_met(self, found: os.stat_result) -> bool:
        return self._is_owned(found) and stat.S_IMODE(found.st_mode) == self.mode

    def give(self, fd: int) -> None:
        found = os.fstat(fd)
        if not self._is_owned(found):
            os.fchmod(fd, self.mode & 0o700)  # never open to the wrong one in between
            os.fchown(fd, self.uid, self.gid)
        if not self.is_met(os.fstat(fd)):
            os.fchmod(fd, self.mode)

    def _is_owned(self, found: os.stat_result) -> bool:
        return found.st_gid == self.gid and (found.st_uid == self.uid or found.st_uid in self.anybody)


def _settle_files(folder: int, wanted: _Wanted) -> None:
    with os.scandir(folder) as entries:
        names = [(entry.name, entry.inode()) for entry in entries if entry.is_file(follow_symlinks=False)]
    # Blobs share files; a second name of a file elsewhere is not ours to hand on. Counting alone would not tell:
    # whoever takes a name of theirs away meanwhile makes the sum right. So the file has to begin as ours do, too.
    here = Counter(inode for _, inode in names)
    for name, inode in names:
        _settle_file(name, folder, wanted, here[inode])


def _settle_file(name: str, folder: int | None, wanted: _Wanted, names: int = 1) -> None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:  # gone since, or not what it was: a running server's temporary file, or somebody plays with links
        return
    try:
        found = os.fstat(fd)
        is_shared = 1 < found.st_nlink <= names and os.pread(fd, len(BUNDLE), 0) == BUNDLE
        if stat.S_ISREG(found.st_mode) and (found.st_nlink == 1 or is_shared):
            wanted.give(fd)
    finally:
        os.close(fd)


def _make_folders(home: Home) -> None:
    """Make folders that a home of an earlier version lacks."""
    for name in FOLDERS:
        (home.path / name).mkdir(mode=0o700, parents=True, exist_ok=True)


def exposed(config: Config) -> Iterator[tuple[Path, str]]:
    """Yield each place that more people can use than should, or others, and what to do about it."""
    home = Home(config.server.home)
    people = find(config) if is_apart(home) else None
    uids: dict[str, int] = {ROOT: 0} | (dict(people.uids) if people is not None else {})
    for place in TOGETHER if people is None else APART:
        folder = home.path / place.folder if place.folder else home.path
        if not folder.is_dir():
            continue
        looked = [(folder, place.mode)]
        # There may be millions of blobs, and their folder lets nobody in who should not read them.
        looked += [(file, place.files) for file in folder.iterdir() if place.folder != "data/blobs" and file.is_file()]
        for path, mode in looked:
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode) or (people is not None and path == home.deletions_lock):
                continue
            if excess := stat.S_IMODE(found.st_mode) & ~mode & 0o077:
                yield path, f"chmod {stat.S_IMODE(found.st_mode) & ~excess:o} {shlex.quote(str(path))}"
            elif people is not None and place.owner != ROOT and found.st_uid != uids[place.owner]:
                yield path, "start `cryptnsend serve` as root, which gives it to whom it belongs"


def make_users(config: Config) -> list[str]:
    """
    Make the users and the group that the settings name and that are missing; return their names. As root.

    Raises NotApart if the tools are missing or refuse.
    """
    made = []
    for command in _commands(config):
        tool = shutil.which(command[0], path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
        if tool is None:
            raise NotApart(f"{command[0]} is missing, so no users could be made.", f"As root: {shlex.join(command)}")
        done = subprocess.run([tool, *command[1:]], capture_output=True, text=True, check=False)
        if done.returncode:
            remedy = "Make the users as this system does, and name them in [users]."
            raise NotApart(f"`{shlex.join(command)}` failed: {done.stderr.strip()}.", remedy)
        made.append(command[-1])
    return made


def _commands(config: Config) -> list[list[str]]:
    """Return the commands that make what is missing; numbers need nothing."""
    users, commands = config.users, []
    if _gid(users.group) is None:
        commands.append(["groupadd", "--system", users.group])
    for role in ROLES:
        name = getattr(users, role)
        if _uid(name) is None:
            options = ["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
            commands.append(["useradd", *options, "--gid", users.group, name])
    return commands


def _uid(name: str) -> int | None:
    if name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _gid(name: str) -> int | None:
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _closed(place: str, gid: int) -> str:
    """Say which folder on the way to *place* is closed to the group *gid*: as it is written, then where links lead."""
    for path in (Path(place).absolute(), Path(os.path.realpath(place))):
        for folder in reversed(path.parents):
            found = folder.stat()
            if not found.st_mode & (stat.S_IXGRP if found.st_gid == gid else stat.S_IXOTH):
                return f": {folder} is closed to other users"
    return ""
