"""docs/ledger.md: its snippet checks a real proof."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from player_server.policy.merkle import inclusion_spans, leaf_hash, root_of
from tests.policy.test_merkle import hash_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "ledger.md"


def test_the_snippet_works_out_the_root() -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102  # It is our own document.
    leaves = [leaf_hash(str(number).encode()) for number in range(7)]
    for position in range(7):
        proof = {
            "data": str(position),
            "position": position,
            "path": [hash_of(each, leaves).hex() for each in inclusion_spans(position, 7)],
            "checkpoint": {"size": 7},
        }
        assert names["root_of"](proof) == root_of(leaves).hex()
