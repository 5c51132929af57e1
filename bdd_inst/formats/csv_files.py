"""CSV files into rows by column name, in any encoding that label files have, whatever the length of a field."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from bdd_inst.base.errors import DataError
from bdd_inst.base.regular_files import open_regular
from bdd_inst.formats.encodings import as_utf8
from bdd_inst.formats.json_files import read_bytes

# Python refuses fields of more than 128 KB, which the run lengths of one large mask are.
csv.field_size_limit(1 << 30)
ENDINGS = (".csv", ".csv.gz")


def is_csv(path: Path) -> bool:
    """Whether a path is a file called as CSV files are."""
    return path.name.lower().endswith(ENDINGS) and path.is_file()


def head(path: Path) -> list[str]:
    """The column names of a CSV file, stripped; none where it has no first line of text.

    Args:
        path: of the file.

    Returns:
        The names in order.
    """
    try:
        if path.suffix.lower() == ".gz":
            line = read_bytes(path).partition(b"\n")[0]
        else:
            with open_regular(path) as stream:
                line = as_utf8(stream.readline(1 << 16), path)
        names = next(csv.reader([line.decode().strip()]), [])
    except (DataError, OSError, ValueError, csv.Error):
        return []
    return [name.strip() for name in names]


def rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file by column name.

    Args:
        path: of the file.

    Yields:
        The line on which a row ends, and its values; columns that it lacks are empty.

    Raises:
        DataError: missing, of no known encoding, or no CSV.
    """
    text = read_bytes(path).decode()
    reader = csv.DictReader(text.splitlines(keepends=True), restval="", skipinitialspace=True)
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        for row in reader:
            row.pop(None, None)
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{path}: broken CSV: {error} at line {reader.line_num + 1}") from None
