"""Small valid inputs made wrong: values, bytes, lines and names, each from a seeded generator."""

from __future__ import annotations

import copy
import json
import random

STRANGE = [
    None, True, "", "x" * 50, "-1", -1, 0, 1e308, -1e308, float("nan"), float("inf"), 10**30, 2**63, 1e9, [], {}, [[]], [None], [1e9, -1e9],
    {"a": 1}, [[0, 0]] * 4, [[1e12, 0], [0, 1e12], [3, 3]], [[[1, 2], [3]]], {"size": [10**6, 10**6], "counts": "0"}, {"size": [60, 80]},
    {"size": [60, 80], "counts": [4800, 10**18]}, {"size": [60, 80], "counts": "PPPPPPPPPPPPPP"}, {"x1": 5, "y1": 5, "x2": 1, "y2": 1},
    json.loads("[" * 60 + "]" * 60), "\x00", "\ud800", "../../../etc/passwd",
]  # fmt: skip


def nodes(value, path=()):
    """The paths of everything in a JSON value."""
    yield path
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in pairs:
        yield from nodes(item, (*path, key))


def mutated_value(value, rng: random.Random):
    """A copy with a few things replaced, removed, doubled or renamed."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        paths = list(nodes(value))
        path = rng.choice(paths)
        if not path:
            continue
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        act = rng.random()
        if act < 0.65:
            parent[path[-1]] = copy.deepcopy(rng.choice(STRANGE))
        elif act < 0.8:
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.insert(path[-1], copy.deepcopy(parent[path[-1]]))
        else:
            parent[str(path[-1]).upper()] = parent.pop(path[-1])
    return value


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """The bytes cut short, changed, or with something put in between."""
    act, place = rng.random(), rng.randrange(len(data))
    if act < 0.3:
        return data[:place]
    if act < 0.6:
        out = bytearray(data)
        for _ in range(rng.choice([1, 3, 20])):
            out[rng.randrange(len(out))] = rng.randrange(256)
        return bytes(out)
    if act < 0.8:
        return data[:place] + data[place + rng.randrange(1, 30) :]
    junk = rng.choice(
        [
            b"[" * 5000,
            b"\xff\xfe",
            b"\x00",
            b"NaN",
            b'{"a":',
            b",",
            b"1e999",
            b'"\\ud800"',
            b"9" * 400,
        ]
    )
    return data[:place] + junk + data[place:]


# What ends a name, leads elsewhere, or is none: for files, classes, videos.
PIECES = [
    "..", ".", "/", "\\", "~", "%2e%2e", "C:", "con", "nul.txt", "a" * 300, "\x00", "\n", "\x1b[31m", "\u202e", "\ud800", "é", "e\u0301",
    "图片", "$x^{2$", "<script>", "'", '"', "*", "?", ":", "|", " ", "-", "--output", ".png", ".jpg", ".tif.png", "%s", "{0}", "",
]  # fmt: skip


def mutated_name(name: str, rng: random.Random) -> str:
    """A name with pieces put in, or made of nothing else."""
    parts = [name] if rng.random() < 0.6 else []
    for _ in range(rng.choice([1, 1, 2, 3])):
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(PIECES))
    return rng.choice(["", "/"]).join(parts)


WORDS = [
    "null", "~", "[]", "{}", "!!int x", "!!python/object/apply:os.system [ls]", "&a [*a, *a]", "*a", "1e999", "9" * 5000, "2001-01-01", "0x10",
    "'", '"', "- - -", "? :", "|", "\t", "[" * 200, "{a: " * 50, "<<: *a", "_BASE_: self.yaml", "_BASE_: [self.yaml, self.yaml]", "\ud800", "é",
    "-1", "0", "1.5", ".inf", ".nan", "true", "nothing", "(1, 2)", "[[1, 2], [3]]", "__import__('os').system('ls')", "KEY: 1\nKEY: 2",
]  # fmt: skip


def mutated_lines(text: str, rng: random.Random) -> str:
    """Text with lines lost, doubled, moved in or out, or their values replaced."""
    lines = text.splitlines()
    for _ in range(rng.choice([1, 1, 2, 4])):
        place, act = rng.randrange(len(lines)), rng.random()
        key, colon, _ = lines[place].partition(":")
        if act < 0.5:
            lines[place] = f"{key}{colon or ':'} {rng.choice(WORDS)}"
        elif act < 0.6:
            lines[place] = " " * rng.choice([1, 2, 9]) + lines[place].lstrip()
        elif act < 0.75:
            lines.insert(place, rng.choice([lines[place], rng.choice(WORDS)]))
        elif act < 0.9:
            lines[place] = f"{mutated_name(key, rng)}{colon} 1"
        elif len(lines) > 1:
            del lines[place]
    return "\n".join(lines)
