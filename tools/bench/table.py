# SPDX-License-Identifier: MIT
"""The figures as a table. TARGETS says what has to come out; all other rows are there to compare."""

# Case: ("ratio", at least) or ("ours", at most, in the row's unit).
TARGETS = {
    "uring.rand.256.qd256": ("ratio", 0.95),
    "uring.rand.4096.qd256": ("ratio", 0.95),
    "auto.rand.256.qd1": ("ratio", 0.95),
    "auto.rand.1": ("ratio", 0.85),
    "auto.rand.256": ("ratio", 0.85),
    "auto.rand.4096": ("ratio", 0.85),
    "auto.rand.65536": ("ratio", 0.85),
    "uring.seq.1.completions": ("ratio", 10),
    "uring.seq.1.tasks": ("ratio", 5),
    "uring.cold.4096.qd256": ("ratio", 0.95),
    "uring.hot.256.cpu": ("ratio", 1 / 1.05),
    "ram.8.completion": ("ours", 15),
    "ram.8.blocking": ("ours", 12),
    "layer.remap": ("ours", 10),
    "task.switch": ("ours", 20),
    "task.parked": ("ours", 9216),
    "threads.rand.4096.qd64": ("ratio", 1),
    "uring.syscalls": ("ours", 80),
    "phys.8.rand.batch64": ("ratio", 0.8),
    "phys.8.rand.batch4096": ("ratio", 0.8),
    "phys.8.hot.batch64": ("ours", 12),
    "phys.4096.rand.batch64": ("ratio", 0.95),
    "virt.8.rand.batch64": ("ours", 70),
    "virt.8.hot.batch64": ("ours", 20),
    "virt.8.vmalloc.batch64": ("ours", 80),
    "virt.mixed.batch4096": ("ratio", 1 / 1.2),
    "virt.4096.rand.batch64": ("ratio", 0.9),
    "remote.virt.delay": ("ours", 5),
    "nbd.rand.4096.qd256": ("ratio", 0.9),
    "nbd.delay5ms.rand.4096.qd256": ("ratio", 1 / 1.1),
    "growth.phys.batch1000000": ("ratio", 0.8),
    "growth.virt.batch1000000": ("ratio", 0.8),
    "growth.phys.sparse64G": ("ratio", 0.8),
    "proc.4096.batch64": ("ratio", 0.95),
    "proc.8.batch64": ("ratio", 5),
    **{f"open.{kind}.64G": ("ours", 20) for kind in ("kdump", "elf", "lime")},
    **{f"open.{kind}.64G.memory": ("ours", 32) for kind in ("kdump", "elf", "lime")},
    "scan.1thread": ("ratio", 0.8),
    "scan.2threads": ("ratio", 1.8),
    "echo.1000.64": ("ratio", 0.95),
}

HEAD = ("case", "ours", "", "reference", "theirs", "ratio", "target", "met")


def met(row):
    """True, False, or None where nothing has to come out."""
    kind, limit = TARGETS.get(row["case"], (None, None))
    if kind is None:
        return None
    return row["ratio"] >= limit if kind == "ratio" else row["ours"] <= limit


def target(row):
    kind, limit = TARGETS.get(row["case"], (None, None))
    return {None: "", "ratio": f">= {limit and round(limit, 2)} x",
            "ours": f"<= {limit} {row['unit']}"}[kind]


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def cells(row):
    return (row["case"], number(row["ours"]), row["unit"], row["reference"],
            number(row["theirs"]), f"{row['ratio']:.2f}", target(row),
            {True: "yes", False: "NO", None: ""}[met(row)])


def in_order(rows):
    """Those with a target first, as TARGETS has them."""
    rank = {case: i for i, case in enumerate(TARGETS)}
    return sorted(rows, key=lambda row: rank.get(row["case"], len(rank)))


def text(rows):
    lines = [HEAD] + [cells(row) for row in in_order(rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    right = (1, 4, 5)
    return "\n".join("  ".join(cell.rjust(w) if i in right else cell.ljust(w)
                               for i, (cell, w) in enumerate(zip(line, widths))).rstrip()
                     for line in lines)
