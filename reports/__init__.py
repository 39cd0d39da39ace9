"""Templates of the documents; data for `tokenboard_etl.rendering`."""
