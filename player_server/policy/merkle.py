"""The Merkle tree of RFC 6962 (and RFC 9162, which counts the same way): hashes, proofs, and how to check them.

A node is named by its level and its number along it: a leaf is level 0, the root of the complete subtree of leaves
8…11 is (2, 2). What belongs here is which nodes a hash is made of, and that hash; where nodes are kept is not.

Proving and checking are written apart on purpose: the first follows the definitions of RFC 6962, section 2.1, by
halving; the second the algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2, by counting bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32
#: The root of no leaves at all.
EMPTY_ROOT = sha256(b"").digest()


class Node(NamedTuple):
    """The root of the complete subtree over leaves number · 2^level … (number + 1) · 2^level − 1."""

    level: int
    number: int


class Span(NamedTuple):
    """Leaves begin … end − 1, as the halving of RFC 6962 cuts them: `begin` is a multiple of a power of two that is
    not less than their number."""

    begin: int
    end: int


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf's data."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children."""
    return sha256(b"\x01" + left + right).digest()


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """The root over neighbouring nodes of one level; their number is a power of two."""
    row = list(hashes)
    if not row or len(row) & (len(row) - 1):
        raise ValueError("a complete subtree has 1, 2, 4, 8 … nodes")
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def nodes_of(span: Span) -> list[Node]:
    """The complete subtrees that a span is made of, largest first."""
    found, begin = [], span.begin
    while begin < span.end:
        level = (span.end - begin).bit_length() - 1
        found.append(Node(level, begin >> level))
        begin += 1 << level
    return found


def span_hash(span: Span, hashes: Mapping[Node, bytes]) -> bytes:
    """The Merkle tree hash of a span, from the hashes of `nodes_of(span)`."""
    return fold([hashes[node] for node in nodes_of(span)])


def fold(peaks: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, largest first. Of none: the root of the empty tree."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for left in reversed(peaks[:-1]):
        root = node_hash(left, root)
    return root


def inclusion_spans(index: int, size: int) -> list[Span]:
    """What the inclusion proof of leaf `index` in a tree of `size` leaves consists of, lowest first."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not in the tree")
    spans, begin, end = [], 0, size
    while end - begin > 1:
        middle = begin + _half(end - begin)
        if index < middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(begin, middle))
            begin = middle
    return spans[::-1]


def consistency_spans(first: int, second: int) -> list[Span]:
    """What proves that the tree of `second` leaves begins with the tree of `first` ones, lowest first."""
    if not 0 < first <= second:
        raise ValueError("the first tree must not be empty, nor larger than the second")
    spans, begin, end, whole = [], 0, second, True
    while first != end:
        middle = begin + _half(end - begin)
        if first <= middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(begin, middle))
            begin, whole = middle, False
    if not whole:
        spans.append(Span(begin, end))
    return spans[::-1]


def _half(count: int) -> int:
    """The largest power of two that is less than `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def root_by_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes | None:
    """The root that this proof leads to, to be compared with a trusted one; None if it cannot be a proof."""
    if not 0 <= index < size:
        return None
    at, last, root = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return None
        if at & 1 or at == last:
            root = node_hash(step, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node_hash(root, step)
        at, last = at >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the second tree begins with the first one."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    path = list(proof)
    if first & (first - 1) == 0:
        # The first tree is a complete subtree of the second; its root is known and left out of the proof.
        path.insert(0, first_root)
    if not path:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, step)
        at, last = at >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


class Growing:
    """The root of a tree that grows leaf by leaf, with a hash for each one in its number's binary digits."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Append the hash of one leaf."""
        size = self.size
        while size & 1:
            leaf = node_hash(self._peaks.pop(), leaf)
            size >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root of what was added so far."""
        return fold(self._peaks)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over these leaf hashes."""
    tree = Growing()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()
