"""The wheel carries what people see inside the package, and finds it there; a checkout finds it beside the package."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cryptnsend.config import web_root

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Build the wheel, without a network, and unpack it like an installation."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=300,
    )
    (wheel,) = folder.glob("cryptnsend-*.whl")
    target = folder / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=installed.parent,
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_checkout_finds_web_beside_the_package():
    assert web_root() == ROOT / "web"
    assert not (ROOT / "cryptnsend" / "web").exists()


def test_an_installed_wheel_finds_web_inside_the_package(installed):
    assert run(installed, "import cryptnsend; print(cryptnsend.__file__)").startswith(str(installed))
    found = run(installed, "from cryptnsend.config import web_root; print(web_root())")
    assert found == str(installed / "cryptnsend" / "web")


def test_the_wheel_has_every_file_that_people_see(installed):
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "web", "cryptnsend"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, tracked.split("\0")):
        place = Path("cryptnsend") / name if name.startswith("web/") else Path(name)
        assert (installed / place).exists(), name


def test_the_wheel_has_the_editor_as_it_was_made_and_nothing_that_it_was_made_from(installed):
    made = ROOT / "web" / "static" / "squire.js"
    assert made.exists(), "web/static/squire.js is missing: run make .venv/.npm"
    assert (installed / "cryptnsend" / made.relative_to(ROOT)).read_bytes() == made.read_bytes()
    assert b"MIT License" in made.read_bytes()[:200]
    assert not list(installed.rglob("node_modules"))


def test_the_wheel_starts_its_commands(installed):
    assert "cryptnsend" in run(
        installed, "from cryptnsend.__main__ import main; main(['--version'], standalone_mode=False)"
    )
    entry_points = next(installed.glob("*.dist-info/entry_points.txt")).read_text()
    assert "cryptnsend = cryptnsend.__main__:run" in entry_points
    assert next(installed.glob("*.dist-info/licenses/LICENSE")).stat().st_size > 10_000
