"""Run one of the simulators: `python -m sandbox {vendors,stripe,sepay,payos} …`."""

import runpy
import sys

PLAYED = ("vendors", "stripe", "sepay", "payos")


def main() -> None:
    """Hand the rest of the command line to the simulator it names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in PLAYED:
        sys.exit(f"usage: python -m sandbox {{{','.join(PLAYED)}}} [--help | options]")
    sys.argv[:2] = [f"python -m sandbox {name}"]
    runpy.run_module(f"sandbox.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
