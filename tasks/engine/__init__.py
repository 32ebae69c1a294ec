"""Everything that knows Prefect's internals: caching, locks, progress, the dashboard, logging, Dask."""
