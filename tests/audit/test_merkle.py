"""Trees and proofs, compared with the recursive definitions of RFC 9162, section 2.1, written down as they stand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.audit.merkle import (
    EMPTY,
    Range,
    Roots,
    Tree,
    consistency_ranges,
    inclusion_ranges,
    is_consistent,
    is_included,
    leaf_hash,
)

# The leaves and roots that implementations of Certificate Transparency are tested with.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(d: Sequence[bytes]) -> bytes:
    """2.1.1."""
    if not d:
        return hashlib.sha256(b"").digest()
    if len(d) == 1:
        return hashlib.sha256(b"\x00" + d[0]).digest()
    k = split(len(d))
    return hashlib.sha256(b"\x01" + mth(d[:k]) + mth(d[k:])).digest()


def path(m: int, d: Sequence[bytes]) -> list[bytes]:
    """2.1.3.1."""
    if len(d) == 1:
        return []
    k = split(len(d))
    return [*path(m, d[:k]), mth(d[k:])] if m < k else [*path(m - k, d[k:]), mth(d[:k])]


def subproof(m: int, d: Sequence[bytes], b: bool) -> list[bytes]:
    """2.1.4.1."""
    if m == len(d):
        return [] if b else [mth(d)]
    k = split(len(d))
    if m <= k:
        return [*subproof(m, d[:k], b), mth(d[k:])]
    return [*subproof(m - k, d[k:], False), mth(d[:k])]


def streamed(ranges: Sequence[Range], leaves: Sequence[bytes]) -> list[bytes]:
    roots = Roots(ranges)
    for leaf in leaves:
        roots.append(leaf_hash(leaf))
    return roots.proof()


def tree_of(leaves: Sequence[bytes]) -> Tree:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    return tree


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


leaves_of = st.lists(st.binary(max_size=6), min_size=1, max_size=70)


@pytest.mark.parametrize("size", range(9))
def test_the_roots_of_certificate_transparency(size: int) -> None:
    assert tree_of(LEAVES[:size]).root().hex() == ROOTS[size] == mth(LEAVES[:size]).hex()


def test_an_empty_tree() -> None:
    assert Tree().root() == EMPTY == hashlib.sha256(b"").digest()


@given(leaves_of)
def test_a_tree_that_grew_is_the_tree_of_the_definition(leaves: list[bytes]) -> None:
    tree = Tree()
    for size, leaf in enumerate(leaves, 1):
        tree.append(leaf_hash(leaf))
        assert (tree.size, tree.root()) == (size, mth(leaves[:size]))


def test_the_frontier_is_as_long_as_the_size_has_ones() -> None:
    tree = Tree()
    for size in range(1, 1025):
        tree.append(leaf_hash(b"%d" % size))
        assert len(tree._frontier) == size.bit_count()


@given(leaves_of, st.data())
def test_an_inclusion_proof_is_that_of_the_definition_and_proves_this_leaf_only(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = streamed(inclusion_ranges(index, len(leaves)), leaves)
    leaf, root, size = leaf_hash(leaves[index]), mth(leaves), len(leaves)
    assert proof == path(index, leaves)
    assert is_included(leaf, index, size, proof, root)
    bit = data.draw(st.integers(0, 255))
    assert not is_included(flipped(leaf, bit), index, size, proof, root)
    assert not is_included(leaf, index, size, proof, flipped(root, bit))
    assert not is_included(leaf, index, size, [*proof, root], root)
    assert not is_included(leaf, index + size, size, proof, root)
    for place, one in enumerate(proof):
        assert not is_included(leaf, index, size, [*proof[:place], flipped(one, bit), *proof[place + 1 :]], root)
        assert not is_included(leaf, index, size, proof[:place] + proof[place + 1 :], root)


@given(st.sets(st.binary(max_size=6), min_size=2, max_size=40), st.data())
def test_a_leaf_is_not_proved_at_another_place(leaves: set[bytes], data: st.DataObject) -> None:
    ordered = sorted(leaves)
    index, other = data.draw(st.permutations(range(len(ordered))))[:2]
    proof = path(index, ordered)
    assert not is_included(leaf_hash(ordered[index]), other, len(ordered), proof, mth(ordered))


@given(leaves_of, st.data())
def test_a_consistency_proof_is_that_of_the_definition_and_proves_these_roots_only(
    leaves: list[bytes], data: st.DataObject
) -> None:
    size = len(leaves)
    old = data.draw(st.integers(1, size))
    proof = streamed(consistency_ranges(old, size), leaves)
    before, now = mth(leaves[:old]), mth(leaves)
    assert proof == subproof(old, leaves, True)
    assert is_consistent(old, before, size, now, proof)
    bit = data.draw(st.integers(0, 255))
    assert not is_consistent(old, flipped(before, bit), size, now, proof)
    assert not is_consistent(old, before, size, flipped(now, bit), proof)
    assert not is_consistent(old, before, size, now, [*proof, now])
    for place, one in enumerate(proof):
        assert not is_consistent(old, before, size, now, [*proof[:place], flipped(one, bit), *proof[place + 1 :]])
        assert not is_consistent(old, before, size, now, proof[:place] + proof[place + 1 :])


@given(leaves_of, st.data())
def test_a_rewritten_history_has_no_consistency_proof(leaves: list[bytes], data: st.DataObject) -> None:
    old = data.draw(st.integers(1, len(leaves)))
    changed = data.draw(st.integers(0, old - 1))
    other = [*leaves[:changed], leaves[changed] + b"!", *leaves[changed + 1 :]]
    proof = streamed(consistency_ranges(old, len(other)), other)
    assert not is_consistent(old, mth(leaves[:old]), len(other), mth(other), proof)


def test_a_root_is_not_taken_for_that_of_a_larger_tree() -> None:
    before, now = mth(LEAVES[:4]), mth(LEAVES)
    assert is_consistent(4, before, 8, now, subproof(4, LEAVES, True))
    assert not is_consistent(4, before, 16, now, subproof(4, LEAVES, True))


def test_every_tree_goes_on_from_the_empty_one() -> None:
    assert is_consistent(0, EMPTY, 3, mth(LEAVES[:3]), [])
    assert not is_consistent(0, mth(LEAVES[:1]), 3, mth(LEAVES[:3]), [])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_there_is_no_proof_of_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_ranges(index, size)
    assert not is_included(EMPTY, index, size, [], EMPTY)


@pytest.mark.parametrize(("old", "size"), [(0, 3), (4, 3)])
def test_there_is_no_proof_from_a_larger_tree(old: int, size: int) -> None:
    with pytest.raises(ValueError, match="cannot go on"):
        consistency_ranges(old, size)
    assert not is_consistent(4, EMPTY, 3, EMPTY, [])


def test_a_proof_needs_all_leaves() -> None:
    with pytest.raises(ValueError, match="only 2 leaves"):
        streamed(inclusion_ranges(0, 8), LEAVES[:2])
