"""Side-by-side benchmarks. Each module with a `main` is a command: `python -m bench.gateway --help`."""
