"""YAML as configs need it: plain values only, nothing given twice, bounded in size, every error one line with file and line number."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import yaml

from bdd_inst.base.errors import ConfigError

BASE_KEY = "_BASE_"
MAX_BYTES = 1_000_000  # the largest config of this project has 4 kB
MAX_NODES = 20_000  # values and keys, aliases unfolded; all keys there are make some 700
MAX_DEPTH = 40
MAX_NUMBER = 400  # characters
MAX_BASES = 64  # files read for one config
MERGE = "tag:yaml.org,2002:merge"
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class Tree(dict):
    """The mapping that a file holds. Attribute ``lines``: dotted key -> ``file, line N`` where it was given."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.lines: dict[str, str] = {}


class _Loader(yaml.SafeLoader):
    """The safe loader with bounds. Dates stay text: no key is one, and a wrong one would raise."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in rules if not tag.endswith(":timestamp")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    depth = 0

    def compose_node(self, parent: yaml.Node, index: object) -> yaml.Node:
        """A node, not deeper than MAX_DEPTH."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise fault(f"nested more than {MAX_DEPTH} deep", self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        """A value; what Python cannot make of its text is an error of the file."""
        if isinstance(node, yaml.ScalarNode):
            if node.tag in NUMBERS and len(node.value) > MAX_NUMBER:
                raise fault(f"a number of {len(node.value)} characters", node.start_mark)
            if any("\ud800" <= c <= "\udfff" for c in node.value):
                raise fault("half a character (a lone surrogate)", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, TypeError, OverflowError, AttributeError, IndexError):
            kind = node.tag.rpartition(":")[2]
            raise fault(f"{str(node.value)[:40]!r} is no {kind}", node.start_mark) from None


def fault(words: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    """An error of the file at a place."""
    return yaml.MarkedYAMLError(problem=words, problem_mark=mark)


def read_with_bases(path: str | os.PathLike) -> Tree:
    """The mapping of ``path`` over those of its ``_BASE_`` files (a name or a list of names, relative to the file).

    Raises:
        ConfigError: in one line with file and line: a missing or broken file, a key given twice, files that include each other in a
            circle, more than the bounds above.
    """
    return _read(Path(path), [], [])


def parse(data: str | bytes, source: str) -> Tree:
    """The mapping in a text; ``_BASE_`` is a key like any other.

    Args:
        data: of a YAML file.
        source: the file, for messages.

    Returns:
        The mapping, its keys with their lines.

    Raises:
        ConfigError: as :func:`read_with_bases`.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{source}: {len(data)} bytes; a config has at most {MAX_BYTES}")
    with _one_line(source, data):
        loader = _Loader(data)
        try:
            root = loader.get_single_node()
            if not isinstance(root, yaml.MappingNode):
                kind = {yaml.SequenceNode: "list", yaml.ScalarNode: "value"}.get(type(root))
                raise ConfigError(
                    f"{source}: not a config: expected keys such as MODEL and SOLVER, got {f'a {kind}' if kind else 'nothing'}"
                )
            _check(root, {}, set())
            tree = Tree(loader.construct_document(root))
        finally:
            loader.dispose()
        tree.lines = dict(_lines(root, source, ""))
    return tree


@contextlib.contextmanager
def _one_line(source: str, data: str | bytes) -> Iterator[None]:
    """What the library raises, as a ConfigError with the line number."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(filter(None, (error.context, error.problem)))
        where = f"{source}, line {mark.line + 1}" if mark else source
        raise ConfigError(f"{where}: {' '.join(words.split())[:200]}") from None
    except yaml.reader.ReaderError as error:
        before = data[: error.position]
        line = before.count("\n" if isinstance(before, str) else b"\n") + 1
        raise ConfigError(f"{source}, line {line}: {error.reason}") from None
    except (RecursionError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{source}: not readable YAML: {' '.join(str(error).split())[:160]}"
        ) from None


def _check(node: yaml.Node, sizes: dict[int, int], open_nodes: set[int]) -> int:
    """The number of nodes below and with ``node``, aliases unfolded. Raises where it is too large, refers to itself or repeats a key."""
    if id(node) in sizes:
        return sizes[id(node)]
    if id(node) in open_nodes:
        raise fault("an alias refers to what it is itself part of", node.start_mark)
    open_nodes.add(id(node))
    size = 1
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        children = [child for pair in node.value for child in pair]
    else:
        children = node.value if isinstance(node, yaml.SequenceNode) else []
    for child in children:
        size += _check(child, sizes, open_nodes)
        if size > MAX_NODES:
            raise fault(
                f"more than {MAX_NODES} values once its aliases are unfolded", child.start_mark
            )
    open_nodes.discard(id(node))
    sizes[id(node)] = size
    return size


def _check_keys(node: yaml.MappingNode) -> None:
    """Keys are words or numbers, each given once."""
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise fault("a key that is a list or a mapping", key.start_mark)
        if key.value in seen and key.tag != MERGE:
            first = seen[key.value] + 1
            raise fault(
                f"{key.value[:60]} is given twice in one section, first in line {first}; join the two",
                key.start_mark,
            )
        seen[key.value] = key.start_mark.line


def _lines(node: yaml.Node, source: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Dotted key and place of every key."""
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        yield name, f"{source}, line {key.start_mark.line + 1}"
        if isinstance(value, yaml.MappingNode):
            yield from _lines(value, source, f"{name}.")


def _read(path: Path, above: list[Path], read: list[Path]) -> Tree:
    """``path`` over its bases; ``above`` are the files that include it, ``read`` all that were read so far."""
    here = Path(os.path.realpath(path))
    if here in above:
        raise ConfigError(f"{path}: {BASE_KEY} files include each other in a circle")
    read.append(here)
    if len(read) > MAX_BASES:
        raise ConfigError(f"{path}: more than {MAX_BASES} {BASE_KEY} files for one config")
    tree = parse(_content(path, above), str(path))
    names = tree.pop(BASE_KEY, [])
    where = tree.lines.get(BASE_KEY, str(path))
    names = names if isinstance(names, list) else [names]
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"{where}: {BASE_KEY} is the name of a file, or a list of names")
    whole = Tree()
    for name in names:
        _merge(_read(path.parent / Path(name).expanduser(), [*above, here], read), whole)
    _merge(tree, whole)
    return whole


def _content(path: Path, above: list[Path]) -> bytes:
    """The bytes of a config file."""
    if not path.is_file():
        if above:
            raise ConfigError(
                f"{above[-1]}: its {BASE_KEY} names a file that does not exist: {path}"
            )
        raise ConfigError(f"{path}: no such config file")
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None


def _merge(tree: Tree, into: Tree) -> None:
    """Lay ``tree`` over ``into``, section by section."""

    def over(upper: dict, lower: dict, prefix: str) -> None:
        for key, value in upper.items():
            if isinstance(value, dict) and key in lower:
                if not isinstance(lower[key], dict):
                    where = tree.lines.get(f"{prefix}{key}", "config")
                    raise ConfigError(
                        f"{where}: {prefix}{key} is a section here and a value in its {BASE_KEY}"
                    )
                over(value, lower[key], f"{prefix}{key}.")
            else:
                lower[key] = value

    over(tree, into, "")
    into.lines.update(tree.lines)
