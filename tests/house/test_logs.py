"""Log lines: JSON, and never content, credentials, tokens or codes, whoever writes them."""

from __future__ import annotations

import json
import logging
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend import logs
from cryptnsend.core.errors import KeeperGone

SECRET = "kumquat-4711"


@pytest.fixture
def written(tmp_path):
    """Send log lines to a file; calling the fixture returns them so far. The earlier arrangement comes back after."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    before, level, arranged = list(root.handlers), root.level, structlog.get_config()
    for handler in before:
        root.removeHandler(handler)
    file = tmp_path / "log"
    logs.configure("debug", str(file), role="courier")
    yield lambda: [json.loads(line) for line in file.read_text().splitlines()]
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for handler in before:
        root.addHandler(handler)
    root.setLevel(level)
    structlog.configure(**arranged)
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(False)


def test_a_line_carries_event_facts_level_logger_role_and_time(written):
    logs.logger("cryptnsend.delivery").info("notice sent", delivery=5, seconds=0.25)
    (line,) = written()
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "notice sent",
        "delivery": 5,
        "seconds": 0.25,
        "level": "info",
        "logger": "cryptnsend.delivery",
        "role": "courier",
    }


def test_the_standard_library_goes_the_same_way(written):
    logging.getLogger("cryptnsend.store").info("a batch of %d", 7)
    assert written()[0]["event"] == "a batch of 7"


TELLING = [
    "password",
    "new_password",
    "passphrase",
    "secret",
    "token",
    "link_token",
    "cookie",
    "credential",
    "seed",
    "seeds",
    "content",
    "body",
    "subject",
    "header",
    "octets",
    "authorization",
    "code",
    "codes",
    "key",
    "content_key",
    "path",
    "url",
    "query",
    "ticket",
    "claims",
    "text",
    "filename",
]


@pytest.mark.parametrize("name", TELLING)
def test_fields_with_a_telling_name_are_blotted_out(written, name):
    logs.logger("cryptnsend.portal").warning("something", **{name: SECRET, "inner": {name: SECRET}})
    (line,) = written()
    assert line[name] == logs.BLOTTED
    assert line["inner"] == {name: logs.BLOTTED}


def test_links_token_addresses_and_keys_lose_their_secret_part_in_any_field(written):
    logs.logger("cryptnsend.portal").info(
        "see https://mail.example:5001/m/abcdefghijk?x=1",
        note="to r+abcdefghijklmnopqrstuvwxyz234567@mail.example",
        other=["MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"],
    )
    (line,) = written()
    assert line["event"] == f"see https://mail.example:5001/{logs.BLOTTED}"
    assert line["note"] == f"to r+{logs.BLOTTED}@mail.example"
    assert line["other"] == [logs.BLOTTED]


def test_octets_and_objects_show_their_type_only(written):
    logs.logger("cryptnsend.store").info("put", blob=SECRET.encode(), thing=ValueError(SECRET), place=Path("/a/b"))
    (line,) = written()
    assert (line["blob"], line["thing"], line["place"]) == ("bytes", "ValueError", "/a/b")


def test_an_exception_shows_type_and_place_but_no_text(written):
    try:
        int(SECRET)
    except ValueError:
        logs.logger("cryptnsend.flow").exception("it broke")
        logging.getLogger("cryptnsend.flow").exception("it broke")
    for line in written():
        assert line["exception"]["type"] == "ValueError"
        assert "test_an_exception_shows" in line["exception"]["at"][-1]
        assert SECRET not in json.dumps(line)


def test_our_own_errors_may_speak_because_their_texts_are_made_to_be_shown(written):
    logs.logger("cryptnsend.flow").error("no keeper", exc_info=KeeperGone("The keeper does not answer."))
    assert written()[0]["exception"]["says"] == "The keeper does not answer."


def test_libraries_keep_their_words_and_lose_their_arguments(written, monkeypatch):
    monkeypatch.setattr(logging.getLogger("mail.log"), "disabled", False)  # the doors switch it off for good
    logging.getLogger("mail.log").warning("%r sent %r", "peer", SECRET)
    logging.getLogger("asyncio").error(f"Exception in callback Door.data(b'{SECRET}')")
    logging.getLogger("some.library").warning("Strange header: %s", SECRET)
    assert [line["event"] for line in written()] == ["(no words)", "Exception in callback Door.data", "Strange header"]


@pytest.mark.parametrize("name", ["mail.log", "mail.debug", "asyncio", "werkzeug", "any.other"])
def test_chatter_of_libraries_is_not_written_even_at_debug(written, name):
    logging.getLogger(name).info("DATA %s", SECRET)
    logging.getLogger(name).debug("DATA %s", SECRET)
    assert written() == []


def test_the_log_file_is_for_us_only(written, tmp_path):
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


@given(words=st.text(max_size=30), inside=st.sampled_from(["event", "note", "list", "mapping"]))
def test_a_link_never_shows_whatever_stands_around_it(words, inside):
    text = f"{words} https://mail.example/m/{SECRET} {words}"
    line = {"event": text if inside == "event" else "x", "note": text if inside == "note" else "x"}
    line["other"] = [text] if inside == "list" else {"a": text} if inside == "mapping" else 1
    assert SECRET not in json.dumps(logs.redact(None, "info", line), default=str)


DYING = """
import threading
from cryptnsend import logs
logs.configure(role="portal")
thread = threading.Thread(target=int, args=("kumquat-4711",))
thread.start()
thread.join()
int("kumquat-4711")
"""


def test_a_dying_process_or_thread_prints_no_values_either():
    done = subprocess.run([sys.executable, "-c", DYING], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 1
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == [
        "a thread dies of an error",
        "a process dies of an error",
    ]
    assert SECRET not in done.stdout + done.stderr


def test_a_full_disk_loses_lines_and_nothing_else():
    code = "from cryptnsend import logs; logs.configure(file='/dev/full'); logs.logger('cryptnsend.x').error('a')"
    code += "; import logging; logging.getLogger('other').error('%s', 'kumquat'); print('on')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=False)
    assert (done.stdout, done.stderr) == ("on\n", "")


def test_ids_are_text_in_lines_too_and_other_numbers_stay_numbers() -> None:
    line = logs.redact(
        None, "info", {"event": "x", "account": 7530154379026923418, "size": 218, "at": 1, "of": [1 << 53]}
    )
    assert (line["account"], line["size"], line["of"]) == ("7530154379026923418", 218, [str(1 << 53)])
