"""TokenBoard ETL: what AI providers charge a reseller, turned into what the reseller charges its tenants.

The folders follow the data: providers -> landing -> warehouse (raw, staging, usage, billing) -> checks ->
published file -> reports. This package is plain Python; only `assets` knows the orchestrator.
"""
