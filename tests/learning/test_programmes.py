"""A folder of programmes: the built-in ones are right, and a folder with faults is refused with all of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from player_server.learning.programmes import BUILT_IN, ProgrammesError, load_programmes
from player_server.policy.hours import Standing
from player_server.policy.programmes import Finish, Gate, Kind, Period, Programme, Rule

ROOT = Path(__file__).parents[2]


def test_the_built_in_programmes_ask_for_the_field_s_hours() -> None:
    asked = {
        each.id: {key: (rule.hours, rule.period, rule.gate) for key, rule in each.programme.rules.items()}
        for each in load_programmes().values()
    }
    assert asked == {
        "demo": {"online": (300, "cycle", "exam")},
        "hainan-site-staff": {
            "year": (3200, "year", "exam"),
            "professional": (2200, "year", "exam"),
            "two-years": (6400, "last_two_years", "cycle"),
        },
        "jiangsu-constructor-2": {
            "public": (1600, "cycle", "exam"),
            "professional": (4000, "cycle", "exam"),
            "test": (400, "cycle", "cycle"),
            "electives": (6000, "cycle", "cycle"),
        },
        "jiangxi-site-staff": {"employer": (2000, "two_years", "exam"), "online": (4400, "two_years", "exam")},
        "mohurd-site-staff": {"year": (3200, "year", "exam"), "two-years": (6400, "last_two_years", "cycle")},
        "re-issue": {"round": (3200, "round", "exam")},
    }


def test_the_document_for_operators_names_every_programme_and_every_key() -> None:
    text = (ROOT / "docs" / "programmes.md").read_text(encoding="utf-8")
    keys = {each.name for kind in (Programme, Rule, Finish) for each in msgspec.structs.fields(kind)}
    keys |= set(get_args(Period)) | set(get_args(Kind)) | set(get_args(Gate)) | {each.value for each in Standing}
    missing = [each for each in (*load_programmes(), *keys) if not re.search(rf"`{each}\b|^\s*{each}:", text, re.M)]
    assert not missing


def test_a_copied_and_changed_file_is_a_programme_of_its_own(tmp_path: Path) -> None:
    original = load_programmes()["jiangsu-constructor-2"]
    text = (BUILT_IN / "jiangsu-constructor-2.yaml").read_text(encoding="utf-8")
    (tmp_path / "our-own.yaml").write_text(text.replace("hours: 40", "hours: 44"), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not a programme")
    (own,) = load_programmes(tmp_path).values()
    assert (own.id, own.programme.rules["professional"].hours) == ("our-own", 4400)
    assert own.version != original.version and len(own.version) == 64


def test_everything_wrong_in_a_folder_is_said_at_once_with_file_and_key(tmp_path: Path) -> None:
    shutil.copy(BUILT_IN / "re-issue.yaml", tmp_path / "good.yaml")
    text = (BUILT_IN / "re-issue.yaml").read_text(encoding="utf-8")
    (tmp_path / "bad-hours.yaml").write_text(text.replace("hours: 32", "hours: many"), encoding="utf-8")
    (tmp_path / "bad-key.yaml").write_text(text + "colour: red\n", encoding="utf-8")
    (tmp_path / "Bad Name.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "twice.yaml").write_text(text + "name: {zh: 甲, en: A}\n", encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("name: [", encoding="utf-8")
    with pytest.raises(ProgrammesError) as caught:
        load_programmes(tmp_path)
    lines = str(caught.value).splitlines()
    for file, part in (
        ("bad-hours.yaml", "rules.round.hours"),
        ("bad-key.yaml", "colour: unknown key"),
        ("Bad Name.yaml", "the file's name"),
        ("twice.yaml", "name is written twice"),
        ("broken.yaml", "YAML syntax error"),
    ):
        assert [each for each in lines if file in each and part in each], (file, lines)
    assert len(lines) == 5


@pytest.mark.parametrize("name", ["", "absent"])
def test_a_folder_without_programmes_is_a_mistake(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProgrammesError, match=str(tmp_path)):
        load_programmes(tmp_path / name)
