"""The system's Chromium, as the tests start it."""

import os
import shutil

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # Chromium refuses its sandbox to root, which is who runs continuous integration.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str:
    """Return the path of the browser: that of XUESHI_CHROMIUM, or the first usual one on PATH.

    Raises RuntimeError that says what to type.
    """
    for name in (os.environ.get("XUESHI_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name) if name else None
        if found is not None:
            return found
    raise RuntimeError(
        "Chromium was not found. Type: sudo apt-get install -y chromium fonts-noto-cjk, "
        "or set XUESHI_CHROMIUM to the browser's path"
    )
