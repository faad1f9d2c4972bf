"""Plants one mutant at a time in copies of the source tree and runs the test that must turn red.

Which mutants there are stands in the tables `rules_*.py`; nothing here knows a rule.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[2]
#: All that the tests need of the working tree.
PARTS = ("player_server", "telemetry", "workers", "tests", "static", "config.yaml", "pyproject.toml")
#: Copies that run side by side. More would only make the real-time tests in them wait for each other.
AT_ONCE = 2
#: A mutant may make a test hang: what is not red after so many seconds (ten more for each test) is not caught.
LIMIT_S = 120
#: How pytest names what a rule that is not held looks like. Any other error is an accident of the mutant itself:
#: a NameError proves nothing about the rule.
_BROKEN_RULE = re.compile(r"^FAILED \S.* - (assert |AssertionError|Failed: DID NOT RAISE|TimeoutError)", re.M)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted fault. `old` must stand exactly once in `file`; `test` is the pytest node that must turn red.

    The test is the cheapest one that catches it, not the only one.
    """

    name: str
    rule: str
    file: str
    old: str
    new: str
    test: str

    def planted(self, tree: Path) -> str:
        """The file's text with the fault. Raises LookupError with advice if its place is not there exactly once."""
        path = tree / self.file
        source = path.read_text(encoding="utf-8") if path.exists() else ""
        found = source.count(self.old)
        if found != 1:
            raise LookupError(
                f"mutant {self.name!r}: its text stands {found} times in {self.file}, not once. If that code was "
                f"moved or rewritten, write the mutant anew, so that it still breaks the rule: {self.rule}"
            )
        return source.replace(self.old, self.new)

    def plant(self, tree: Path) -> None:
        """Put the fault into a copy."""
        path = tree / self.file
        source = self.planted(tree)
        # A new file, not new content: the old one may be shared with other copies.
        path.unlink()
        path.write_text(source, encoding="utf-8")
        # Compiled code is recognised by time and size of its source, and those may be the same by accident.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def copy_sources(tree: Path) -> None:
    """Copy the working tree, without compiled code."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, tree / part)


@dataclass(frozen=True, slots=True)
class Run:
    """How pytest ended in one copy: its exit status, negative for a signal."""

    status: int
    output: str

    @property
    def green(self) -> bool:
        return self.status == 0

    @property
    def red(self) -> bool:
        """A test failed because its rule did not hold; nothing broke while collecting or setting up."""
        return self.status == 1 and "\nERROR " not in self.output and bool(_BROKEN_RULE.search(self.output))

    def __str__(self) -> str:
        if self.status == -signal.SIGALRM:
            return f"not done in time\n{self.output}"
        return f"pytest ended with {self.status}\n{self.output}"


class Workshop:
    """Runs the tests of some mutants: unmutated first, then each mutant in a copy of its own, AT_ONCE at a time."""

    def __init__(self, folder: Path, mutants: Iterable[Mutant]) -> None:
        self._folder = folder
        self._clean = folder / "clean"
        self._clean.mkdir(parents=True)
        copy_sources(self._clean)
        self._pythons: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        for _ in range(AT_ONCE):
            self._pythons.put(_warm_python())
        self._pool = ThreadPoolExecutor(AT_ONCE)
        mutants = list(mutants)
        tests = sorted({mutant.test for mutant in mutants})
        halves = [half for turn in range(AT_ONCE) if (half := tests[turn::AT_ONCE])]
        self._green = [
            self._pool.submit(self._run, self._clean, half, f"g{number}") for number, half in enumerate(halves)
        ]
        self._runs = {
            mutant.name: self._pool.submit(self._try, mutant, f"m{number}") for number, mutant in enumerate(mutants)
        }

    def close(self) -> None:
        """Give up what has not been started, wait for the rest and remove every copy."""
        self._pool.shutdown(cancel_futures=True)
        for _ in range(AT_ONCE):
            with self._pythons.get() as python:
                python.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def unmutated(self) -> list[Run]:
        """How all the named tests end without any fault."""
        return [run.result() for run in self._green]

    def mutated(self, mutant: Mutant) -> Run:
        """How its test ends with the fault planted."""
        return self._runs[mutant.name].result()

    def _try(self, mutant: Mutant, name: str) -> Run:
        # Copies are made of the tree in which the green run has left compiled code.
        self.unmutated()
        tree = self._folder / name
        shutil.copytree(self._clean, tree, copy_function=os.link)
        mutant.plant(tree)
        try:
            return self._run(tree, [mutant.test], name)
        finally:
            shutil.rmtree(tree, ignore_errors=True)

    def _run(self, tree: Path, tests: list[str], name: str) -> Run:
        # A folder of its own: pytest would otherwise clear away those of runs beside this one. Its name is short,
        # because the path of a Valkey socket in it must be.
        temporary, output = self._folder / f"t{name}", self._folder / f"{name}.log"
        options = ["-x", "-q", "-rfE", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--basetemp={temporary}"]
        options += [
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
        ]  # Warm packages are not rewritten; no matter.
        job = {
            "tree": str(tree),
            "arguments": [*options, *tests],
            "output": str(output),
            "seconds": LIMIT_S + 10 * len(tests),
        }
        python = self._pythons.get()
        try:
            assert python.stdin is not None and python.stdout is not None
            print(json.dumps(job), file=python.stdin, flush=True)
            status = int(python.stdout.readline())
        finally:
            self._pythons.put(python)
        shutil.rmtree(temporary, ignore_errors=True)
        return Run(status, output.read_text(encoding="utf-8", errors="replace"))


def _warm_python() -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.Popen(
        # Isolated: neither this working tree nor the caller's folder is on its path, only the copy that it runs.
        [sys.executable, "-I", str(Path(__file__).with_name("warm_python.py"))],
        env=environment | {"COLUMNS": "200"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
