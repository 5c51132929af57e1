"""What building a pickle would cost, worked out from its opcodes before anything is built.

The pass runs the pickle's stack machine on stand-ins that know kind and size alone. It refuses what makes a small file large or slow:
numbers that a call would turn into memory, one text copied by many calls, keys and tuples whose hash takes for ever, storages that
claim more than the file holds. Cost of the pass: some microseconds an opcode.
"""

from __future__ import annotations

import pickle
import pickletools
from dataclasses import dataclass, field
from typing import BinaryIO

# A ResNet-101 Mask R-CNN needs about 20 thousand, its optimizer as many again.
MAX_OPCODES = 1_000_000
MAX_TUPLE = 1_000  # values in a tuple, those of tuples inside it counted
SHARING = 4  # times its own size that a file's texts and numbers may be handed to calls
ROOM = 1_000_000  # bytes that any file may spend
REBUILDS = "_rebuild"  # calls whose numbers are places in a storage, not sizes to allocate
ITEM_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "ComplexDoubleStorage": 16, "ComplexFloatStorage": 8,
}  # fmt: skip

ATOM, NUMBER, TEXT, GLOBAL, TUPLE, OTHER, MARK = range(7)
HASHED_AT_ONCE = (ATOM, NUMBER, TEXT, GLOBAL)
TEXTS = ("str", "bytes", "bytes_or_str", "bytearray")
MAX_KEY = 16  # values in a tuple that is a key


@dataclass(slots=True)
class _Item:
    """A value that would be built. ``size``: characters of a text, unfolded values of a tuple; ``value``: a number, a short text, a
    global's name, or the items of a tuple."""

    kind: int
    size: int = 1
    value: object = None


_MARK = _Item(MARK)


@dataclass(slots=True)
class Cost:
    """What the pickles of one file would cost so far; ``file_size`` in bytes bounds it. ``storages``: bytes that torch would allocate."""

    file_size: int
    opcodes: int = 0
    spent: int = 0
    storages: int = 0
    stack: list[_Item] = field(default_factory=list)
    memo: dict[int, _Item] = field(default_factory=dict)

    def check(self, stream: BinaryIO) -> None:
        """Walk one pickle of ``stream``, which is left behind its end.

        Raises:
            pickle.UnpicklingError: it would cost more than its file is worth. ValueError, IndexError, ...: it is damaged.
        """
        self.stack, self.memo = [], {}
        for opcode, argument, _ in pickletools.genops(stream):
            self.opcodes += 1
            if self.opcodes > MAX_OPCODES:
                raise pickle.UnpicklingError(f"more than {MAX_OPCODES} objects")
            self._step(opcode, argument)

    def _step(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        name = opcode.name
        if name in ("PUT", "BINPUT", "LONG_BINPUT"):
            # The interpreter makes room for every index below; real picklers count from 0 upward.
            if argument > self.opcodes:
                raise pickle.UnpicklingError(f"memo index {argument} after {self.opcodes} opcodes")
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name == "DUP":
            self.stack.append(self.stack[-1])
        # The interpreter reads a whole frame into memory at once, as long as it says it is.
        elif name == "FRAME":
            if argument > self.file_size:
                raise ValueError(f"a frame of {argument} bytes in a file of {self.file_size}")
        elif name == "POP" and self.stack[-1] is _MARK:
            self.stack.pop()
        else:
            taken = self._take(opcode)
            self._look(name, taken)
            self._put(opcode, argument, taken)

    def _take(self, opcode: pickletools.OpcodeInfo) -> list[_Item]:
        """The items that an opcode takes off the stack, the mark left out."""
        wanted = opcode.stack_before
        if pickletools.markobject in wanted:
            below = wanted.index(pickletools.markobject)
            taken = []
            while (item := self.stack.pop()) is not _MARK:
                taken.append(item)
            front = [self.stack.pop() for _ in range(below)]
            return front[::-1] + taken[::-1]
        if len(wanted) > len(self.stack):
            raise IndexError("more taken off the stack than was put there")
        taken = self.stack[len(self.stack) - len(wanted) :]
        del self.stack[len(self.stack) - len(wanted) :]
        if any(item is _MARK for item in taken):
            raise ValueError("a mark where a value belongs")
        return taken

    def _look(self, name: str, taken: list[_Item]) -> None:
        """Refuse what would cost too much."""
        if name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            self._call(taken[0], taken[1])
        elif name in ("INST", "OBJ"):
            self._call(_Item(OTHER), _Item(TUPLE, 1, taken))
        elif name == "BUILD":
            self._spend(taken[1].value if taken[1].kind == TUPLE else (), numbers=False)
        elif name == "SETITEM":
            self._keys([taken[1]])
        elif name in ("SETITEMS", "DICT"):
            self._keys(taken[1::2] if name == "SETITEMS" else taken[::2])
        elif name in ("ADDITEMS", "FROZENSET"):
            self._keys(taken[1:] if name == "ADDITEMS" else taken)
        elif name in ("BINPERSID", "PERSID") and taken and taken[0].kind == TUPLE:
            self._storage(taken[0].value)

    def _put(self, opcode: pickletools.OpcodeInfo, argument: object, taken: list[_Item]) -> None:
        """What an opcode leaves on the stack."""
        name = opcode.name
        if name in ("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            # Counted as if unfolded: a tuple of two equal tuples, forty deep, is a short file and 2^40 values to hash.
            size = 1 + sum(item.size if item.kind == TUPLE else 1 for item in taken)
            if size > MAX_TUPLE:
                raise pickle.UnpicklingError(f"a tuple of more than {MAX_TUPLE} values")
            self.stack.append(_Item(TUPLE, size, taken))
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            words = argument if name == "GLOBAL" else " ".join(str(t.value) for t in taken)
            self.stack.append(_Item(GLOBAL, 1, words))
        elif name in ("BUILD", "SETITEM", "SETITEMS", "ADDITEMS", "APPEND", "APPENDS"):
            self.stack.append(taken[0])
        else:
            self.stack.extend(_made(kind, argument) for kind in opcode.stack_after)

    def _call(self, function: _Item, arguments: _Item) -> None:
        """A function on a tuple of arguments."""
        if arguments.kind != TUPLE:
            raise pickle.UnpicklingError("a call without a tuple of arguments")
        name = function.value if function.kind == GLOBAL else ""
        self._spend(arguments.value, numbers=REBUILDS not in name)

    def _spend(self, items: list[_Item] | tuple, *, numbers: bool) -> None:
        """Texts are copied by those who get them, and a number may be the size of something new."""
        for item in items:
            if item.kind == TEXT:
                self.spent += item.size
            elif item.kind == NUMBER and numbers:
                self.spent += abs(item.value)
        if self.spent > SHARING * self.file_size + ROOM:
            raise pickle.UnpicklingError(
                f"it would build more than a file of {self.file_size} bytes is worth"
            )

    def _keys(self, keys: list[_Item]) -> None:
        """Keys of a dict and members of a set: texts, short numbers and short tuples."""
        for key in keys:
            # Hashing takes time that grows with the digits, for every look-up anew.
            if key.kind == NUMBER and abs(key.value) >= 2**64:
                raise pickle.UnpicklingError("a key that is a number of many digits")
            if key.kind not in HASHED_AT_ONCE and not (key.kind == TUPLE and key.size <= MAX_KEY):
                raise pickle.UnpicklingError("a key that is neither a word nor a number")

    def _storage(self, items: list[_Item]) -> None:
        """torch's ``("storage", type, key, place, number of items, ...)``; the old format allocates it before it reads a byte."""
        if len(items) < 5:
            return
        kind, number = items[1], items[4]
        name = str(kind.value).split(" ")[-1] if kind.kind == GLOBAL else ""
        count = number.value if number.kind == NUMBER else 0
        self.storages += max(0, count) * ITEM_BYTES.get(name, 1)


def _made(kind: pickletools.StackObject, argument: object) -> _Item:
    """What a pushing opcode leaves, by the kind that the opcode table names."""
    if kind is pickletools.markobject:
        return _MARK
    if kind.name in ("int", "int_or_bool"):
        return _Item(NUMBER, 1, int(argument))
    if isinstance(argument, (str, bytes, bytearray)) and kind.name in TEXTS:
        return _Item(TEXT, len(argument), argument if len(argument) <= 200 else None)
    return _Item(ATOM if kind.name in ("float", "None", "bool") else OTHER)
