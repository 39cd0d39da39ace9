"""The tables as Parquet too, and the same models on other engines over it. Off unless TOKENBOARD_LAKE_URL is set."""
