"""The Merkle tree: the vectors of RFC 6962's reference implementation, and every proof of every small tree."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from player_server.policy.merkle import (
    EMPTY_ROOT,
    Node,
    Span,
    complete_root,
    consistency_spans,
    inclusion_spans,
    is_consistent,
    leaf_hash,
    nodes_of,
    root_by_inclusion,
    root_of,
    span_hash,
)

# github.com/google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc: its leaves and their roots.
LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def tree(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


def hash_of(span: Span, leaves: list[bytes]) -> bytes:
    """A span's hash the way the store works it out: from complete subtrees."""
    nodes = {
        node: complete_root(leaves[node.number << node.level : (node.number + 1) << node.level])
        for node in nodes_of(span)
    }
    return span_hash(span, nodes)


def test_the_reference_implementations_roots() -> None:
    assert root_of([]) == EMPTY_ROOT == sha256(b"").digest()
    leaves = [leaf_hash(bytes.fromhex(each)) for each in LEAVES]
    assert [root_of(leaves[:size]).hex() for size in range(1, 9)] == list(ROOTS)
    # The same file's inclusion proof of leaf 0 among 8, and its consistency proof from 6 to 8.
    path = [hash_of(each, leaves).hex()[:8] for each in inclusion_spans(0, 8)]
    assert path == ["96a296d2", "5f083f0a", "6b47aaf2"]
    assert [hash_of(each, leaves).hex()[:8] for each in consistency_spans(6, 8)] == [
        "0ebc5d34",
        "ca854ea1",
        "d37ee418",
    ]


def test_every_proof_of_every_small_tree_holds_and_no_other_does() -> None:
    leaves = tree(34)
    roots = [root_of(leaves[:size]) for size in range(35)]
    for size in range(1, 35):
        for index in range(size):
            path = [hash_of(each, leaves) for each in inclusion_spans(index, size)]
            assert root_by_inclusion(index, size, leaves[index], path) == roots[size]
            assert root_by_inclusion(index, size, leaves[index - 1], path) != roots[size] or size == 1
            assert root_by_inclusion(index, size, leaves[index], [*path, roots[1]]) != roots[size]
        for first in range(1, size + 1):
            path = [hash_of(each, leaves) for each in consistency_spans(first, size)]
            assert is_consistent(first, roots[first], size, roots[size], path)
            assert not is_consistent(first, roots[first - 1], size, roots[size], path)
            assert not is_consistent(first, roots[first], size, roots[size - 1], path)
            if path:
                assert not is_consistent(first, roots[first], size, roots[size], path[:-1])


@given(st.integers(1, 300), st.data())
def test_a_changed_leaf_or_step_never_proves(size: int, data: st.DataObject) -> None:
    leaves = tree(size)
    index = data.draw(st.integers(0, size - 1))
    path = [hash_of(each, leaves) for each in inclusion_spans(index, size)]
    root = root_of(leaves)
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        assert root_by_inclusion(other, size, leaves[index], path) != root
        assert root_by_inclusion(index, size, leaves[other], path) != root
    if path:
        step = data.draw(st.integers(0, len(path) - 1))
        path[step] = EMPTY_ROOT
        assert root_by_inclusion(index, size, leaves[index], path) != root


def test_what_is_no_tree_is_refused() -> None:
    for count in (0, 3):
        with pytest.raises(ValueError, match="1, 2, 4, 8"):
            complete_root(tree(count))
    for index, size in ((5, 5), (-1, 5), (0, 0)):
        with pytest.raises(ValueError, match="not in the tree"):
            inclusion_spans(index, size)
        assert root_by_inclusion(index, size, EMPTY_ROOT, []) is None
    for first, second in ((0, 5), (6, 5)):
        with pytest.raises(ValueError, match="first tree"):
            consistency_spans(first, second)
        assert not is_consistent(first, EMPTY_ROOT, second, EMPTY_ROOT, [])
    assert nodes_of(Span(8, 15)) == [Node(2, 2), Node(1, 6), Node(0, 14)]
