"""Charts of the dashboard, drawn as SVG by pygal: shown as pictures, each with a table of its numbers behind it.

No script is in them. The steps of a series differ in lightness and stand in one order, so that they can be told
apart without colour.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pygal
from pygal.style import Style

# pygal leaves a finder of maps behind that Python 3.12 has no use for; whoever asks every finder trips over it.
sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

WIDTH = 760
#: From nothing to everything: each step darker than the one before.
STEPS = ("#e3e9ee", "#bcd3e6", "#8db6d8", "#5a93c3", "#2f6ea5", "#123f66")
_FONT = 'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif'
_INK = "#5f6f7b"
_BAR_HEIGHT = 26
_FONT_SIZE = 12
LONGEST_LABEL = 16


def _style(colors: tuple[str, ...]) -> Style:
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground=_INK,
        foreground_strong=_INK,
        foreground_subtle=_INK,
        colors=colors,
        opacity="1",
        opacity_hover="1",
        transition="0",
        font_family=_FONT,
        label_font_size=_FONT_SIZE,
        major_label_font_size=_FONT_SIZE,
        legend_font_size=_FONT_SIZE,
        value_font_size=11,
        guide_stroke_color="#8a97a1",
        guide_stroke_dasharray="1,4",
        major_guide_stroke_color="#8a97a1",
        major_guide_stroke_dasharray="1,4",
    )


# Drawing takes some ten milliseconds of the process that also counts beats, so equal pictures are drawn once.
@lru_cache(maxsize=64)
def bars(labels: tuple[str, ...], values: tuple[float, ...], title: str) -> str:
    """One bar for each label; every fifth label is written. Returns the SVG's text."""
    chart = pygal.Bar(
        js=[],
        style=_style(("#2f6ea5",)),
        width=WIDTH,
        height=260,
        margin=8,
        spacing=6,
        show_legend=False,
        min_scale=3,
        include_x_axis=True,
        truncate_label=-1,
        x_labels_major_every=5,
        show_minor_x_labels=False,
        show_y_guides=True,
        show_x_guides=False,
        pretty_print=False,
        disable_xml_declaration=True,
        print_values=False,
        value_formatter=lambda value: f"{value:g}",
        classes=(),
    )
    chart.title = None
    chart.x_labels = labels
    chart.add(title, list(values))
    return _draw(chart)


@lru_cache(maxsize=64)
def stacked(labels: tuple[str, ...], series: tuple[tuple[str, tuple[int, ...]], ...], empty: str) -> str:
    """One bar for each label, divided among the series by their share of it in percent. Returns the SVG's text."""
    chart = pygal.HorizontalStackedBar(
        js=[],
        style=_style(STEPS),
        width=WIDTH,
        height=90 + _BAR_HEIGHT * max(1, len(labels)),
        margin=8,
        # pygal takes a Chinese character to be as narrow as a Latin one.
        margin_left=8 + max((_too_narrow(each[:LONGEST_LABEL]) for each in labels), default=0),
        spacing=6,
        legend_at_bottom=True,
        legend_at_bottom_columns=len(series),
        legend_box_size=12,
        range=(0, 100),
        truncate_label=LONGEST_LABEL,
        truncate_legend=-1,
        show_y_guides=True,
        no_data_text=empty,
        disable_xml_declaration=True,
        value_formatter=lambda value: f"{value:g}%",
    )
    # pygal draws from the bottom up.
    chart.x_labels = labels[::-1]
    for name, values in series:
        chart.add(name, list(_percent(values, series))[::-1])
    return _draw(chart)


def _draw(chart: Any) -> str:
    """Without the script that pygal puts its settings into: nothing here reacts to a mouse."""

    def without_scripts(root: Any) -> Any:
        for parent in list(root.iter()):
            for child in [each for each in parent if isinstance(each.tag, str) and each.tag.endswith("script")]:
                parent.remove(child)
        return root

    chart.add_xml_filter(without_scripts)
    return str(chart.render())


def _too_narrow(label: str) -> int:
    """How many pixels too few pygal keeps for a label."""
    return round(sum(0.45 * _FONT_SIZE for character in label if ord(character) > 0x2E7F))


def _percent(values: Sequence[int], series: Sequence[tuple[str, Sequence[int]]]) -> list[float]:
    totals = [sum(row[place] for _name, row in series) for place in range(len(values))]
    return [round(100 * value / total, 1) if total else 0.0 for value, total in zip(values, totals, strict=True)]
