"""Which values do the settings have, and what is a wrong one told?

One TOML file (`cryptnsend.toml` in the home) and, over it, the environment: `[ports] portal` is
`CRYPTNSEND_PORTS_PORTAL`. A key that does not exist is an error in both, so that a typing mistake never passes for a
setting. The settings themselves, with unit, default and help, are in settings.py, and by its side in settings_doors.py
and settings_post.py.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from cryptnsend import settings, settings_doors, settings_post
from cryptnsend.core.errors import ConfigError

FILE_NAME = "cryptnsend.toml"
PREFIX = "CRYPTNSEND_"
NEXT = "_NEXT"  # ends the name of the variable with the key that is to take the place of the master key
HOME_VARIABLE = "CRYPTNSEND_HOME"  # which home the commands mean; not a setting, so it needs no section


class Row(NamedTuple):
    """One setting as its documentation shows it."""

    section: str
    key: str
    variable: str
    default: str  # as TOML
    unit: str
    allowed: str
    help: str


@dataclass(frozen=True, slots=True)
class Config:
    """All settings. `Config()` has the defaults; `load` is how a server gets its own."""

    server: settings.Server = field(default_factory=settings.Server)
    tls: settings.Tls = field(default_factory=settings.Tls)
    ports: settings.Ports = field(default_factory=settings.Ports)
    signup: settings.Signup = field(default_factory=settings.Signup)
    limits: settings.Limits = field(default_factory=settings.Limits)
    life: settings.Life = field(default_factory=settings.Life)
    codes: settings.Codes = field(default_factory=settings.Codes)
    sessions: settings_doors.Sessions = field(default_factory=settings_doors.Sessions)
    passwords: settings.Passwords = field(default_factory=settings.Passwords)
    argon2: settings.Argon2 = field(default_factory=settings.Argon2)
    delivery: settings_post.Delivery = field(default_factory=settings_post.Delivery)
    submission: settings_doors.Submission = field(default_factory=settings_doors.Submission)
    inbound: settings_doors.Inbound = field(default_factory=settings_doors.Inbound)
    scan: settings_post.Scan = field(default_factory=settings_post.Scan)
    dlp: settings_post.Dlp = field(default_factory=settings_post.Dlp)
    pdf: settings_post.Pdf = field(default_factory=settings_post.Pdf)
    mailbox: settings_doors.Mailbox = field(default_factory=settings_doors.Mailbox)
    programs: settings_doors.Programs = field(default_factory=settings_doors.Programs)
    keeper: settings.Keeper = field(default_factory=settings.Keeper)
    users: settings.Users = field(default_factory=settings.Users)
    policy: settings.Policy = field(default_factory=settings.Policy)
    portal: settings_doors.Portal = field(default_factory=settings_doors.Portal)
    visitors: settings_doors.Visitors = field(default_factory=settings_doors.Visitors)
    api: settings_doors.Api = field(default_factory=settings_doors.Api)
    metrics: settings.Metrics = field(default_factory=settings.Metrics)
    log: settings.Log = field(default_factory=settings.Log)
    source: Path = Path(FILE_NAME)  # the file that it came from

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str] = os.environ) -> Config:
        """
        Read *path* (the file, or a home that holds one), then the environment over it.

        Relative paths in it are relative to the home. Raises ConfigError, whose text names file, key, value and what
        is allowed.
        """
        file = path / FILE_NAME if path.is_dir() else path
        return cls.parse(_read(file), file, environ)

    @classmethod
    def parse(cls, text: str, file: Path, environ: Mapping[str, str] = os.environ) -> Config:
        """Do what `load` does with *text*, as if it were read from *file*."""
        values = _toml(text, file)
        known = sections()
        for name, body in values.items():
            if name not in known:
                raise ConfigError(f"{file}: there is no section [{name}]{_meant(name, known)}")
            if not isinstance(body, dict):
                raise ConfigError(f"{file}: {name} = {toml(body)} stands outside a section.")
        found = _environment(environ, values)
        built = {name: _section(kind, name, values.get(name, {}), file, found) for name, kind in known.items()}
        return _settle(cls(**built), file)

    @staticmethod
    def describe() -> list[Row]:
        """Return one row per setting, in the order of the sections."""
        return [
            Row(
                section,
                item.name,
                f"{PREFIX}{section}_{item.name}".upper(),
                toml(_default(item)),
                item.metadata["unit"],
                item.metadata["allowed"],
                item.metadata["help"],
            )
            for section, kind in sections().items()
            for item in fields(kind)
        ]


@cache
def sections() -> Mapping[str, type[Any]]:
    """Return the class of each section by its name."""
    return {name: kind for name, kind in get_type_hints(Config).items() if kind is not Path}


def render(values: Mapping[str, Mapping[str, Any]]) -> str:
    """
    Write a configuration file: *values* (by section and key) as settings, everything else as comments with its default.

    What it writes loads again with the same values.
    """
    lines = ["# CryptnSend. Every setting is shown with its default; docs/configuration.md explains them.", ""]
    for section, kind in sections().items():
        chosen = values.get(section, {})
        lines += [f"# {(kind.__doc__ or '').strip().splitlines()[0]}", f"[{section}]"]
        for item in fields(kind):
            value = chosen.get(item.name, _default(item))
            lines.append(
                f"# {item.metadata['help']}" + (f" ({item.metadata['unit']})" if item.metadata["unit"] else "")
            )
            lines.append(("" if item.name in chosen else "# ") + f"{item.name} = {toml(value)}")
        lines.append("")
    return "\n".join(lines)


def toml(value: Any) -> str:
    """Return *value* as TOML text: strings, paths, numbers, booleans, lists of strings, tables of strings."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml(entry) for entry in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml(key)} = {toml(entry)}" for key, entry in value.items()) + "}"
    if not isinstance(value, str | Path):
        return str(value)  # a float or a date, which no setting takes, but which an error has to show
    text = "" if value == Path() else str(value)
    escaped = "".join(f"\\u{ord(c):04x}" if c < " " or c in '"\\\x7f' else c for c in text)
    return f'"{escaped}"'


def web_root() -> Path:
    """
    Return the folder of templates, static files and mail texts.

    A wheel carries it inside the package; in a checkout it stands beside the package.
    """
    package = Path(__file__).resolve().parent
    for place in (package / "web", package.parent / "web"):
        if (place / "templates").is_dir():
            return place
    raise ConfigError(f"{package / 'web'}: the folder web/ is missing here and beside the package; install again.")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file; `cryptnsend init` makes one.") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8, as TOML has to be: {error.reason} at octet {error.start}.") from error


def _toml(text: str, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not TOML: {error}.") from error


def _meant(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else "; there are: " + ", ".join(known) + "."


@cache
def _variables() -> Mapping[str, tuple[str, str]]:
    return {row.variable: (row.section, row.key) for row in Config.describe()}


def _environment(environ: Mapping[str, str], values: Mapping[str, Any]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the settings found in the environment, (section, key) → (variable, text)."""
    names = _variables()
    # The variable that carries the master key is named by a setting, so it may have our prefix without being one.
    keeper = values.get("keeper", {}).get("key_variable", "CRYPTNSEND_MASTER_KEY")
    keeper = environ.get(f"{PREFIX}KEEPER_KEY_VARIABLE", keeper)
    found = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in (HOME_VARIABLE, keeper, f"{keeper}{NEXT}"):
            continue
        if variable not in names:
            near = difflib.get_close_matches(variable, list(names), n=1)
            hint = f"; did you mean {near[0]}?" if near else "; docs/configuration.md lists them."
            # The value stays out of the text: a mistyped name may hold the master key.
            raise ConfigError(f"environment: there is no setting {variable}{hint}")
        found[names[variable]] = (variable, text)
    return found


def _section(
    kind: type[Any],
    name: str,
    body: Mapping[str, Any],
    file: Path,
    environment: Mapping[tuple[str, str], tuple[str, str]],
) -> Any:
    known = {item.name: item for item in fields(kind)}
    for key in body:
        if key not in known:
            raise ConfigError(f"{file}: there is no setting {key} in [{name}]{_meant(key, known)}")
    if not body and not any(section == name for section, _ in environment):
        return kind()  # most of them; Python works the annotations out anew each time
    hints = get_type_hints(kind)
    values = {}
    for key, item in known.items():
        if (name, key) in environment:
            variable, text = environment[name, key]
            values[key] = _checked(item, hints[key], _from_text(hints[key], text), f"environment: {variable}")
        elif key in body:
            values[key] = _checked(item, hints[key], body[key], f"{file}: [{name}] {key}")
    return kind(**values)


def _from_text(hint: Any, text: str) -> Any:
    """Turn the text of an environment variable into what TOML would have given; leave it if it does not fit."""
    if hint is bool:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower(), text)
    if hint is int:
        return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else text
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if hint == tuple[str, ...]:
        return parts
    if hint == Mapping[str, str]:
        return {part.partition("=")[0].strip(): part.partition("=")[2].strip() for part in parts}
    return text


def _checked(item: Any, hint: Any, value: Any, where: str) -> Any:
    """Return *value* as its setting's type, or raise ConfigError with place, value and what is allowed."""
    rules = item.metadata
    problem = ConfigError(f"{where} = {toml(value)}: allowed is {rules['allowed'] or 'a string'}.")
    if hint is bool or hint is int:
        if type(value) is not hint:
            raise problem
    elif hint in (str, Path):
        if not isinstance(value, str) or "\0" in value:
            raise problem
        value = hint(value)
    elif hint == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise problem
        value = tuple(value)
    elif not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
        raise problem
    if hint is int and ((rules["low"] or 0) > value or (rules["high"] is not None and value > rules["high"])):
        raise problem
    if (rules["choices"] and value not in rules["choices"]) or (rules["check"] and not rules["check"](value)):
        raise problem
    return value


def _default(item: Any) -> Any:
    made = item.default_factory
    return made() if callable(made) else item.default


def _settle(config: Config, file: Path) -> Config:
    """Fill in what follows from other settings, make paths absolute, and refuse settings that contradict each other."""
    home = (file.parent / config.server.home).resolve()
    server = replace(config.server, home=home, domain=config.server.domain or config.server.hostname)
    settled = replace(
        config,
        source=file.absolute(),
        server=server,
        tls=replace(config.tls, certificate=home / config.tls.certificate, key=home / config.tls.key),
        keeper=replace(
            config.keeper,
            key_file=home / config.keeper.key_file,
            pkcs11_pin_file=home / config.keeper.pkcs11_pin_file,
        ),
        log=replace(config.log, file=str(home / config.log.file) if config.log.file else ""),
    )
    for problem in _contradictions(settled):
        raise ConfigError(f"{file}: {problem}.")
    return settled


def _contradictions(config: Config) -> Iterator[str]:
    delivery, ports, programs = config.delivery, config.ports, config.programs
    if bool(programs.profile_certificate) != bool(programs.profile_key):
        yield "[programs] profile_certificate and profile_key: allowed are both, or neither"
    if delivery.first_retry_seconds > delivery.max_retry_seconds:
        yield (
            f"[delivery] first_retry_seconds = {delivery.first_retry_seconds}: allowed is at most max_retry_seconds "
            f"({delivery.max_retry_seconds})"
        )
    every = (ports.submissions, ports.submission, ports.inbound, ports.imaps, ports.pop3s, ports.portal)
    fixed = [port for port in every if port]
    if len(set(fixed)) < len(fixed):
        yield f"[ports] {fixed}: allowed are six different ports, or 0 for any free one"
