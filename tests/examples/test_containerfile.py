"""The Containerfile: what it copies is there, and its users, ports and rights are those of everything else."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from cryptnsend import rights
from cryptnsend.config import Config
from tests.support.homes import make_home

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "examples" / "Containerfile"
UNIT = ROOT / "examples" / "systemd" / "cryptnsend.service"


def instructions(name: str) -> list[str]:
    return re.findall(rf"(?m)^{name} (.*)$", FILE.read_text())


def test_what_it_copies_is_there_and_is_all_that_the_package_is_made_of() -> None:
    sources = [each for line in instructions("COPY") for each in line.split()[:-1]]
    assert all((ROOT / each).exists() for each in sources)
    assert {"pyproject.toml", "README.md", "LICENSE", "cryptnsend", "web"} == set(sources)


def test_it_makes_the_users_that_init_would_make(short_folder: Path) -> None:
    config: Config = make_home(short_folder / "home", {})
    wanted = {getattr(config.users, role) for role in rights.ROLES}
    (made,) = [line for line in instructions("RUN") if "useradd" in line]
    roles = re.search(r"for role in ([a-z ]+);", made)
    assert roles
    assert {f"cryptnsend-{role}" for role in roles[1].split()} == wanted
    assert f"groupadd --system --gid 850 {config.users.group} " in made
    options = shlex.split(re.search(r"useradd (.*?) cryptnsend-\$role", made)[1])  # type: ignore[index]
    assert {"--system", "--no-create-home", "/nonexistent", "/usr/sbin/nologin"} <= set(options)


def test_it_has_the_ports_and_rights_of_the_unit() -> None:
    assert instructions("EXPOSE") == ["25 443 465 587 993 995"]
    (given,) = re.findall(r"--cap-add ([A-Z_,]+)", FILE.read_text())
    (unit,) = re.findall(r"(?m)^CapabilityBoundingSet=(.*)$", UNIT.read_text())
    assert {f"CAP_{name}" for name in given.split(",")} == set(unit.split())


def test_every_build_by_podman_keeps_the_health_check() -> None:
    assert len(instructions("HEALTHCHECK")) == 1
    builds = re.findall(r"podman build[^\n]*", FILE.read_text() + (ROOT / "Makefile").read_text())
    assert len(builds) == 2
    assert all(each.startswith("podman build --format docker") for each in builds)
