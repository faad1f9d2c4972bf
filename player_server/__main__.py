"""The command line: reads arguments, calls one command, and turns what went wrong into one clear line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from player_server import commands, service_commands
from player_server.commands import CONFIG, DEMO, lan_address
from player_server.config import ConfigError, load
from player_server.operating.backup import backup, restore
from player_server.operating.doctor import doctor
from player_server.operating.ledger import check_ledger
from player_server.operating.serving import serve, serve_many
from player_server.operating.staff import staff_add
from player_server.operating.webhooks import webhook_add, webhook_disable, webhook_list
from player_server.operating.where import CommandError, Where
from player_server.standalone.supervisor import GIVE_UP


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return uvloop.run(_command(options))
    except (ConfigError, CommandError) as error:
        print(f"xueshi: {error}", file=sys.stderr)
        return GIVE_UP
    except KeyboardInterrupt:
        return 130


def _command(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    where = _where(options)
    match options.command:
        case None:
            return commands.start_all(where, fresh=options.fresh)
        case "serve":
            if options.processes is not None:
                return serve_many(where, options.processes)
            return serve(where, shared_port=options.shared_port)
        case "doctor":
            return doctor(where)
        case "backup":
            return backup(where, options.folder, options.pg_bin)
        case "restore":
            return restore(where, options.folder, options.pg_bin)
        case "worker":
            return commands.work(where)
        case "migrate":
            return commands.migrate_only(where)
        case "import-course":
            return commands.import_folder(where, options.folder, options.institution)
        case "verify-ledger":
            return check_ledger(where, options.copy, options.checkpoint or [], options.key)
        case "seed":
            return commands.seed_school(where, options.learners, options.classes, options.institution)
        case "exam-token":
            return service_commands.exam_token(where, options.key, options.client)
        case "staff-add":
            return staff_add(
                where,
                options.username,
                name=options.name,
                role=options.role,
                institution_name=options.institution,
                new=options.new,
            )
        case "rotate-keys":
            return service_commands.rotate_keys(where, at_once=options.at_once)
        case "client":
            return _client_command(where, options)
        case "webhook":
            return _webhook_command(where, options)
        case other:
            raise CommandError(f"no such command: {other}")


def _webhook_command(where: Where, options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    match options.what:
        case "add":
            return webhook_add(where, options.url, name=options.name, topics=options.topics)
        case "disable":
            return webhook_disable(where, options.id)
        case _:
            return webhook_list(where)


def _client_command(where: Where, options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    match options.what:
        case "add":
            return service_commands.client_add(
                where,
                options.id,
                name=options.name,
                institution_name=options.institution,
                regulator=options.regulator,
                key=options.key,
                secret=options.secret,
                scopes=options.scopes,
            )
        case "rotate":
            return service_commands.client_rotate(
                where, options.id, key=options.key, secret=options.secret, grace_hours=options.grace_hours
            )
        case "disable":
            return service_commands.client_disable(where, options.id)
        case _:
            return service_commands.client_list(where)


def _where(options: argparse.Namespace) -> Where:
    """The files named by --config; without any, config.yaml with the demo's settings over it."""
    files = tuple(options.config or ())
    if not files:
        files = (CONFIG, DEMO)
    server: dict[str, Any] = {}
    if options.host is not None:
        server["host"] = options.host
    if options.port is not None:
        server["port"] = options.port
    if options.host in ("0.0.0.0", "::"):  # noqa: S104  # It is the operator's choice.
        address = lan_address()
        if address is None:
            raise CommandError(f"--host {options.host}: this machine has no network address a phone could reach")
        port = options.port if options.port is not None else load(*files).server.port
        server["public_url"] = f"http://{address}:{port}"
    return Where(files, {"server": server} if server else {})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./run", description="Xueshi (学时). `./run --help` tells more.")
    _add_where(parser)
    parser.add_argument("--fresh", action="store_true", help="forget the data of former runs")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in ("worker", "migrate", "doctor"):
        _add_where(parsers.add_parser(name))
    for name in ("backup", "restore"):
        keeping = parsers.add_parser(name)
        _add_where(keeping)
        keeping.add_argument("folder", type=Path)
        keeping.add_argument("--pg-bin", type=Path, metavar="FOLDER", help="where pg_dump and pg_restore are")
    serving = parsers.add_parser("serve")
    _add_where(serving)
    serving.add_argument("--processes", type=int, default=None, help="so many processes on one port")
    serving.add_argument("--shared-port", action="store_true", help="others may listen on the port as well")
    course = parsers.add_parser("import-course")
    _add_where(course)
    course.add_argument("folder", type=Path)
    course.add_argument("--institution", metavar="NAME")
    ledger = parsers.add_parser("verify-ledger")
    _add_where(ledger)
    ledger.add_argument("copy", metavar="DB", help="an SQLite file, a PostgreSQL URL, or a plain dump of pg_dump")
    ledger.add_argument(
        "--checkpoint", metavar="FILE", type=Path, action="extend", nargs="+", help="checkpoints, or their folder"
    )
    ledger.add_argument("--key", help="the public key or its file; default: ledger.pub of the keys folder")
    _add_staff(parsers.add_parser("staff-add"))
    seed = parsers.add_parser("seed")
    _add_where(seed)
    seed.add_argument("--learners", type=int, default=1000)
    seed.add_argument("--classes", type=int, default=20)
    seed.add_argument("--institution", metavar="NAME")
    token = parsers.add_parser("exam-token")
    _add_where(token)
    token.add_argument("--key", type=Path, help="the client's private key; default: the demo's")
    token.add_argument("--client", default="exam-demo")
    rotate = parsers.add_parser("rotate-keys")
    _add_where(rotate)
    rotate.add_argument(
        "--at-once", action="store_true", help="the old key leaked: nothing it signed counts any more"
    )
    _add_webhook_parsers(parsers.add_parser("webhook").add_subparsers(dest="what", metavar="WHAT", required=True))
    _add_client_parsers(parsers.add_parser("client").add_subparsers(dest="what", metavar="WHAT", required=True))
    return parser


def _add_webhook_parsers(parsers: Any) -> None:
    add, disable = parsers.add_parser("add"), parsers.add_parser("disable")
    for parser in (add, disable, parsers.add_parser("list")):
        _add_where(parser)
    add.add_argument("url")
    add.add_argument("--name", required=True)
    add.add_argument("--topics", help="names with commas; default: all")
    disable.add_argument("id", type=int)


def _add_client_parsers(parsers: Any) -> None:
    add, rotate = parsers.add_parser("add"), parsers.add_parser("rotate")
    for parser in (add, rotate, parsers.add_parser("disable")):
        parser.add_argument("id")
        _add_where(parser)
    _add_where(parsers.add_parser("list"))
    for parser in (add, rotate):
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--key", type=Path, help="the client's public key, PEM; default: a new pair is printed")
        how.add_argument("--secret", action="store_true", help="a secret instead of a key")
    add.add_argument("--name")
    add.add_argument("--institution", metavar="NAME")
    add.add_argument("--regulator", action="store_true")
    add.add_argument("--scopes", help="names with commas; default: all")
    rotate.add_argument("--grace-hours", type=float, default=24, help="how long the old one is accepted")


def _add_staff(parser: argparse.ArgumentParser) -> None:
    _add_where(parser)
    parser.add_argument("username")
    parser.add_argument("--name", help="how colleagues know them; default: the user name")
    parser.add_argument("--role", default="owner", choices=("owner", "auditor", "regulator"))
    parser.add_argument("--institution", metavar="NAME")
    parser.add_argument("--new", action="store_true", help="make the institution if it is not there")


def _add_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, action="append", default=None)
    parser.add_argument("--host", default=None)
    parser.add_argument("--port", type=int, default=None)


if __name__ == "__main__":
    sys.exit(main())
