# SPDX-License-Identifier: MIT
"""
The tool's lists against what the guest says of itself.

A guest goes on running between two truths, so that each value has to be the one of some truth that
was taken around the question. What may differ beyond that is said where it is allowed.
"""
from harness import bytes_of, text_of

TICK_NS = 10_000_000  # USER_HZ is 100: start times of /proc are hundredths of a second
# A kernel thread may be doing something in the very moment of the question.
KERNEL_THREAD_STATES = set("RSDI")


def by_pid(truth):
    """{pid: process}, made once for each truth."""
    if "by_pid" not in truth:
        truth["by_pid"] = {p["pid"]: p for p in truth["processes"]}
    return truth["by_pid"]


def pids_of(truths):
    """(pids in all truths, pids in any)."""
    sets = [set(by_pid(t)) for t in truths]
    return set.intersection(*sets), set.union(*sets)


def raw_arguments(process):
    """/proc/PID/cmdline as a list of bytes; a last NUL ends an argument, it does not begin one."""
    raw = bytes.fromhex(process["cmdline_raw_hex"])
    return (raw[:-1] if raw.endswith(b"\0") else raw).split(b"\0") if raw else []


def same_name(row, process):
    """Names of kernel threads: at least what their task has, at most what /proc adds to it."""
    name = bytes_of(row["name"])
    if not process["kthread"]:
        return name == bytes.fromhex(process["name_hex"])
    if process["name"].startswith("kworker/"):  # what it works on changes all the time
        return name.startswith(bytes.fromhex(process["name_hex"]))
    return text_of(name) == process["proc_name"]


def same_state(row, process, teller):
    if process["kthread"]:
        return row["state"] in KERNEL_THREAD_STATES and process["state"] in KERNEL_THREAD_STATES
    if process["pid"] == teller:  # it runs while it tells, and waits afterwards
        return row["state"] in "RS"
    return row["state"] == process["state"]


def short_faults(row, process, teller):
    """What of a short truth's process the row has wrong."""
    same = {
        "pid": row["pid"] == process["pid"], "tgid": row["tgid"] == process["tgid"],
        "ppid": row["ppid"] == process["ppid"], "uid": row["uid"] == process["uid"],
        "gid": row["gid"] == process["gid"], "name": same_name(row, process),
        "state": same_state(row, process, teller),
        "start": row["start_ns"] // TICK_NS == process["start_ticks"],
        "kernel_thread": row["kernel_thread"] == process["kthread"],
        "missing": row["missing"] == [] and row["error"] is None,
    }
    return [key for key, good in same.items() if not good]


def exe_of(row):
    return None if row["exe"] is None else text_of(bytes_of(row["exe"]))


def process_faults(row, process, teller):
    """What of a whole truth's process the row has wrong."""
    same = {
        "euid": row["euid"] == process["euid"], "egid": row["egid"] == process["egid"],
        "threads": row["threads"] == process["threads"],
        "args": [bytes_of(a) for a in row["args"]] == raw_arguments(process),
        "exe": exe_of(row) == process["exe"],
        "vsize": row["vsize"] == process["vsize"],
        "rss": row["rss"] == process["rss_kb"] * 1024,
    }
    if process["pid"] == teller:  # its buffers grow while it tells
        del same["rss"], same["vsize"]
    return short_faults(row, process, teller) + [key for key, good in same.items() if not good]


def faults_of_row(row, truths, check):
    """The faults under the truth that has the fewest."""
    tries = [check(row, by_pid(t)[row["pid"]], t["teller"])
             for t in truths if row["pid"] in by_pid(t)]
    return min(tries, key=len) if tries else ["unknown"]


def process_list_faults(rows, truths, short=False):
    """Texts of all that is wrong with a list of processes; none when it is right."""
    always, ever = pids_of(truths)
    seen = [r["pid"] for r in rows]
    texts = [f"{pid}: missing" for pid in sorted(always - set(seen))]
    texts += [f"{pid}: invented" for pid in sorted(set(seen) - ever)]
    if len(seen) != len(set(seen)):
        texts.append("a process is listed twice")
    if seen != sorted(seen):
        texts.append("not in the order of pids")
    for row in rows:
        if row["pid"] in ever:
            wrong = faults_of_row(row, truths, short_faults if short else process_faults)
            texts += [f"{row['pid']}: {key} is {shown(row, key)}, not "
                      f"{expected(truths, row['pid'], key)}" for key in wrong]
    return texts


TRUTH_KEYS = {"start": "start_ticks", "kernel_thread": "kthread", "args": "cmdline",
              "rss": "rss_kb"}


def shown(row, key):
    return repr(row.get("start_ns" if key == "start" else key))[:300]


def expected(truths, pid, key):
    values = [by_pid(t)[pid].get(TRUTH_KEYS.get(key, key)) for t in truths if pid in by_pid(t)]
    return " or ".join(sorted({repr(v)[:300] for v in values}))


# ---- threads ---------------------------------------------------------------------------------


def threads_of(truth):
    """{tid: (pid, its name as bytes, state, start, kernel thread)}"""
    return {t["tid"]: (p["pid"], bytes.fromhex(t["name_hex"]), t["state"], t["start_ticks"],
                       p["kthread"], p["ppid"], p["uid"])
            for p in truth["processes"] for t in p["threads_list"]}


def same_thread(row, thread, teller):
    pid, name, state, start, kernel, ppid, uid = thread
    named = bytes_of(row["name"])
    in_state = (row["state"] in KERNEL_THREAD_STATES if kernel
                else row["state"] in "RS" if pid == teller else row["state"] == state)
    return (row["pid"] == pid and row["ppid"] == ppid and row["uid"] == uid and in_state
            and (named.startswith(name[:15]) if kernel else named == name)
            and row["start_ns"] // TICK_NS == start and row["kernel_thread"] == kernel
            and row["missing"] == [] and row["error"] is None)


def thread_list_faults(rows, truths):
    lists = [threads_of(t) for t in truths]
    always = set.intersection(*(set(l) for l in lists))
    ever = set.union(*(set(l) for l in lists))
    seen = [r["tid"] for r in rows]
    texts = [f"thread {tid}: missing" for tid in sorted(always - set(seen))]
    texts += [f"thread {tid}: invented" for tid in sorted(set(seen) - ever)]
    if len(seen) != len(set(seen)):
        texts.append("a thread is listed twice")
    for row in rows:
        known = [l[row["tid"]] for l in lists if row["tid"] in l]
        if known and not any(same_thread(row, k, truths[0]["teller"]) for k in known):
            texts.append(f"thread {row['tid']}: {row}, not {known}")
    return texts


# ---- mappings --------------------------------------------------------------------------------


def mapping_of_truth(mapping):
    return (int(mapping["start"], 16), int(mapping["end"], 16), mapping["perms"],
            int(mapping["offset"], 16), mapping["dev"], mapping["inode"], mapping["path"])


def mapping_of_row(row):
    """/proc writes a line feed in a path as \\012, and nothing else (proc(5))."""
    path = text_of(bytes_of(row["path"])).replace("\n", "\\012")
    return (int(row["start"], 16), int(row["end"], 16), row["perms"], row["offset"], row["dev"],
            row["inode"], path)


def maps_faults(rows, truths):
    """Every mapping of every process with memory, field for field."""
    found = {}
    for row in rows:
        found.setdefault(row["pid"], []).append(mapping_of_row(row))
    _, ever = pids_of(truths)
    texts = [f"{pid}: invented" for pid in sorted(set(found) - ever)]
    texts += [f"{r['pid']}: {r}" for r in rows if r["error"] is not None]
    for pid in sorted(ever):
        wanted = [[mapping_of_truth(m) for m in by_pid(t)[pid]["maps"]]
                  for t in truths if pid in by_pid(t)]
        if found.get(pid, []) not in wanted:
            texts += mapping_differences(pid, found.get(pid, []), wanted[-1])
    return texts


def mapping_differences(pid, found, wanted):
    texts = [f"{pid}: {m} is not listed" for m in wanted if m not in found]
    texts += [f"{pid}: {m} is listed, not in the guest" for m in found if m not in wanted]
    return texts or [f"{pid}: the order of its mappings"]


# ---- modules and log -------------------------------------------------------------------------


def modules_of(truth):
    return [(m["name"], int(m["base"], 16), m["size"], m["refcount"], m["state"].lower())
            for m in truth["modules"]]


def modules_of_rows(rows):
    return [(text_of(bytes_of(r["name"])), int(r["base"], 16), r["size"], r["refs"], r["state"])
            for r in rows]


def log_of(truth):
    return [(r["seq"], r["usec"], r["level"], r["facility"], r["text"]) for r in truth["dmesg"]]


def log_of_rows(rows):
    return [(r["seq"], r["time_ns"] // 1000, r["level"], r["facility"],
             text_of(bytes_of(r["text"])))
            for r in rows]
