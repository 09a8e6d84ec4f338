# SPDX-License-Identifier: MIT
"""Guests as QEMU saves them: streams of migrate, snapshots in a qcow2 image. Afterwards the guest stands still."""
import subprocess
import time

from harness import FOLDER, lab

SECONDS = 240  # far above what anything here takes: what it bounds is a hang
BANDWIDTH = 10 << 30  # bytes per second, at most


def control_of(guest):
    return lab.control(lab.Guest(guest.name, FOLDER))


def wait(control, done, command):
    until = time.monotonic() + SECONDS
    while True:
        answer = control.command(command)
        if done(answer):
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"{command}: {answer}")
        time.sleep(0.1)


def is_over(answer):
    return answer.get("status") in ("completed", "failed", "cancelled")


def switch(control, capabilities, state):
    control.command("migrate-set-capabilities",
                    capabilities=[{"capability": name, "state": state} for name in capabilities])


def migrate(guest, path, *capabilities):
    """Into the file @path."""
    with control_of(guest) as control:
        switch(control, capabilities, True)
        control.command("migrate-set-parameters", **{"max-bandwidth": BANDWIDTH})
        control.command("migrate", uri=f"exec:cat > {path}")
        answer = wait(control, is_over, "query-migrate")
        switch(control, capabilities, False)
        if answer["status"] != "completed":
            raise AssertionError(str(answer))


def add_image(guest, path, node):
    """A new qcow2 image, as a disk that no device of the guest uses."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"], check=True)
    with control_of(guest) as control:
        control.command("blockdev-add", **{"driver": "qcow2", "node-name": node,
                                           "file": {"driver": "file", "filename": path}})


def snapshot(guest, node, tag):
    """The guest's state, behind a snapshot @tag of the image that is @node."""
    with control_of(guest) as control:
        control.command("snapshot-save", **{"job-id": "save", "tag": tag, "vmstate": node, "devices": [node]})
        jobs = wait(control, lambda a: a and a[0]["status"] == "concluded", "query-jobs")
        control.command("job-dismiss", id="save")
        if "error" in jobs[0]:
            raise AssertionError(jobs[0]["error"])
