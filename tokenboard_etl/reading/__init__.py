"""What is read from the published file: figures of one tenant, exports. Never a lock, never the working file."""
