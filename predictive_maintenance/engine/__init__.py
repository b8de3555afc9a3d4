"""Where work on the parts of a data set is done: in this process, or on a Dask cluster (docs/adr/0025-an-engine-for-parts.md)."""
