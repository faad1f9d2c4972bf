"""The settings: one frozen tree, filled from files, the environment and overrides; unknown keys are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from telemetry.rules import WatchRules

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Hours = Annotated[float, msgspec.Meta(gt=0)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]

#: XUESHI_DATA__REDIS_URL=… sets data.redis_url: what may not stand in a file comes from the environment.
ENV_PREFIX = "XUESHI_"
#: The databases that are known and tested, as SQLAlchemy names them with their drivers.
DATABASES = ("sqlite+aiosqlite://", "postgresql+asyncpg://")
PROJECT = Path(__file__).resolve().parent.parent


class ConfigError(Exception):
    """The settings cannot be used; the message is one line for the operator."""


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = None
    insecure_http: bool = False
    trusted_proxies: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()


class DataSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    folder: str = "var"
    database_url: str | None = None
    redis_url: str | None = None
    keys_folder: str | None = None
    programmes_folder: str | None = None


class WatchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    beat_every_s: Seconds = 5
    max_rate: Annotated[float, msgspec.Meta(gt=0, le=4)] = 1.0
    gap_grace_s: Seconds = 15
    jitter_s: Seconds = 2
    lock_ttl_s: Seconds = 20
    busy_wait_s: Seconds = 30
    second_page: Literal["ask", "refuse", "newest"] = "ask"

    def rules(self) -> WatchRules:
        """The same as the pure core wants it, in integer milliseconds."""
        return WatchRules(
            beat_every_ms=round(self.beat_every_s * 1000),
            max_rate=self.max_rate,
            gap_grace_ms=round(self.gap_grace_s * 1000),
            jitter_ms=round(self.jitter_s * 1000),
            lock_ttl_ms=round(self.lock_ttl_s * 1000),
            busy_wait_ms=round(self.busy_wait_s * 1000),
            second_page=self.second_page,
        )


class ChallengeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    earliest_s: Seconds = 480
    latest_s: Seconds = 900
    answer_s: Seconds = 120
    identity_answer_s: Seconds = 600
    rotate_s: Seconds = 20
    same_device: Literal["tap", "refuse"] = "tap"
    show_link: bool = False

    def __post_init__(self) -> None:
        if self.latest_s < self.earliest_s:
            raise ValueError("latest_s must not be less than earliest_s")


class QuizSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    feedback: Literal["none", "score", "items"] = "score"
    cooldown_after: Annotated[int, msgspec.Meta(ge=1)] = 3
    cooldown_first_s: Seconds = 30
    cooldown_longest_s: Seconds = 600


class FindingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    long_day_hours: Hours = 10


class MediaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lookahead_s: Annotated[float, msgspec.Meta(ge=5)] | None = 120
    accel_prefix: str | None = None

    @property
    def lookahead_ms(self) -> int | None:
        return None if self.lookahead_s is None else round(self.lookahead_s * 1000)


class SignInSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    session_hours: Seconds = 12
    media_url_hours: Seconds = 4


class CertificateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    font: str | None = None


class ExamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    launch_url: str | None = None
    launch_s: Annotated[float, msgspec.Meta(ge=10, le=600)] = 120
    access_token_s: Annotated[float, msgspec.Meta(ge=10, le=3600)] = 600
    assertion_s: Annotated[float, msgspec.Meta(ge=10, le=3600)] = 300
    requests_per_minute: Annotated[int, msgspec.Meta(ge=1)] = 6000


class LedgerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checkpoint_every_s: Seconds = 60
    checkpoints_folder: str | None = None


class WebhookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    allow_private: bool = False
    keep_days: Annotated[float, msgspec.Meta(ge=7)] = 90


class ImportSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    largest_mb: Annotated[int, msgspec.Meta(ge=1, le=200)] = 20
    most_rows: Annotated[int, msgspec.Meta(ge=1, le=500_000)] = 100_000


class XapiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    endpoint: str | None = None
    username: str = ""
    password: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything an operator can set."""

    server: ServerSettings = ServerSettings()
    data: DataSettings = DataSettings()
    watch: WatchSettings = WatchSettings()
    challenges: ChallengeSettings = ChallengeSettings()
    quiz: QuizSettings = QuizSettings()
    findings: FindingSettings = FindingSettings()
    media: MediaSettings = MediaSettings()
    sign_in: SignInSettings = SignInSettings()
    imports: ImportSettings = ImportSettings()
    certificates: CertificateSettings = CertificateSettings()
    exam: ExamSettings = ExamSettings()
    ledger: LedgerSettings = LedgerSettings()
    webhooks: WebhookSettings = WebhookSettings()
    xapi: XapiSettings = XapiSettings()

    @property
    def folder(self) -> Path:
        """Where everything is kept; a relative name is below the project's folder, wherever the caller stands."""
        return PROJECT / self.data.folder

    @property
    def media_folder(self) -> Path:
        return self.folder / "media"

    @property
    def keys_folder(self) -> Path:
        return PROJECT / self.data.keys_folder if self.data.keys_folder else self.folder / "keys"

    @property
    def programmes_folder(self) -> Path | None:
        """None: the programmes that come with the product."""
        return PROJECT / self.data.programmes_folder if self.data.programmes_folder else None

    @property
    def certificate_font(self) -> Path | None:
        """None: the first of the well-known ones that is there (storage/fonts.py)."""
        return PROJECT / self.certificates.font if self.certificates.font else None

    @property
    def checkpoints_folder(self) -> Path:
        """Where signed checkpoints are kept outside the database."""
        chosen = self.ledger.checkpoints_folder
        return PROJECT / chosen if chosen else self.folder / "checkpoints"

    @property
    def database_url(self) -> str:
        return self.data.database_url or f"sqlite+aiosqlite:///{self.folder / 'xueshi.sqlite'}"

    @property
    def public_url(self) -> str:
        """Without a trailing slash."""
        return (self.server.public_url or f"http://{self.server.host}:{self.server.port}").rstrip("/")


def load(*paths: Path, overrides: dict[str, Any] | None = None) -> Settings:
    """Read the files in order, later ones over earlier ones, then the environment, then `overrides`.

    `overrides` is a tree like the file's. Raises ConfigError with one line that names the file and the key.
    """
    tree: dict[str, Any] = {}
    for path in paths:
        tree = _merge(tree, _read(path))
    tree = _merge(tree, _from_environment())
    tree = _merge(tree, overrides or {})
    source = str(paths[-1]) if paths else "settings"
    try:
        settings = msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {error}") from None
    _check(settings, source)
    return settings


def _check(settings: Settings, source: str) -> None:
    if settings.watch.lock_ttl_s <= settings.watch.beat_every_s:
        raise ConfigError(f"{source}: watch.lock_ttl_s must be longer than watch.beat_every_s")
    launch = settings.exam.launch_url
    if launch is not None and not launch.startswith(
        ("https://", "http://") if settings.server.insecure_http else "https://"
    ):
        raise ConfigError(f"{source}: exam.launch_url must begin with https://")
    if not settings.database_url.startswith(DATABASES):
        raise ConfigError(f"{source}: data.database_url must begin with {' or '.join(DATABASES)}")
    font = settings.certificate_font
    if font is not None and not font.is_file():
        raise ConfigError(f"{source}: certificates.font: there is no file {font}")
    if settings.public_url.startswith("http://") and not settings.server.insecure_http:
        raise ConfigError(
            f"{source}: server.public_url is plain http; use https behind a proxy, "
            "or set server.insecure_http: true to try it out"
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}: not valid YAML{where}: {getattr(error, 'problem', error)}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: must be a mapping of settings")
    return tree


def _from_environment() -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in os.environ.items():
        part, separator, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        if name.startswith(ENV_PREFIX) and separator:
            tree.setdefault(part, {})[key] = yaml.safe_load(value)
    return tree


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
