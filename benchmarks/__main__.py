"""The benchmark suite: `python -m benchmarks --help`."""

from benchmarks.suite import main

main()
