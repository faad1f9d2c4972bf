"""Every URL of the server, on one page."""

from __future__ import annotations

from aiohttp import web

from player_server.api import (
    eligibility,
    events,
    exam_results,
    launches,
    learner_hours,
    ledger,
    oauth,
    openapi,
    watch_tickets,
)
from player_server.gateway import socket
from player_server.ops import health, metrics
from player_server.pages import (
    api_docs,
    appeals,
    certificates,
    challenge,
    course,
    electives,
    exam,
    forgot,
    home,
    hours,
    language,
    login,
    media,
    password,
    phone,
    player,
    quiz,
    records,
    static,
)
from player_server.pages.staff import accounts as staff_accounts
from player_server.pages.staff import appeals as staff_appeals
from player_server.pages.staff import audit as staff_audit
from player_server.pages.staff import calls as staff_calls
from player_server.pages.staff import certificates as staff_certificates
from player_server.pages.staff import classes as staff_classes
from player_server.pages.staff import dashboard as staff_dashboard
from player_server.pages.staff import exports as staff_exports
from player_server.pages.staff import imports as staff_imports
from player_server.pages.staff import institutions as staff_institutions
from player_server.pages.staff import jobs as staff_jobs
from player_server.pages.staff import learner as staff_learner
from player_server.pages.staff import learner_actions as staff_learner_actions
from player_server.pages.staff import learners as staff_learners
from player_server.pages.staff import ledger as staff_ledger
from player_server.pages.staff import log_in as staff_log_in
from player_server.pages.staff import moves as staff_moves
from player_server.pages.staff import password as staff_password
from player_server.pages.staff import videos as staff_videos
from player_server.pages.staff import webhooks as staff_webhooks
from player_server.web.keys import SERVICES
from player_server.web.openapi import API_DOCUMENT, document

#: The REST interface, as its document lists it.
OPERATIONS = (
    oauth.TOKEN,
    eligibility.ELIGIBILITY,
    eligibility.BATCH,
    learner_hours.HOURS,
    exam_results.EXAM_RESULTS,
    launches.REDEEM,
    events.EVENTS,
)

ROUTES = (
    # The learner
    web.get("/", home.home),
    web.get("/courses/{course}", course.course),
    web.get("/player/{video}", player.player),
    web.get("/quiz/{video}", quiz.quiz_page),
    web.post("/quiz/{video}", quiz.quiz_submit),
    web.get("/hours", hours.hours),
    web.post("/exam/{enrolment}/launch", exam.exam_launch),
    web.get("/records", records.records),
    web.get("/records/appeal", appeals.ask),
    web.post("/records/appeal", appeals.send),
    web.get("/media/{video}", media.video_file),
    web.get("/captions/{video}", media.captions_file),
    # Electives and certificates
    web.get("/electives", electives.electives),
    web.post("/electives", electives.add),
    web.post("/certificates", certificates.take),
    web.get("/certificates/{number}", certificates.certificate),
    web.get("/certificates/{number}/pdf", certificates.certificate_pdf),
    web.get("/verify", certificates.verify_form),
    web.get("/verify/{number}", certificates.verify_number),
    web.get("/verify/{number}/ledger.json", certificates.verify_proofs),
    # Watching
    web.post("/api/v1/watch-tickets", watch_tickets.post_watch_ticket),
    web.get("/ws/watch", socket.watch),
    # Checks: on the computer, and on the phone
    web.get("/challenges/{id}/qr.svg", challenge.qr),
    web.get("/challenges/{id}/link", challenge.link),
    web.post("/challenges/{id}/renew", challenge.renew),
    web.post("/challenges/{id}/tap", challenge.tap),
    web.post("/c/confirm", phone.confirm),
    web.post("/c/bind", phone.bind),
    web.post("/c/rebind", phone.rebind),
    web.get("/c/{token}", phone.open_code),
    # Logging in
    web.get("/login", login.login_page),
    web.post("/login", login.login_submit),
    web.get("/login/account", login.account_page),
    web.post("/login/account", login.account_submit),
    web.get("/password", password.password_page),
    web.post("/password", password.password_submit),
    web.get("/forgot", forgot.forgot_page),
    web.post("/forgot", forgot.forgot_submit),
    web.post("/logout", login.logout_submit),
    web.post("/language", language.switch_language),
    # The institution
    web.get("/staff", staff_dashboard.dashboard),
    web.get("/staff/watching.json", staff_dashboard.watching_json),
    web.get("/staff/charts/{name:[a-z]+}.svg", staff_dashboard.chart),
    web.get("/staff/learners", staff_learners.learners),
    web.get("/staff/learners/{learner}", staff_learner.learner),
    web.get("/staff/moves", staff_moves.moves),
    web.get("/staff/moves/{move}/{action}", staff_moves.ask),
    web.post("/staff/moves/{move}/{action}", staff_moves.do),
    web.get("/staff/videos", staff_videos.videos),
    web.get("/staff/videos/{video}", staff_videos.video),
    web.get("/staff/videos/{video}/file", staff_videos.ask_file),
    web.post("/staff/videos/{video}/file", staff_videos.replace),
    web.get("/staff/videos/{video}/answers", staff_videos.answers),
    web.post("/staff/videos/{video}/answers", staff_videos.correct),
    web.get("/staff/videos/{video}/actions/{action}", staff_videos.ask),
    web.post("/staff/videos/{video}/actions/{action}", staff_videos.do),
    web.get("/staff/appeals", staff_appeals.appeals),
    web.get("/staff/appeals/{appeal}", staff_appeals.appeal),
    web.post("/staff/appeals/{appeal}", staff_appeals.answer),
    web.get("/staff/learners/{learner}/actions/{action}", staff_learner_actions.ask),
    web.post("/staff/learners/{learner}/actions/{action}", staff_learner_actions.do),
    web.get("/staff/learners/{learner}/initial-secret", staff_learners.ask_initial_secret),
    web.post("/staff/learners/{learner}/initial-secret", staff_learners.give_initial_secret),
    web.get("/staff/login", staff_log_in.staff_login_page),
    web.post("/staff/login", staff_log_in.staff_login_submit),
    web.post("/staff/logout", staff_log_in.staff_logout_submit),
    web.get("/staff/password", staff_password.staff_password_page),
    web.post("/staff/password", staff_password.staff_password_submit),
    web.get("/staff/accounts", staff_accounts.accounts),
    web.get("/staff/accounts/new", staff_accounts.new_account),
    web.post("/staff/accounts/new", staff_accounts.open_submit),
    web.get("/staff/accounts/{staff}", staff_accounts.account),
    web.post("/staff/accounts/{staff}", staff_accounts.change_submit),
    web.post("/staff/accounts/{staff}/close", staff_accounts.close_submit),
    web.post("/staff/accounts/{staff}/password", staff_accounts.password_submit),
    web.get("/staff/audit", staff_audit.audit),
    web.get("/staff/institutions", staff_institutions.institutions_page),
    web.post("/staff/institutions", staff_institutions.choose_institution),
    # The institution's papers
    web.get("/staff/certificates", staff_certificates.certificates),
    web.get("/staff/certificates/{number}", staff_certificates.certificate),
    web.get("/staff/certificates/{number}/pdf", staff_certificates.certificate_pdf),
    web.get("/staff/calls", staff_calls.calls),
    web.get("/staff/classes", staff_classes.class_list),
    web.get("/staff/classes/{name}/report", staff_classes.report),
    web.get("/staff/exports", staff_exports.exports),
    web.post("/staff/exports", staff_exports.ask_export),
    web.post("/staff/exports/registry", staff_exports.ask_registry),
    # Imports
    web.get("/staff/imports", staff_imports.imports_page),
    web.post("/staff/imports", staff_imports.upload),
    web.get("/staff/imports/template/{kind}", staff_imports.template_file),
    web.get("/staff/imports/{import}", staff_imports.import_page),
    web.post("/staff/imports/{import}/confirm", staff_imports.confirm),
    web.post("/staff/imports/{import}/discard", staff_imports.discard),
    web.post("/staff/imports/{import}/secrets", staff_imports.secrets),
    # Long work: how far it is, and what came out
    web.get("/staff/jobs/{id:[A-Za-z0-9_-]+}", staff_jobs.job_page),
    web.get("/staff/jobs/{id:[A-Za-z0-9_-]+}.json", staff_jobs.job_json),
    web.post("/staff/jobs/{id:[A-Za-z0-9_-]+}/cancel", staff_jobs.job_cancel),
    web.get("/staff/jobs/{id:[A-Za-z0-9_-]+}/file", staff_jobs.job_file),
    # The ledger for those who must trust it
    web.get("/staff/ledger", staff_ledger.ledger_page),
    # Who is told of the institution's events
    web.get("/staff/webhooks", staff_webhooks.endpoints),
    web.get("/staff/webhooks/new", staff_webhooks.new_endpoint),
    web.post("/staff/webhooks", staff_webhooks.create_endpoint),
    web.get("/staff/webhooks/{endpoint}", staff_webhooks.endpoint_page),
    web.get("/staff/webhooks/{endpoint}/disable", staff_webhooks.ask_disable),
    web.post("/staff/webhooks/{endpoint}/disable", staff_webhooks.disable),
    web.post("/staff/webhooks/{endpoint}/enable", staff_webhooks.enable),
    web.post("/staff/webhooks/{endpoint}/deliveries/{delivery}/send", staff_webhooks.send_again),
    # The exam service
    *(each.route() for each in OPERATIONS),
    web.get("/api/v1/openapi.json", openapi.openapi),
    web.get("/api/v1/docs", api_docs.api_docs),
    web.get("/.well-known/jwks.json", oauth.jwks),
    web.get("/.well-known/oauth-authorization-server", oauth.metadata),
    # The ledger's log, for everybody
    web.get("/ledger/checkpoint", ledger.checkpoint),
    web.get("/ledger/key", ledger.public_key),
    web.get("/ledger/inclusion/{leaf_hash}", ledger.inclusion_proof),
    web.get("/ledger/consistency", ledger.consistency_proof),
    web.get("/hours/{entry}/proof.json", ledger.own_proof),
    # The operator
    web.get("/healthz", health.healthz),
    web.get("/readyz", health.readyz),
    web.get("/metrics", metrics.metrics_page),
    web.get("/static/{version}/{name:.+}", static.static_file),
)


def add_routes(app: web.Application) -> None:
    """Put every route into the application."""
    app.add_routes(ROUTES)
    app[API_DOCUMENT] = document(OPERATIONS, app[SERVICES].settings.public_url)
