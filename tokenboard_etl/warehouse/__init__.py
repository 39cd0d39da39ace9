"""DuckDB: one working file with one writer, and SQL in files."""
