"""From frozen rows to HTML: the same rows give the same bytes."""
