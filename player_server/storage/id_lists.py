"""A list of ids as one parameter, so that a statement is the same, and prepared once, however long the list is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

#: The longest list: what one statement may be asked for.
MOST = 2000


def one_of(kind: str, column: Any, name: str = "ids") -> ColumnElement[bool]:
    """Whether the column is one of the parameter `name`, which `ids_of` makes. `kind`: the dialect's name."""
    if kind == "sqlite":
        values = func.json_each(bindparam(name)).table_valued("value")
        inside: ColumnElement[bool] = column.in_(select(values.c.value))
        return inside
    listed: ColumnElement[bool] = column == any_(bindparam(name, type_=ARRAY(BigInteger)))
    return listed


def ids_of(kind: str, ids: Collection[int]) -> Any:
    """The parameter's value."""
    ordered = sorted(ids)
    return msgspec.json.encode(ordered).decode() if kind == "sqlite" else ordered
