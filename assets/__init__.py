"""The Dagster layer: thin, and the only place that joins providers, warehouse and billing."""

import warnings

import dagster as dg

# `backfill_policy` has been "in beta" for years; 18 assets would say so on every start, before any message of ours.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
