"""Our command line under a supervisor that never lets a dead role wait for longer than the first time.

python -m tests.crash.quick serve ... In earnest a role that dies again and again waits up to half a minute.
"""

from __future__ import annotations

from cryptnsend import supervisor
from cryptnsend.__main__ import main

if __name__ == "__main__":
    supervisor.LONGEST_WAIT = supervisor.FIRST_WAIT
    main()
