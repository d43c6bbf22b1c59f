"""Settings: from one TOML file and the environment over it, with errors that say what to do."""

from __future__ import annotations

import tomllib
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.config import FILE_NAME, Config, render, sections, toml
from cryptnsend.core.errors import ConfigError


def load(tmp_path: Path, text: str, **environ: str) -> Config:
    file = tmp_path / FILE_NAME
    file.write_text(text)
    return Config.load(file, environ)


def test_an_empty_file_gives_the_defaults(tmp_path):
    config = load(tmp_path, "")
    assert (config.ports.submissions, config.ports.submission, config.ports.portal) == (465, 587, 443)
    assert config.limits.message_octets == 50 * 1024 * 1024
    assert config.limits.reply_octets == 25 * 1024 * 1024
    assert config.life.days == 30
    assert config.signup.mode == "invite"


def test_the_home_is_the_folder_of_the_file(tmp_path):
    assert load(tmp_path, "").server.home == tmp_path
    assert Config.load(tmp_path, {}).server.home == tmp_path
    assert Config.load(tmp_path, {}).source == tmp_path / FILE_NAME


def test_relative_paths_lie_in_the_home(tmp_path):
    config = load(tmp_path, '[tls]\ncertificate = "a/b.pem"\nkey = "/etc/key.pem"')
    assert config.tls.certificate == tmp_path / "a" / "b.pem"
    assert config.tls.key == Path("/etc/key.pem")


def test_the_domain_is_the_host_name_where_none_is_given(tmp_path):
    assert load(tmp_path, '[server]\nhostname = "mail.example"').server.domain == "mail.example"
    assert load(tmp_path, '[server]\nhostname = "mail.example"\ndomain = "example"').server.domain == "example"


def test_the_environment_outranks_the_file(tmp_path):
    config = load(
        tmp_path,
        "[ports]\nportal = 8443\n[policy]\nplain_token = true",
        CRYPTNSEND_PORTS_PORTAL="0",
        CRYPTNSEND_POLICY_PLAIN_TOKEN="no",
        CRYPTNSEND_DELIVERY_PROVEN_DOMAINS="a.example, b.example",
        CRYPTNSEND_DELIVERY_ROUTES="gmail.example=127.0.0.1:2525,yahoo.example=[::1]:26",
        CRYPTNSEND_SERVER_HOSTNAME="mail.example",
    )
    assert config.ports.portal == 0
    assert config.policy.plain_token is False
    assert config.delivery.proven_domains == ("a.example", "b.example")
    assert config.delivery.routes == {"gmail.example": "127.0.0.1:2525", "yahoo.example": "[::1]:26"}
    assert config.server.hostname == "mail.example"


def test_every_setting_can_come_from_the_environment(tmp_path):
    (tmp_path / FILE_NAME).write_text("")
    for row in Config.describe():
        default = row.default.strip('"')
        if default[:1] in "[{":
            default = ""
        assert Config.load(tmp_path, {row.variable: default}) == Config.load(tmp_path, {}), row.variable


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ports]\nportal = 70000", "[ports] portal = 70000: allowed is a whole number from 0 to 65535."),
        ('[ports]\nportal = "443"', '[ports] portal = "443": allowed is a whole number from 0 to 65535.'),
        # Thunderbird on Android reads SIZE as a number of 32 bits.
        ("[limits]\nmessage_octets = 2147483648", "allowed is a whole number from 65536 to 2147483647."),
        ("[limits]\nfile_octets = 10737418241", "allowed is a whole number from 0 to 10737418240."),
        ("[ports]\nportal = true", "[ports] portal = true: allowed is a whole number from 0 to 65535."),
        ("[ports]\nportal = 443.5", "[ports] portal = 443.5: allowed is a whole number"),
        (
            "[ports]\nportal = 465",
            "[ports] [465, 587, 25, 993, 995, 465]: allowed are six different ports, or 0 for any free one.",
        ),
        ("[ports]\nportl = 1", "there is no setting portl in [ports]; did you mean portal?"),
        ("[port]\nportal = 1", "there is no section [port]; did you mean ports?"),
        ("portl = 1", "there is no section [portl]; did you mean portal?"),
        ("[log]\nzzz = 1", "there is no setting zzz in [log]; there are: level, file."),
        ("ports = 1", "ports = 1 stands outside a section."),
        ("[ports", "is not TOML"),
        ('[signup]\nmode = "maybe"', '[signup] mode = "maybe": allowed is one of "closed", "invite", "open".'),
        (
            '[server]\nhostname = "Mail.example"',
            '[server] hostname = "Mail.example": allowed is a host name in lower-case',
        ),
        ('[server]\nhostname = "a b"', '[server] hostname = "a b": allowed is'),
        ("[server]\nhostname = 5", "[server] hostname = 5: allowed is"),
        ('[policy]\nplain_token = "no"', '[policy] plain_token = "no": allowed is true or false.'),
        ('[delivery]\nproven_domains = "a"', "allowed is a list of domains in lower case."),
        ("[delivery]\nnameservers = [1]", "[delivery] nameservers = [1]: allowed is a list of ip:port"),
        ('[delivery.routes]\n"a.example" = "nowhere"', '{"a.example" = "nowhere"}: allowed is domain = "host:port"'),
        (
            '[delivery]\nsmarthost = "relay.example"',
            "allowed is empty, smtp://host:port or smtps://host:port, with user@ before",
        ),
        ('[delivery]\nsmarthost = "smtp://u:p@relay.example:25"', "allowed is empty, smtp://host:port"),
        ('[portal]\nbase_url = "http://x.example"', "allowed is empty, or https://host"),
        ('[delivery]\nsmarthost = "smtp://[relay"', "allowed is empty, smtp://host:port"),
        ('[portal]\nbase_url = "https://[x.example"', "allowed is empty, or https://host"),
        ('[portal]\nbase_url = "https://x.example:99999"', "allowed is empty, or https://host"),
        ('[portal]\nbase_url = "https://x.example/path"', "allowed is empty, or https://host"),
        ("[life]\ndays = 2556", "[life] days = 2556: allowed is a whole number from 1 to 2555."),
        ("[delivery]\nmax_retry_seconds = 10", "first_retry_seconds = 450: allowed is at most max_retry_seconds (10)."),
        ("[passwords]\nmin_length = 4", "[passwords] min_length = 4: allowed is a whole number from 8 to 64."),
    ],
)
def test_errors_name_file_key_value_and_what_is_allowed(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / FILE_NAME))
    assert said in str(caught.value)
    assert not str(caught.value).endswith("?.")


def test_errors_in_the_environment_name_the_variable(tmp_path):
    with pytest.raises(ConfigError, match='environment: CRYPTNSEND_PORTS_PORTAL = "x": allowed is a whole number from'):
        load(tmp_path, "", CRYPTNSEND_PORTS_PORTAL="x")


def test_a_mistyped_variable_is_an_error_and_its_value_is_not_shown(tmp_path):
    with pytest.raises(ConfigError, match="no setting CRYPTNSEND_MASTER_KY; ") as caught:
        load(tmp_path, "", CRYPTNSEND_MASTER_KY="c2VjcmV0")
    assert "c2VjcmV0" not in str(caught.value)
    with pytest.raises(ConfigError, match="did you mean CRYPTNSEND_PORTS_PORTAL"):
        load(tmp_path, "", CRYPTNSEND_PORT_PORTAL="1")


def test_home_and_master_key_variables_are_no_settings(tmp_path):
    assert load(tmp_path, "", CRYPTNSEND_HOME="/x", CRYPTNSEND_MASTER_KEY="k").server.home == tmp_path
    named = load(tmp_path, '[keeper]\nkey_variable = "CRYPTNSEND_OTHER"', CRYPTNSEND_OTHER="k")
    assert named.keeper.key_variable == "CRYPTNSEND_OTHER"


def test_a_missing_or_unreadable_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file; `cryptnsend init` makes one"):
        Config.load(tmp_path / "absent.toml", {})
    (tmp_path / FILE_NAME).write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        Config.load(tmp_path, {})


def test_the_file_that_init_writes_shows_every_setting_and_loads_again(tmp_path):
    text = render({"server": {"hostname": "mail.example"}, "delivery": {"routes": {"a.example": "127.0.0.1:25"}}})
    assert load(tmp_path, text) == load(
        tmp_path, '[server]\nhostname = "mail.example"\n[delivery.routes]\n"a.example" = "127.0.0.1:25"'
    )
    for row in Config.describe():
        assert f"{row.key} = " in text
    # With the comment signs taken off, every default is a value that the file may have.
    lines = [line.removeprefix("# ") if " = " in line else line for line in render({}).splitlines()]
    uncommented = "\n".join(line for line in lines if line.startswith("[") or line.split(" = ")[0] in KEYS)
    assert load(tmp_path, uncommented) == load(tmp_path, "")


KEYS = {row.key for row in Config.describe()}


def test_every_setting_says_its_unit_or_needs_none_and_has_a_help_sentence():
    for row in Config.describe():
        assert row.help.endswith("."), row
        assert row.unit or row.default in ("true", "false") or row.allowed, row


def test_settings_cannot_be_changed_while_running():
    for row in Config.describe():
        with pytest.raises(FrozenInstanceError):
            setattr(getattr(Config(), row.section), row.key, 1)
    assert set(sections()) == {row.section for row in Config.describe()}


@given(st.text())
def test_any_text_survives_being_written_as_toml(text):
    assert tomllib.loads(f"key = {toml(text)}") == {"key": text}


@given(st.text(max_size=200))
def test_whatever_the_file_says_the_answer_is_a_configuration_or_a_config_error(text):
    file = Path("/nowhere/cryptnsend.toml")
    try:
        answer = str(Config.parse(text, file, {}).server.home)
    except ConfigError as error:
        answer = str(error)
    assert answer.startswith("/nowhere")
