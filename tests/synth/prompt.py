# SPDX-License-Identifier: MIT
"""
A command interpreter of Windows (cmd.exe) under Wine, as a child with pipes.

wait_for_it()   it has answered: all that it needs is loaded
"""


def wait_for_it(child):
    child.stdin.write("echo ready%OS%\n")
    child.stdin.flush()
    while "readyWindows" not in (line := child.stdout.readline()):
        if not line:
            raise AssertionError("Wine ended")
