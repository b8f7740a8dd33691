"""Speed and memory against stated baselines, measured in one run: ``python -m benchmarks``."""
