"""Font files with Chinese characters, for papers that are drawn on the server. The product brings none itself."""

from __future__ import annotations

from pathlib import Path

#: Where the packages of common systems put them, the best looking first. Any of these is enough.
WELL_KNOWN = (
    "/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc",  # Debian, Ubuntu: fonts-noto-cjk
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-serif-cjk-fonts/NotoSerifCJK-Regular.ttc",  # Fedora
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSerifCJK-Regular.ttc",  # Arch
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto/NotoSansCJK-Regular.ttc",  # Alpine
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",  # fonts-wqy-zenhei
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/hanazono/HanaMinB.ttf",  # rare characters only; good behind another one
)


def find_fonts(configured: Path | None) -> tuple[Path, ...]:
    """The fonts to draw with, best first: the configured one, then those behind it for characters it lacks."""
    first = () if configured is None else (configured,)
    return tuple(path for path in (*first, *map(Path, WELL_KNOWN)) if path.is_file())
