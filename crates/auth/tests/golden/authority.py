#!/usr/bin/env python3
"""Prints random graphs of one database with what becomes of each entry; tests/golden.rs reads them.

usage: authority.py GRAPHS > authority.txt

A line is an entry: number, parents (the root has "-"), author, first byte of the id, time in milliseconds, operations,
verdict. Operations, joined by ";": "d" a data section, "s" a setting, "gSL@T" grants subject S the level L until T,
"iKLxN@T" makes key K an invite of N uses that gives L, "lSL" limits S to L. A level is a letter and a priority (A0, W3, R),
"-" is none; subjects are letters, "*" is anyone; "@T" may be absent. A verdict is "refused" by the door, "hidden", or
the rank under which the entry counts: priority/entry/operation ("root" for the root). Refused entries have no children.

The rules are applied here layer by layer: an entry is placed only when every entry that could weaken it has been, which is
told from ranks. That is neither the one pass nor the repetition of the tests in Rust.
"""
import random
import sys

READ_PRIORITY = 2**32 - 1
KINDS = "AWR"


class Entry:
    def __init__(self, number, parents, author, grind, time, ops, known):
        self.number, self.parents, self.author = number, parents, author
        self.grind, self.time, self.ops = grind, time, ops
        self.past = frozenset().union(*(known[p].past | {p} for p in parents)) if parents else frozenset()
        self.generation = 1 + max(known[p].generation for p in parents) if parents else 0
        self.order = (self.generation, grind, number)

    def rank(self, index, level):
        return (level[1], *self.order, index)

    def leaves(self):
        """Whether it limits its own author."""
        return any(op[0] == "l" and op[1] == self.author for op in self.ops)

    def gives(self):
        for index, op in enumerate(self.ops):
            if op[0] in "gi":
                yield index, op[1], op[2], op[3], (op[4] if op[0] == "i" else None)

    def sound(self):
        """What no holding can make good."""
        if any(op[0] == "g" and op[1] == "*" and op[2][0] == "A" for op in self.ops):
            return False
        return not self.leaves() or len(self.ops) == 1


def weaker(level, to):
    kind = max(KINDS.index(level[0]), KINDS.index(to[0]))
    priority = READ_PRIORITY if kind == 2 else max(level[1], to[1])
    return (KINDS[kind], priority)


class Holding:
    def __init__(self, entry, index, subject, level, ends, uses, under):
        self.entry, self.subject, self.level, self.ends, self.uses = entry, subject, level, ends, uses
        self.under, self.rank = under, entry.rank(index, level)


class Database:
    """Places entries by rank, the strongest first; `placed` has the rank of each that counts."""

    ROOT = (-1,)

    def __init__(self, known, among):
        self.known, self.among = known, among
        self.placed = {0: self.ROOT}
        self.holdings, self.limits = [], []
        self.effects(known[0], self.ROOT)
        while self.place_next():
            pass

    def effects(self, entry, rank):
        for index, subject, level, ends, uses in entry.gives():
            self.holdings.append(Holding(entry, index, subject, level, ends, uses, rank))
        for op in entry.ops:
            if op[0] == "l":
                self.limits.append((rank, entry, op[1], op[2]))

    def left(self, entry, holding):
        """Level and rank that the limits which are placed leave of a use; None when nothing is left."""
        level, rank = holding.level, holding.rank
        for limit_rank, by, subject, to in sorted(self.limits, key=lambda limit: (limit[0], limit[1].number)):
            if subject != entry.author and not subject == holding.subject == "*":
                continue
            if entry is by or entry.number in by.past:
                continue
            own = subject == by.author
            equal = limit_rank == rank and own and not entry.leaves()
            if limit_rank >= rank and not equal:
                continue
            if holding.subject != "*" or subject == "*":
                after = by is holding.entry or by.number in holding.entry.past
                if after and holding.under <= limit_rank:
                    continue
            if to is None or (holding.uses and to[0] != "A"):
                return None
            if not holding.uses:
                level = weaker(level, to)
                rank = (max(rank[0], level[1]),) + rank[1:]
        return level, rank

    def allows(self, entry, holding, level, rank):
        if entry.leaves():
            return True
        if holding.uses:
            only = entry.ops[0] if len(entry.ops) == 1 else ("",)
            return only[0] == "g" and only[1] != "*" and only[2] == level
        settings = any(op[0] != "d" for op in entry.ops)
        if level[0] == "R" or settings and level[0] != "A":
            return False
        return all(given[1] >= level[1] and entry.rank(index, given) > rank for index, _, given, _, _ in entry.gives())

    def options(self):
        """The strongest rank at which each entry that is not placed could count, with its holding."""
        for number in self.among:
            entry = self.known[number]
            if number in self.placed or not entry.sound():
                continue
            best = None
            for holding in self.holdings:
                if holding.entry.number not in entry.past or holding.subject not in (entry.author, "*"):
                    continue
                if holding.ends is not None and entry.time >= holding.ends:
                    continue
                left = self.left(entry, holding)
                if left is None or not self.allows(entry, holding, *left):
                    continue
                if holding.uses and not entry.leaves():
                    others = (f for f, r in self.placed.items() if r == left[1] and not self.known[f].leaves())
                    if sum(1 for f in others if self.known[f].author == entry.author) >= holding.uses:
                        continue
                if best is None or left[1] < best:
                    best = left[1]
            if best is not None:
                yield best, not entry.leaves(), entry.order, entry

    def place_next(self):
        """Places the entry that nothing still open can weaken: of the strongest rank, those first that limit themselves."""
        first = min(self.options(), key=lambda option: option[:3], default=None)
        if first is None:
            return False
        self.placed[first[3].number] = first[0]
        self.effects(first[3], first[0])
        return True


def admits(known, entry):
    return entry.number in Database({**known, entry.number: entry}, sorted(entry.past | {entry.number})).placed


def some_level(rng):
    return rng.choice([("A", 0), ("A", 0), ("A", 1), ("A", 2), ("A", 5), ("W", 0), ("W", 2), ("W", 7), ("R", READ_PRIORITY)])


def some_op(rng):
    person, ticket = rng.choice("bbccda"), rng.choice("xy")
    ends = rng.randrange(5, 60) if rng.random() < 0.1 else None
    kind = rng.random()
    if kind < 0.05:
        return ("s",)
    if kind < 0.13:
        return ("g", "*", rng.choice([("W", 3), ("W", 9), ("R", READ_PRIORITY), ("A", 4)]), ends)
    if kind < 0.52:
        return ("g", person, some_level(rng), ends)
    if kind < 0.66:
        return ("i", ticket, rng.choice([("W", 1), ("W", 5), ("R", READ_PRIORITY)]), ends, rng.choice([1, 1, 2]))
    to = rng.choice([None, None, None, ("W", 0), ("W", 4), ("A", 3), ("A", 6), ("R", READ_PRIORITY)])
    return ("l", rng.choice([person, person, person, "*", ticket]), to)


def some_ops(rng, author):
    if author in "xy" and rng.random() < 0.8:
        return [("g", rng.choice("bcd"), rng.choice([("W", 1), ("W", 5), ("R", READ_PRIORITY)]), None)]
    kind = rng.random()
    if kind < 0.25:
        return [("d",)]
    if kind < 0.34:
        return [("l", author, rng.choice([None, ("W", 2), ("A", 5)]))]
    return [some_op(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]


def grow(rng, size):
    """Returns the proposed entries in order and the set of those that the door lets in."""
    roots = rng.choice([["a"], ["a"], ["a"], ["b", "a"]])
    proposed = [Entry(0, [], "a", rng.randrange(4), 1, [("g", key, ("A", 0), None) for key in roots], {})]
    known = {0: proposed[0]}
    while len(proposed) < size:
        open_to = sorted(known)
        near = open_to[-3:] if rng.random() < 0.7 else open_to
        parents = sorted(set(rng.choice(near) for _ in range(rng.choice([1, 1, 2, 3]))))
        author = rng.choice("aaabbccdxyz")
        time = max(known[p].time for p in parents) + rng.randrange(1, 5)
        entry = Entry(len(proposed), parents, author, rng.randrange(4), time, some_ops(rng, author), known)
        if admits(known, entry):
            known[entry.number] = entry
        elif rng.random() > 0.1:
            continue  # some of what is refused is enough
        proposed.append(entry)
    return proposed, known


def level_text(level):
    return "-" if level is None else "R" if level[0] == "R" else f"{level[0]}{level[1]}"


def op_text(op):
    if op[0] in "ds":
        return op[0]
    text = op[0] + op[1] + level_text(op[2])
    if op[0] == "i":
        text += f"x{op[4]}"
    if op[0] in "gi" and op[3] is not None:
        text += f"@{op[3]}"
    return text


def verdict_text(entry, known, placed):
    if entry.number not in known:
        return "refused"
    rank = placed.get(entry.number)
    if rank is None:
        return "hidden"
    return "root" if rank == Database.ROOT else f"{rank[0]}/{rank[3]}/{rank[4]}"


def main():
    graphs = int(sys.argv[1])
    for seed in range(graphs):
        rng = random.Random(seed)
        proposed, known = grow(rng, rng.randrange(6, 17))
        placed = Database(known, sorted(known)).placed
        print(f"graph {seed}")
        for entry in proposed:
            parents = ",".join(map(str, entry.parents)) or "-"
            ops = ";".join(map(op_text, entry.ops))
            verdict = verdict_text(entry, known, placed)
            print(entry.number, parents, entry.author, entry.grind, entry.time, ops, verdict)


if __name__ == "__main__":
    main()
