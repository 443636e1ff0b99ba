"""Where tasks run: in this process (``serial``) or on a Dask cluster (``dask``, the only importer of distributed)."""
