"""Benchmarks of skdeep, on its public names only; each writes JSON lines, from which every table is rendered."""
