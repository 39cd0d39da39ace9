"""The same work done with other tools, in an environment of their own (requirements.lock beside this)."""
