"""Who is billed, and which provider accounts are theirs from when until when."""
