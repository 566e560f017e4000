"""DuckDB without the larger part of its Python package, which takes as long to import as a small question."""

try:
    import _duckdb as duckdb
except ImportError:  # a release that is laid out in another way
    import duckdb  # type: ignore[no-redef]

__all__ = ["duckdb"]
