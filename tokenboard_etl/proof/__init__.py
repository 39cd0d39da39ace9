"""Issued documents, derived again from what they rest on, and held against what was issued."""
