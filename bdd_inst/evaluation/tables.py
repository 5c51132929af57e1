"""Figures as text: the table that tools print, and Markdown, LaTeX and CSV for a paper."""

from __future__ import annotations

from collections.abc import Mapping

from bdd_inst.base.errors import LONGEST_CELL, printable

HEADLINE = ("AP", "AP50", "AP75", "APs", "APm", "APl")
NAMES = {
    "bbox": "boxes",
    "segm": "masks",
    "segm_rle": "masks, RLE variant",
    "segm_official_crowds": "masks, crowds as in the code",
}
PANOPTIC = ("PQ", "SQ", "RQ")
PROTOCOL_NAMES = {"coco": "COCO", "bdd": "BDD100K"}


def shown(value: float | None, digits: int = 2) -> str:
    """A figure as text.

    Args:
        value: in percent; None is undefined.
        digits: behind the point.

    Returns:
        The number, or a dash.
    """
    return "-" if value is None else f"{value:.{digits}f}"


def blocks(metrics: dict) -> list[tuple[str, str, dict]]:
    """The blocks of figures of objects.

    Args:
        metrics: the content of ``metrics.json``.

    Returns:
        Protocol (``coco``, ``bdd``), kind (``bbox``, ``segm``) and figures of each, both protocols in turn where there are both.
    """
    if metrics["protocol"] == "both":
        return [
            (p, kind, metrics[p][kind])
            for p in ("coco", "bdd")
            for kind in ("bbox", "segm")
            if kind in metrics[p]
        ]
    return [
        (metrics["protocol"], kind, metrics[kind]) for kind in ("bbox", "segm") if kind in metrics
    ]


def recalls(figures: dict) -> list[str]:
    """Which AR figures there are.

    Args:
        figures: of a block.

    Returns:
        Their names in order.
    """
    return [name for name in figures if name.startswith("AR")]


def class_rows(metrics: dict) -> list[list[str]]:
    """AP by class.

    Args:
        metrics: the content of ``metrics.json``.

    Returns:
        A row a class: its name and its AP in every block.
    """
    parts = blocks(metrics)
    names = [name for name in (parts[0][2] if parts else {}) if name.startswith("AP-")]
    return [
        [name.removeprefix("AP-"), *(shown(figures.get(name)) for _, _, figures in parts)]
        for name in names
    ]


def headers(metrics: dict) -> list[str]:
    """What the columns of :func:`class_rows` are, without the first.

    Args:
        metrics: the content of ``metrics.json``.

    Returns:
        A name a block: ``COCO masks``.
    """
    return [f"{PROTOCOL_NAMES.get(p, p)} {NAMES[kind]}" for p, kind, _ in blocks(metrics)]


def summary(metrics: dict) -> str:
    """The printed table: headline figures and recalls by protocol and kind, then AP by class, then what must be known.

    Args:
        metrics: the content of ``metrics.json``.

    Returns:
        Lines of text.
    """
    parts = blocks(metrics)
    lines = []
    for names in (list(HEADLINE), recalls(parts[0][2])) if parts else ():
        pairs = zip(headers(metrics), parts, strict=True)
        rows = [
            [head, *(shown(figures.get(name)) for name in names)] for head, (_, _, figures) in pairs
        ]
        lines += [*grid(["protocol", *names], rows), ""]
    if parts:
        lines += grid(["class (AP)", *headers(metrics)], class_rows(metrics))
    lines += pixel_lines(metrics)
    lines += [f"note: {printable(note)}" for note in metrics.get("notes", ())]
    return "\n".join(lines)


def summary_of_sets(metrics: Mapping[str, dict]) -> str:
    """The printed tables of several data sets, each below its name.

    Args:
        metrics: data set's name to the content of its ``metrics.json``.

    Returns:
        Lines of text.
    """
    return "\n".join(f"{name}:\n{summary(content)}" for name, content in metrics.items())


def comparison(rows: list, first: str, second: str, kind: str) -> str:
    """Two runs' figures, their difference and its interval, as a printed table.

    Args:
        rows: a :class:`bdd_inst.evaluation.compare.Difference` each.
        first, second: what the runs are called.
        kind: compared, ``bbox`` or ``segm``.

    Returns:
        Lines of text, the first empty.
    """
    table = []
    for r in rows:
        change = "-" if r.difference is None else f"{r.difference:+.2f}"
        table.append(
            [
                r.name,
                shown(r.first),
                shown(r.second),
                change,
                interval(r),
                "yes" if r.certain else "",
            ]
        )
    head = [f"{NAMES[kind]}", first, second, "difference", "95 % interval", "beyond chance"]
    return "\n".join(["", *grid(head, table)])


def interval(row: object) -> str:
    """``-0.31 to +1.20``, a dash where there is none."""
    return "-" if row.low is None else f"{row.low:+.2f} to {row.high:+.2f}"


def pixel_lines(metrics: dict) -> list[str]:
    """The table of pixel-wise figures: of ``label_map`` (instances combined) where it is there, else of ``sem_seg``."""
    lines = label_map_lines(metrics.get("label_map")) or sem_seg_lines(metrics.get("sem_seg"))
    return lines + panoptic_lines(metrics)


def panoptic_lines(metrics: dict) -> list[str]:
    """PQ, SQ and RQ of all classes, things and stuff, by protocol where there are two, then by class."""
    rows = panoptic_rows(metrics)
    return ["", *grid(["panoptic quality", *PANOPTIC], rows), ""] if rows else []


def panoptic_blocks(metrics: dict) -> list[tuple[str, dict]]:
    """The panoptic figures.

    Args:
        metrics: the content of ``metrics.json``.

    Returns:
        Protocol and ``panoptic_seg`` block, of both protocols in turn where there are both.
    """
    if "panoptic_seg" not in metrics:
        return []
    if metrics["protocol"] == "both":
        return [(p, metrics[p]["panoptic_seg"]) for p in ("coco", "bdd")]
    return [(metrics["protocol"], metrics["panoptic_seg"])]


def panoptic_rows(metrics: dict, digits: int = 2) -> list[list[str]]:
    """The panoptic figures as a table.

    Args:
        metrics: the content of ``metrics.json``.
        digits: behind the point.

    Returns:
        Rows of a name and its PQ, SQ and RQ: means of each protocol, then the classes that occur by the first one.
    """
    parts = panoptic_blocks(metrics)
    rows = []
    for protocol, found in parts:
        for suffix, word in (("", "all"), ("_th", "things"), ("_st", "stuff")):
            label = f"{word} ({PROTOCOL_NAMES[protocol]})" if len(parts) > 1 else word
            rows.append([label, *(shown(found[f"{c}{suffix}"], digits) for c in PANOPTIC)])
    for found in [block for _, block in parts][:1]:
        names = [name[3:] for name in found if name.startswith("PQ-") and found[name] is not None]
        rows += [[n, *(shown(found[f"{c}-{n}"], digits) for c in PANOPTIC)] for n in names]
    return rows


def sem_seg_lines(block: dict | None) -> list[str]:
    """IoU, Dice, accuracy and Boundary IoU by class, then the means; Dice is said to follow from IoU."""
    if not block:
        return []
    columns = ("IoU", "Dice", "ACC", "BoundaryIoU")
    names = [name.removeprefix("IoU-") for name in block if name.startswith("IoU-")]
    rows = [[name, *(shown(block.get(f"{c}-{name}")) for c in columns)] for name in names]
    word = "mean without background" if "mIoU-with-background" in block else "mean"
    means = ("mIoU", "Dice", "mACC", "BoundaryIoU")
    rows += [[word, *(shown(block.get(name)) for name in means)]]
    rest = ("mIoU-with-background", "mIoU-pictures", "fwIoU", "pACC", "marked-without")
    lines = [
        "",
        *grid(["pixel-wise", "IoU", "Dice", "accuracy", "Boundary IoU"], rows),
        ", ".join(f"{name} {shown(block[name])}" for name in rest if block.get(name) is not None),
        "Dice = 2 IoU / (1 + IoU), derived from IoU",
    ]
    best = max(
        (r for r in block.get("sweep", ()) if r["mIoU"] is not None),
        key=lambda r: r["mIoU"],
        default=None,
    )
    if best:
        lines.append(
            f"best threshold on these images {best['threshold']:.2f}: IoU {shown(best['mIoU'])}"
        )
    return [*lines, *source_lines(block.get("sources")), ""]


def source_lines(sources: list[dict] | None) -> list[str]:
    """Figures an image by the folder that the images lie in, where there are several."""
    if not sources:
        return []
    columns = ("mIoU-pictures", "BoundaryIoU", "marked-without")
    rows = [
        [row["source"] or ".", str(row["pictures"]), *(shown(row[name]) for name in columns)]
        for row in sources
    ]
    return ["", *grid(["source", "images", *columns], rows)]


def label_map_lines(block: dict | None) -> list[str]:
    """The label-map table: IoU and Dice by class, then the means and the threshold."""
    if not block:
        return []
    names = [name.removeprefix("IoU-") for name in block if name.startswith("IoU-")]
    rows = [[name, shown(block[f"IoU-{name}"]), shown(block[f"Dice-{name}"])] for name in names]
    rows += [["mean without background", shown(block["mIoU"]), shown(block["mDice"])]]
    lines = [
        "",
        *grid(["label map", "IoU", "Dice"], rows),
        f"pixel accuracy {shown(block['accuracy'])}",
    ]
    if "threshold" in block:
        lines.append(
            f"instances with a score of at least {block['threshold']:.2f}, chosen on {block['threshold_chosen_on']}"
        )
    return [*lines, ""]


def grid(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a plain table: the first column left, the others right."""
    header, *rows = [[printable(cell, LONGEST_CELL) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    cells = [
        [
            row[0].ljust(widths[0]),
            *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
        ]
        for row in [header, *rows]
    ]
    lines = ["  ".join(row) for row in cells]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]
