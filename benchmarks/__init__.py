"""How long things take: medians and ratios, measured in one run. ``python -m benchmarks`` prints them."""
