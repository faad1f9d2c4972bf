"""Where a command works: which settings files, and what the command line puts over them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from player_server.config import ENV_PREFIX, Settings, load


class CommandError(Exception):
    """A command cannot go on; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Where:
    """The settings files and what the command line puts over them."""

    files: tuple[Path, ...]
    overrides: dict[str, Any]

    def settings(self) -> Settings:
        return load(*self.files, overrides=self.overrides)

    def settings_without_redis(self) -> Settings:
        """For commands that never ask Redis: they work beside `./run`, whose embedded one no setting names, and
        when none runs at all. Nobody ever connects to the address that stands in for it."""
        settings = self.settings()
        if settings.data.redis_url is not None:
            return settings
        data = {**self.overrides.get("data", {}), "redis_url": "redis://127.0.0.1:1"}
        return load(*self.files, overrides={**self.overrides, "data": data})

    def arguments(self) -> list[str]:
        """The same for a child process."""
        return [part for file in self.files for part in ("--config", str(file))]

    def typed(self) -> str:
        """The address as it was typed, for a command that somebody is to type next: ` --port 8099`, or nothing."""
        server = self.overrides.get("server", {})
        return "".join(f" --{key} {server[key]}" for key in ("host", "port") if key in server)

    def environment(self) -> dict[str, str]:
        """The overrides as environment variables, for a child process."""
        flat = {
            f"{ENV_PREFIX}{part}__{key}".upper(): str(value).lower() if isinstance(value, bool) else str(value)
            for part, values in self.overrides.items()
            for key, value in values.items()
        }
        return {**os.environ, **flat}
