"""Browsers as people name them, from what a browser says of itself. For showing only: it can say anything."""

from __future__ import annotations

import re

# In this order: browsers also call themselves by the names of those they descend from.
_BROWSERS = (
    ("MicroMessenger", "微信"),
    ("DingTalk", "钉钉"),
    ("Edg", "Edge"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("HarmonyOS", "HarmonyOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)
_LONGEST = 40


def device_name(user_agent: str | None) -> str:
    """`Mozilla/5.0 (Windows NT 10.0…) … Chrome/130 …` → `Chrome · Windows`; unknown ones by their first word."""
    text = user_agent or ""
    parts = [next((name for mark, name in marks if mark in text), None) for marks in (_BROWSERS, _SYSTEMS)]
    known = " · ".join(part for part in parts if part)
    return known or re.split(r"[\s/]", text, maxsplit=1)[0][:_LONGEST]
