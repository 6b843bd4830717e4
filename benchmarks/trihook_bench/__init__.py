"""The benchmarks: the same work, from the same load generator, put to several systems."""
