"""Merkle trees over a log, and proofs from them, as RFC 9162, section 2.1, has them. Pure; memory O(log n).

A leaf is hashed from a line of the log without its line feed. The *frontier* of a tree is the roots of the perfect
trees that it is made of, the largest first: all that is needed to append and to tell the root. A proof is the roots of
ranges of leaves that do not overlap; so a proof, too, is made in one pass over the leaves (``Roots``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

EMPTY: Final = hashlib.sha256().digest()
"""The root of a tree without leaves."""

Range: TypeAlias = tuple[int, int]
"""Of leaves, counted from 0: the first, and one after the last."""

_begun_leaf: Final = hashlib.sha256(b"\x00")
_begun_node: Final = hashlib.sha256(b"\x01")


def leaf_hash(content: bytes) -> bytes:
    """RFC 9162, 2.1.1."""
    hashing = _begun_leaf.copy()
    hashing.update(content)
    return hashing.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162, 2.1.1."""
    hashing = _begun_node.copy()
    hashing.update(left + right)
    return hashing.digest()


class Tree:
    """A tree that only grows, known by its frontier."""

    def __init__(self) -> None:
        self.size = 0
        self._frontier: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """``leaf``: from ``leaf_hash``."""
        rest = self.size
        while rest & 1:  # RFC 9162, 2.1.2: as many merges as the size has trailing ones
            leaf = node_hash(self._frontier.pop(), leaf)
            rest >>= 1
        self._frontier.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self._frontier:
            return EMPTY
        root = self._frontier[-1]
        for left in reversed(self._frontier[:-1]):
            root = node_hash(left, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


class Roots:
    """The roots of ranges that do not overlap, from one pass over the leaves."""

    def __init__(self, ranges: Sequence[Range]) -> None:
        self._ranges = ranges
        self._next = sorted(ranges, reverse=True)
        self._tree = Tree()
        self._found: dict[Range, bytes] = {}
        self._position = 0

    def append(self, leaf: bytes) -> None:
        """The next leaf. Those behind the last range are not needed."""
        if self._next:
            start, end = self._next[-1]
            if self._position >= start:
                self._tree.append(leaf)
            if self._position == end - 1:
                self._found[self._next.pop()] = self._tree.root()
                self._tree = Tree()
        self._position += 1

    def proof(self) -> list[bytes]:
        """In the order of the ranges. Raises ValueError: leaves are missing."""
        if self._next:
            raise ValueError(f"the tree has only {self._position} leaves")
        return [self._found[one] for one in self._ranges]


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Whose roots are the inclusion proof of leaf ``index`` in the tree of ``size``: PATH of RFC 9162, 2.1.3.1."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    start, end, found = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """Whose roots prove that the tree of ``size`` goes on from that of ``old``: PROOF of RFC 9162, 2.1.4.1."""
    if not 0 < old <= size:
        raise ValueError(f"a tree of {size} cannot go on from one of {old}")
    start, end, found, is_known = 0, size, [], True
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start, is_known = middle, False
    if not is_known:
        found.append((start, end))
    return found[::-1]


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def is_consistent(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162, 2.1.4.2. Every tree goes on from the empty one, and each from itself, with an empty proof."""
    if old == size or old == 0:
        return not proof and (old_root == root if old == size else old_root == EMPTY)
    if not 0 < old < size or not proof:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == root


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1
