import multiprom_client  # noqa: F401  with PROMETHEUS_MULTIPROC_FORMAT=mpm
