"""Mutants of jobs and imports: one worker a job, nothing half-imported, nobody else's sheets."""

from __future__ import annotations

from tests.mutants.runner import Mutant

JOBS = "player_server/storage/jobs.py"

T_RUNNER = "tests/workers/test_runner.py::"
T_IMPORTS = "tests/learning/test_imports.py::"

MUTANTS = (
    Mutant(
        name="job-claimed-twice",
        rule="a job that a worker holds is nobody else's until its lease has run out",
        file=JOBS,
        old="        .where(job.c.id == job_id, _free(now_ms))\n",
        new="        .where(job.c.id == job_id)\n",
        test=T_RUNNER + "test_the_job_of_a_dead_worker_is_done_by_another_one[sqlite]",
    ),
    Mutant(
        name="job-of-another-owner",
        rule="a worker that lost its job changes nothing any more",
        file=JOBS,
        old="    return and_(job.c.id == job_id, job.c.owner == owner, job.c.state == ",
        new="    return and_(job.c.id == job_id, job.c.state == ",
        test=T_IMPORTS + "test_a_job_that_died_half_way_is_finished_by_the_next_worker[sqlite]",
    ),
    Mutant(
        name="import-seen-half-way",
        rule="nobody sees a learner of an import before all of it is there",
        file="player_server/storage/hidden.py",
        old="    return learner_id.not_in(hidden_learners())\n",
        new="    return learner_id.is_not(None)\n",
        test=T_IMPORTS + "test_a_job_that_died_half_way_is_finished_by_the_next_worker[sqlite]",
    ),
    Mutant(
        name="import-of-another-institution",
        rule="a foreign import is as absent as an absent one",
        file="player_server/storage/import_rows.py",
        old="        query = query.where(import_run.c.institution_id == institution_id)\n",
        new="        query = query.where(import_run.c.id == import_id)\n",
        test="tests/pages/staff/test_imports.py::test_foreign_imports_and_jobs_are_as_absent_as_absent_ones[sqlite]",
    ),
)
