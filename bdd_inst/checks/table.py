"""The findings and statistics of a check as lines of text and as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from bdd_inst.base.errors import LONGEST_CELL, printable
from bdd_inst.base.files import atomic_write
from bdd_inst.base.problems import SEVERITIES, problem
from bdd_inst.checks.findings import Findings
from bdd_inst.checks.run import Split
from bdd_inst.checks.statistics import FLAGS, SIZES

# Rarer classes than these are only counted in the terminal; the page has them all.
MOST_CLASSES = 25


def statistics_lines(split: Split) -> list[str]:
    """Counts of one split: a line for the whole, one for each class.

    Args:
        split: after :func:`bdd_inst.checks.run.check`.

    Returns:
        Lines of text without line breaks.
    """
    found = split.statistics
    sizes = ", ".join(
        f"{w}x{h}" + (f" ({n})" if len(found.image_sizes) > 1 else "")
        for (w, h), n in found.image_sizes.most_common(3)
    )
    flags = ", ".join(f"{found.flag_total(flag)} {flag}" for flag in FLAGS)
    mean = f"{found.mean_objects:.2f} a labeled image" if found.labeled else "no image is labeled"
    out = [
        f"{found.images} images ({found.labeled} labeled){', ' + sizes if sizes else ''}",
        f"{found.objects} objects, {mean}; {flags}",
    ]
    if not found.classes:
        return out
    rows = [("class", "objects", "share", "images", "masks", *SIZES)]
    for name, counts in found.by_frequency()[:MOST_CLASSES]:
        share = f"{100 * counts.objects / found.objects:.1f} %"
        rows.append(
            (
                name,
                *map(
                    str,
                    (
                        counts.objects,
                        share,
                        counts.images,
                        counts.masks,
                        *(counts.sizes[s] for s in SIZES),
                    ),
                ),
            )
        )
    out += aligned(rows)
    return (
        out
        if len(found.classes) <= MOST_CLASSES
        else [*out, f"... and {len(found.classes) - MOST_CLASSES} rarer classes"]
    )


def finding_lines(findings: Findings, examples: int = 1) -> list[str]:
    """A table of all problems with their first cases and what to do, and a last line that counts them.

    Args:
        findings: of a check.
        examples: cases shown of each code.

    Returns:
        Lines of text without line breaks.
    """
    out = []
    codes = findings.codes()
    if codes:
        table = [("severity", "code", "count", "what to do")]
        for code in codes:
            row = problem(code)
            table.append((row.severity, code, str(findings.counts[code]), row.advice))
        lines = aligned(table, left=(0, 1, 3))
        out.append(lines[0])
        for line, code in zip(lines[1:], codes, strict=True):
            out.append(line)
            for case in findings.kept.get(code, [])[:examples]:
                where = " / ".join(part for part in (case.file, case.instance) if part)
                out.append(printable(f"    {where}: {case.message}"))
        out.append("")
    number = {severity: findings.of(severity) for severity in SEVERITIES}
    out.append(
        ", ".join(f"{n} {severity}{'' if n == 1 else 's'}" for severity, n in number.items())
    )
    return out


def aligned(rows: list[tuple[str, ...]], left: tuple[int, ...] = (0,)) -> list[str]:
    """Rows of text as aligned lines; columns of ``left`` to the left, the others to the right."""
    rows = [[printable(cell, LONGEST_CELL) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]


def write_csv(findings: Findings, path: Path) -> None:
    """Every finding that was kept, a row each, and the count of those that were not.

    Args:
        findings: of a check.
        path: of the file, written whole or not at all.
    """
    with atomic_write(path) as stream:
        writer = csv.writer(stream)
        writer.writerow(("severity", "code", "file", "instance", "message", "what to do"))
        for finding in findings:
            row = problem(finding.code)
            writer.writerow(
                (
                    row.severity,
                    finding.code,
                    finding.file,
                    finding.instance,
                    finding.message,
                    row.advice,
                )
            )
        for code, number in findings.counts.items():
            more = number - len(findings.kept.get(code, ()))
            if more > 0:
                writer.writerow((problem(code).severity, code, "", "", f"and {more} more", ""))
