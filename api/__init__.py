"""The command line: every verb, a thin layer over what the rest of Omega does."""

import os

# Before anything imports numpy: one thread for each process. The matrices here are small, a second
# thread only waits, and a child that trains after a fork hangs on the threads it did not inherit.
os.environ.setdefault("OMP_NUM_THREADS", "1")
