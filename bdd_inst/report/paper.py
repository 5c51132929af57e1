"""Tables for a paper: the figures of one evaluation as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from bdd_inst.base.files import atomic_write
from bdd_inst.evaluation import tables


def write_paper_tables(metrics: dict, folder: str | Path) -> list[Path]:
    """``table.md``, ``table.tex`` and ``table.csv``: headline figures, then AP by class; the CSV is unrounded."""
    rows = figure_rows(metrics)
    contents = {
        "table.md": markdown(rows),
        "table.tex": latex(rows),
        "table.csv": comma_separated(metrics),
    }
    paths = []
    for name, text in contents.items():
        path = Path(folder) / name
        with atomic_write(path) as stream:
            stream.write(text)
        paths.append(path)
    return paths


def figure_rows(metrics: dict) -> list[list[list[str]]]:
    """Tables of cells, the header first: figures by protocol, then classes, then label maps; those that there are."""
    parts = tables.blocks(metrics)
    out = []
    if parts:
        names = [*tables.HEADLINE, *tables.recalls(parts[0][2])]
        heads = tables.headers(metrics)
        out.append(
            [
                ["protocol", *names],
                *(
                    [h, *(tables.shown(f.get(n), 1) for n in names)]
                    for h, (_, _, f) in zip(heads, parts)
                ),
            ]
        )
        out.append([["class (AP)", *heads], *tables.class_rows(metrics)])
    if "panoptic_seg" in metrics:
        out.append([["panoptic quality", *tables.PANOPTIC], *tables.panoptic_rows(metrics, 1)])
    block = metrics.get("label_map")
    if not block and "sem_seg" in metrics:
        block = metrics["sem_seg"] | {"mDice": metrics["sem_seg"]["Dice"]}
    if block:
        names = [name.removeprefix("IoU-") for name in block if name.startswith("IoU-")]
        rows = [
            [n, tables.shown(block[f"IoU-{n}"], 1), tables.shown(block[f"Dice-{n}"], 1)]
            for n in names
        ]
        means = [
            "mean without background",
            tables.shown(block["mIoU"], 1),
            tables.shown(block["mDice"], 1),
        ]
        out.append([["class", "IoU", "Dice"], *rows, means])
    return out


def markdown(parts: list[list[list[str]]]) -> str:
    """GitHub tables, the first column left, the others right."""
    texts = []
    for header, *rows in parts:
        lines = [header, [":--", *["--:"] * (len(header) - 1)], *rows]
        texts.append(
            "\n".join(
                "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
                for line in lines
            )
        )
    return "\n\n".join(texts) + "\n"


def latex(parts: list[list[list[str]]]) -> str:
    """booktabs tabulars."""
    texts = []
    for header, *rows in parts:
        lines = [" & ".join(escape(cell) for cell in row) + r" \\" for row in (header, *rows)]
        start = rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}"
        texts.append(
            "\n".join(
                [
                    start,
                    r"\toprule",
                    lines[0],
                    r"\midrule",
                    *lines[1:],
                    r"\bottomrule",
                    r"\end{tabular}",
                ]
            )
        )
    return "\n\n".join(texts) + "\n"


LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
)


def escape(text: str) -> str:
    """LaTeX's special characters made plain, line breaks blanks; a dash for the undefined."""
    return "--" if text == "-" else " ".join(text.split()).translate(LATEX)


def comma_separated(metrics: dict) -> str:
    """``protocol, kind, figure, value`` rows, unrounded; an empty value where undefined."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["protocol", "kind", "figure", "value"])
    for protocol, kind, figures in tables.blocks(metrics):
        writer.writerows(
            [protocol, kind, name, "" if value is None else value]
            for name, value in figures.items()
        )
    for kind in ("label_map", "sem_seg"):
        for name, value in metrics.get(kind, {}).items():
            if value is None or isinstance(value, (int, float)):
                writer.writerow(["label-map", kind, name, "" if value is None else value])
    for protocol, found in tables.panoptic_blocks(metrics):
        for name, value in found.items():
            if value is None or isinstance(value, (int, float)):
                writer.writerow([protocol, "panoptic_seg", name, "" if value is None else value])
    return stream.getvalue()
