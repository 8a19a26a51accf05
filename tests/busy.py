"""Run a command beside processes that keep the processors busy: python tests/busy.py 8 COMMAND.

A test that passes alone and fails here depends on how fast the machine is.
"""

import subprocess
import sys


def main(count: int, command: list[str]) -> int:
    """Return the exit code of `command`, run beside `count` processes that do nothing but count."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        for process in busy:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
