"""Mutants of operating: what may be loaded of a video, how a stop is told, and what a backup must refuse."""

from __future__ import annotations

from tests.mutants.runner import Mutant

MUTANTS = (
    Mutant(
        name="videos-without-look-ahead",
        rule="of a video that is not credited only what is earned and a little ahead can be loaded",
        file="player_server/policy/media.py",
        old="    if free or lookahead_ms is None or frontier_ms + lookahead_ms >= duration_ms:\n",
        new="    if frontier_ms >= 0:\n",
        test="tests/pages/test_media.py::test_nginx_is_told_which_file_and_never_one_that_is_not_earned[sqlite]",
    ),
    Mutant(
        name="damaged-backup-restored",
        rule="a backup that is not what was written is refused before anything is restored",
        file="player_server/operating/backup.py",
        old='        if _sha256(path) != known["sha256"]:\n',
        new="        if False:\n",
        test="tests/operating/test_backup.py::"
        "test_a_damaged_or_unfinished_backup_is_refused_before_anything_is_written",
    ),
    Mutant(
        name="id-numbers-in-the-log",
        rule="no log line carries an ID number",
        file="player_server/observe.py",
        old='_ID_NUMBER.sub(r"\\1********\\2", value)',
        new="value",
        test="tests/ops/test_metrics.py::test_a_log_line_is_json_with_the_requests_id_and_without_id_numbers",
    ),
)
