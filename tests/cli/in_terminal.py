#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""in_terminal.py COLUMNS WORD...: runs the words in a terminal of that width.

What they print on it goes to stdout, with plain line ends; their stderr and exit status
are ours.
"""

import fcntl
import os
import pty
import struct
import sys
import termios

columns, words = int(sys.argv[1]), sys.argv[2:]
stderr = os.dup(2)
pid, terminal = pty.fork()
if not pid:
    os.dup2(stderr, 2)
    os.environ.pop("COLUMNS", None)
    # The parent sets the width before it lets us go on.
    os.read(0, 1)
    os.execvp(words[0], words)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
attributes = termios.tcgetattr(terminal)
attributes[3] &= ~(termios.ECHO | termios.ICANON)
termios.tcsetattr(terminal, termios.TCSANOW, attributes)
os.write(terminal, b"\n")
out = b""
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:     # its other end is closed
        break
    if not part:
        break
    out += part
sys.stdout.buffer.write(out.replace(b"\r\n", b"\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
