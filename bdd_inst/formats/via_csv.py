"""VIA's CSV export: a row a region, its shape and its attributes as JSON; brought into the records of the JSON export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bdd_inst.formats.csv_files import head, is_csv, rows
from bdd_inst.formats.json_files import plain

COLUMNS = {"region_shape_attributes", "region_attributes"}


def find(path: Path) -> list[Path]:
    """The CSV file itself where its first line is of VIA's; VIA 1 wrote ``#filename`` there."""
    names = head(path) if is_csv(path) else []
    return [path] if set(names) >= COLUMNS and names[0].lstrip("#") == "filename" else []


def records(file: Path) -> dict[str, dict[str, Any]]:
    """The images of a CSV export, as the JSON export has them.

    Args:
        file: CSV.

    Returns:
        Image name -> its record; JSON that is none stands there as the text that it is, for the reader to count.

    Raises:
        DataError: the file cannot be read.
    """
    out: dict[str, dict[str, Any]] = {}
    for line, row in rows(file):
        name = (row.get("filename") or row.get("#filename") or "").strip()
        record = out.setdefault(
            name or f"line {line}",
            {
                "filename": name,
                "file_attributes": parsed(row.get("file_attributes", "")),
                "regions": [],
            },
        )
        shape = parsed(row["region_shape_attributes"])
        # An image without regions has one row, of no shape.
        if shape != {}:
            region = {
                "shape_attributes": shape,
                "region_attributes": parsed(row["region_attributes"]),
            }
            record["regions"].append(region)
    return out


def parsed(text: str) -> Any:
    """A JSON field; of no text an empty object, of what is no JSON its text."""
    try:
        return plain(text.encode()) if text.strip() else {}
    except ValueError:
        return text
