"""The shell script ./run, called as a person calls it.

The tests copy it into a small project whose product only says what it was given, so that no package is fetched.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")

_SAYS_WHAT_IT_WAS_GIVEN = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.getcwd(), sys.prefix]))
"""


@dataclass(frozen=True)
class Project:
    """A copy of ./run, in a folder with spaces, that sees only the programs of `bin`."""

    folder: Path
    bin: Path

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Call ./run from `cwd` (by default from another folder)."""
        return subprocess.run(
            [self.folder / "run", *arguments],
            cwd=cwd or self.bin,
            env={"PATH": str(self.bin), "HOME": str(self.bin)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def add_program(self, name: str, script: str) -> None:
        """Put a shell script among the programs it sees."""
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)


def _make_project(parent: Path, *, python: bool) -> Project:
    """Make a project without Chromium and without packages, and without Python if so wanted."""
    made = Project(parent / "学时 with spaces", parent / "bin")
    (made.folder / "player_server").mkdir(parents=True)
    made.bin.mkdir()
    shutil.copy(ROOT / "run", made.folder / "run")
    (made.folder / "player_server" / "__main__.py").write_text(_SAYS_WHAT_IT_WAS_GIVEN)
    for name in ("requirements.txt", "requirements-dev.txt"):
        (made.folder / name).write_text("# Nothing.\n")
    for name in ("cat", "cksum", "dirname", "id", "sh"):
        found = shutil.which(name)
        assert found is not None
        (made.bin / name).symlink_to(found)
    if python:
        made.add_program("python3", f'exec "{PYTHON}" "$@"')
    return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project on a machine without Python."""
    return _make_project(tmp_path, python=False)


@pytest.fixture
def project_with_python(tmp_path: Path) -> Project:
    """A project on a machine with Python, before its first start."""
    return _make_project(tmp_path, python=True)


@pytest.fixture(scope="module")
def started_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project after its first start, shared by tests that leave it as it is."""
    made = _make_project(tmp_path_factory.mktemp("started"), python=True)
    assert made.run().returncode == 0
    return made


@pytest.mark.parametrize("word", ["help", "--help", "-h"])
def test_help_lists_every_command_and_needs_no_python(project: Project, word: str) -> None:
    done = project.run(word)
    assert done.returncode == 0
    for command in (
        "import-course FOLDER",
        "serve",
        "worker",
        "migrate",
        "test",
        "check",
        "redteam",
        "simulate",
        "help",
    ):
        assert f"\n  {command} " in done.stdout or f"\n  {command}, " in done.stdout
    for option in ("--fresh", "--host", "--port", "--config"):
        assert f"\n  {option} " in done.stdout
    assert "./run [options]" in done.stdout


def test_a_missing_python_is_said_in_one_line(project: Project) -> None:
    done = project.run()
    assert done.returncode == 1
    assert done.stderr == "./run: Python 3.11 or newer is needed and was not found.\n"


def test_a_python_that_is_too_old_is_passed_over(project: Project) -> None:
    project.add_program("python3", "exit 1")  # What an older Python answers to the question for 3.11.
    assert "Python 3.11 or newer is needed" in project.run().stderr
    project.add_program("python3.12", f'exec "{PYTHON}" "$@"')
    assert project.run().returncode == 0


def test_a_missing_venv_module_says_what_to_type(project: Project) -> None:
    project.add_program("python3", f'case "$*" in *ensurepip*) exit 1 ;; esac\nexec "{PYTHON}" "$@"')
    done = project.run()
    assert done.returncode == 1
    assert done.stderr == "./run: python3 lacks the venv module. Type: apt install python3-venv\n"


def test_the_first_start_makes_the_environment_and_the_second_only_hands_over(
    project_with_python: Project, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "else where"
    (elsewhere / "player_server").mkdir(parents=True)
    (elsewhere / "player_server" / "__main__.py").write_text("raise SystemExit('the wrong product')")

    first = project_with_python.run("import-course", "a course", cwd=elsewhere)
    assert first.returncode == 0, first.stderr
    assert first.stdout.rstrip() == (
        f'[["import-course", "a course"], "{elsewhere}", '
        f'"{str(project_with_python.folder / ".venv").encode("ascii", "backslashreplace").decode()}"]'
    )
    assert "Making a virtual environment" in first.stderr
    assert "Installing the packages of requirements.txt" in first.stderr

    second = project_with_python.run("import-course", "a course", cwd=elsewhere)
    assert second.stdout == first.stdout
    assert second.stderr == ""


def test_changed_requirements_are_installed_once_and_a_broken_environment_is_made_anew(
    project_with_python: Project,
) -> None:
    project_with_python.run()
    requirements = project_with_python.folder / "requirements.txt"
    requirements.write_text("# Still nothing.\n")
    assert "Installing" in project_with_python.run().stderr
    assert project_with_python.run().stderr == ""

    (project_with_python.folder / ".venv" / "bin" / "python").unlink()
    remade = project_with_python.run()
    assert "Making a virtual environment" in remade.stderr
    assert remade.returncode == 0


def test_packages_without_a_hash_are_refused(project_with_python: Project) -> None:
    (project_with_python.folder / "requirements.txt").write_text("segno==1.6.6\n")
    done = project_with_python.run()
    assert done.returncode == 1
    assert "could not be installed" in done.stderr
    assert not list((project_with_python.folder / ".venv").glob(".installed-*"))


def test_tests_without_a_chromium_say_what_to_type(started_project: Project) -> None:
    done = started_project.run("test")
    assert done.returncode == 1
    assert "apt-get install -y chromium fonts-noto-cjk" in done.stderr


def test_root_on_a_debian_without_chromium_gets_it_installed(project_with_python: Project) -> None:
    calls = project_with_python.bin / "calls"
    browser = project_with_python.bin / "chromium"
    (project_with_python.bin / "id").unlink()
    project_with_python.add_program("id", "echo 0")
    project_with_python.add_program("chmod", f'exec {shutil.which("chmod")} "$@"')
    project_with_python.add_program(
        "apt-get",
        f'echo "$1" >>"{calls}"\n[ "$1" = update ] || {{ echo "#!/bin/sh" >"{browser}"; chmod 755 "{browser}"; }}',
    )
    done = project_with_python.run("test")
    assert calls.read_text().split() == ["update", "install"]
    assert "Installing chromium and fonts-noto-cjk" in done.stderr
    assert "No module named pytest" in done.stderr  # So it went on to the tests.


def test_check_runs_every_check_even_after_one_that_failed(started_project: Project) -> None:
    done = started_project.run("check")  # None of the tools is installed here, so each of them fails.
    assert done.returncode == 1
    assert "failed: ruff check; ruff format; mypy; import floors;" in done.stderr


def test_the_pinned_requirements_name_no_host_and_hash_everything() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text
        pinned = [line for line in text.splitlines() if line[:1].isalnum()]
        assert pinned
        assert all("==" in line and line.endswith(" \\") for line in pinned)


@pytest.mark.parametrize("script", ["run", ".ci/run"])
def test_the_scripts_are_executable_and_parse(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    shell = "bash" if script == ".ci/run" else "sh"
    assert subprocess.run([shell, "-n", ROOT / script]).returncode == 0
