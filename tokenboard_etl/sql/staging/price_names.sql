-- Under which name the price book knows a model, day by day: its exact name first, then its alias.
-- grain: UTC day x model as usage spells it
-- key: usage_date, model
-- owner: team:billing
-- A fine-tune is ft:base:organization:suffix:id in usage and ft:base in the book (ft-base in costs); the alias of a dated
-- snapshot is its name without the date. Models that are not in the book that day are left out.
-- column usage_date: UTC day.
-- column model: Model as usage spells it.
-- column price_model: The name in the price book.
WITH counted AS (
    SELECT usage_date, model FROM raw.openai_completions
    UNION
    SELECT usage_date, model FROM raw.openai_completions_minutes
),
used AS (
    SELECT
        usage_date, model,
        CASE
            WHEN model LIKE 'ft-%' THEN 'ft:' || substr(model, 4)
            WHEN model LIKE 'ft:%' THEN 'ft:' || split_part(model, ':', 2)
            ELSE model
        END AS base
    FROM counted
),
candidate AS (
    SELECT usage_date, model, model AS name, 1 AS choice FROM used
    UNION ALL
    SELECT usage_date, model, base AS name, 2 AS choice FROM used
    UNION ALL
    SELECT usage_date, model, regexp_replace(base, '-[0-9]{4}-[0-9]{2}-[0-9]{2}$', '') AS name, 3 AS choice FROM used
),
book AS (
    SELECT DISTINCT model, valid_from, valid_until FROM staging.price_cards
),
ranked AS (
    SELECT
        candidate.usage_date, candidate.model, candidate.name,
        row_number() OVER (PARTITION BY candidate.usage_date, candidate.model ORDER BY candidate.choice) AS position
    FROM candidate
    JOIN book
        ON book.model = candidate.name
        AND book.valid_from <= candidate.usage_date
        AND (book.valid_until IS NULL OR candidate.usage_date < book.valid_until)
)
SELECT usage_date, model, name AS price_model
FROM ranked
WHERE position = 1
