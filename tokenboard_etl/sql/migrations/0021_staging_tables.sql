-- Estimates and fallback prices are worked out once a build, as tables, where they were views.
DROP VIEW IF EXISTS staging.estimated_costs;
DROP VIEW IF EXISTS staging.fallback_costs;
