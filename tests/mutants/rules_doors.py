"""Mutants of the doors: who is let in, from where, and whose data they see."""

from __future__ import annotations

from tests.mutants.runner import Mutant

CSRF = "player_server/web/csrf.py"
STAFF = "player_server/learning/staff.py"
MEDIA_TOKENS = "player_server/auth/media_tokens.py"

T_WATCHING = "tests/gateway/test_watching.py::"
T_LOGIN = "tests/pages/test_login.py::"
T_STAFF = "tests/pages/staff/test_learners.py::"
T_MEDIA = "tests/pages/test_media.py::"

MUTANTS = (
    # ------------------------------------------------------------------------ the player's socket
    Mutant(
        name="ticket-not-single-use",
        rule="a ticket is good once",
        file="player_server/storage/tickets.py",
        old="await redis.getdel(",
        new="await redis.get(",
        test=T_WATCHING + "test_a_ticket_is_good_once[sqlite]",
    ),
    Mutant(
        name="ticket-outlives-the-log-in",
        rule="a ticket opens nothing once its log-in has ended",
        file="player_server/learning/watch.py",
        old="            if not await _still_signed_in(conn, ticket, now):\n",
        new="            if False:\n",
        test=T_WATCHING + "test_after_signing_out_a_ticket_opens_nothing[sqlite]",
    ),
    Mutant(
        name="ticket-for-any-video",
        rule="a ticket is for one video",
        file="player_server/gateway/socket.py",
        old="        if hello.video != self.ticket.video_id:\n",
        new="        if hello.video < 0:\n",
        test=T_WATCHING + "test_a_ticket_opens_no_other_video[sqlite]",
    ),
    Mutant(
        name="origin-not-checked",
        rule="a socket is opened only by our own pages",
        file="player_server/gateway/socket.py",
        old="    if origin is None or not (is_own_origin(request, origin) or "
        "origin in services.settings.server.allowed_origins):\n",
        new="    if origin is None:\n",
        test=T_WATCHING + "test_a_foreign_origin_is_refused_at_the_handshake[sqlite-https://evil.example]",
    ),
    Mutant(
        name="origin-by-its-beginning",
        rule="an origin is compared as a whole",
        file="player_server/web/address.py",
        old='    return settings.server.insecure_http and origin == f"http://{request.host}"\n',
        new="    own = request.host.partition(':')[0]\n"
        '    return settings.server.insecure_http and origin.startswith(f"http://{own}")\n',
        test=T_WATCHING + "test_a_foreign_origin_is_refused_at_the_handshake[sqlite-http://127.0.0.1.evil.example]",
    ),
    # ------------------------------------------------------------------------ forms and fetches
    Mutant(
        name="csrf-not-checked",
        rule="a form needs the token of the browser that got it",
        file=CSRF,
        old="    _check_token(request, field if isinstance(field, str) else request.headers.get(HEADER))\n",
        new="",
        test=T_LOGIN + "test_a_form_without_our_token_or_from_another_site_is_refused",
    ),
    Mutant(
        name="csrf-of-a-fetch-not-checked",
        rule="a fetch needs the token in its header",
        file=CSRF,
        old="    _check_origin(request)\n    _check_token(request, request.headers.get(HEADER))\n",
        new="    _check_origin(request)\n",
        test=T_LOGIN + "test_a_fetch_needs_the_token_in_its_header",
    ),
    Mutant(
        name="forms-from-other-sites",
        rule="a form comes from our own site",
        file=CSRF,
        old="    _check_origin(request)\n    form = await request.post()\n",
        new="    form = await request.post()\n",
        test=T_LOGIN + "test_a_form_without_our_token_or_from_another_site_is_refused",
    ),
    # ------------------------------------------------------------------------ log-in
    Mutant(
        name="throttle-off",
        rule="guessing a password is slowed down",
        file="player_server/auth/throttle.py",
        old="                longest = max(longest, turn.wait_ms)\n",
        new="",
        test="tests/auth/test_throttle.py::test_the_first_mistakes_are_free_and_then_the_delay_grows",
    ),
    Mutant(
        name="throttle-not-waited-for",
        rule="the door lets a guesser wait as long as the throttle says",
        file="player_server/web/turns.py",
        old="    await asyncio.sleep(attempt.wait_s)\n",
        new="",
        test=T_LOGIN + "test_guesses_at_the_door_are_slowed_down_and_then_turned_away",
    ),
    Mutant(
        name="initial-secret-opens-all",
        rule="an initial secret opens the page for choosing a password and nothing else",
        file="player_server/web/viewer.py",
        old="    if login is None or login.must_change or login.account is None:\n        return None\n",
        new="    if login is None or login.account is None:\n        return None\n",
        test=T_LOGIN + "test_with_an_initial_secret_only_the_password_page_opens[1]",
    ),
    Mutant(
        name="logged-out-cookie-opens",
        rule="a log-out ends the log-in on the server, not only in the browser",
        file="player_server/auth/login_sessions.py",
        old="        delete(login_session).where(ended).returning(login_session.c.person_id)\n",
        new="        select(login_session.c.person_id).where(ended)\n",
        test=T_LOGIN + "test_a_learner_logs_in_and_out",
    ),
    # ------------------------------------------------------------------------ tenants
    Mutant(
        name="foreign-learners-in-the-list",
        rule="staff see the learners of their own institution only",
        file="player_server/learning/staff_scope.py",
        old="            found.append(of.institution_id == self.institution_id)\n",
        new="            pass\n",
        test=T_STAFF + "test_the_list_has_own_learners_only_and_masked[sqlite]",
    ),
    Mutant(
        name="secrets-for-foreign-learners",
        rule="staff give secrets to the learners of their own institution only",
        file=STAFF,
        old="        .where(learner.c.id == learner_id, *scope.learners())\n",
        new="        .where(learner.c.id == learner_id)\n",
        test=T_STAFF + "test_no_secret_for_a_foreign_learner_or_without_the_forms_token[sqlite]",
    ),
    Mutant(
        name="exam-client-sees-all",
        rule="an institution's exam client sees its own learners only",
        file="player_server/learning/eligibility_facts.py",
        old='    return query.where(learner.c.institution_id == bindparam("at")) if of_one else query\n',
        new="    return query\n",
        test="tests/api/test_eligibility.py::test_foreign_and_absent_learners_get_the_same_answer[sqlite]",
    ),
    Mutant(
        name="foreign-courses-listed",
        rule="a course of another institution is not there, not even with an enrolment that should not exist",
        file="player_server/learning/enrolments.py",
        old="                course.c.institution_id == learner.c.institution_id,\n",
        new="",
        test="tests/learning/test_enrolments.py::test_a_foreign_video_is_as_unknown_as_an_absent_one[sqlite]",
    ),
    # ------------------------------------------------------------------------ videos
    Mutant(
        name="media-token-for-anybody",
        rule="the address of a video opens it for the learner it was made for, and nobody else",
        file=MEDIA_TOKENS,
        old="            subject=str(learner_id),\n",
        new="",
        test=T_MEDIA + "test_the_address_alone_opens_nothing[sqlite]",
    ),
    Mutant(
        name="media-token-for-any-video",
        rule="the address of a video opens no other one",
        file=MEDIA_TOKENS,
        old=' or claims.get("video") != video_id:',
        new=":",
        test=T_MEDIA + "test_an_address_opens_no_other_video[sqlite]",
    ),
    Mutant(
        name="media-token-for-ever",
        rule="the address of a video expires",
        file=MEDIA_TOKENS,
        old="    if not isinstance(expires, int) or expires * 1000 <= now_ms:\n",
        new="    if not isinstance(expires, int):\n",
        test=T_MEDIA + "test_an_expired_address_is_refused[sqlite]",
    ),
)
