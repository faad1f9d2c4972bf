"""How names are shown where others may look over a shoulder."""

from __future__ import annotations


def mask_name(name: str) -> str:
    """`张三丰` → `张**`: the first character only; not even the length is told."""
    return name.strip()[:1] + "**"


def same_name(one: str, other: str) -> bool:
    """Whether two spellings are the same name: spaces, case and the various middle dots do not count."""
    return _plain(one) == _plain(other) != ""


def _plain(name: str) -> str:
    return "".join(name.split()).translate(_DOTS).casefold()


# Names of several peoples carry a dot between their parts, and every input method has its own.
_DOTS = str.maketrans("", "", "·•・‧∙.．")
