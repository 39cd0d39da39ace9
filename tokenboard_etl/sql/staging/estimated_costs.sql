-- What usage is taken to cost on days whose real cost has not arrived. The real cost, also one of zero, takes its place.
-- grain: UTC day x connection x account x API key x model x priced or not
-- key: usage_date, connection_id, account_id, api_key_id, line_item, is_priced
-- month: usage_date
-- owner: team:billing
-- OpenAI's tokens are priced by the book; those it has no price for are rows of their own, without an amount. OpenRouter
-- says in its activity what it deducted; what no key explains stands under account_id ''. Days on which a report was
-- read are known by ops.load_days, so that "read and empty" is told from "not read".
-- column usage_date: UTC day.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash; empty where the provider does not say.
-- column api_key_id: API key id or key hash; empty where the provider does not say.
-- column line_item: The model; empty where the provider does not say.
-- column model: The model, as costs spell it; NULL where the provider does not say.
-- column quantity: How much, in quantity_unit.
-- column quantity_unit: tokens (input and output) for OpenAI, requests for OpenRouter.
-- column cost_usd: The estimate; NULL where the book has no price.
-- column is_priced: false where the book has no price.
WITH arrived AS (
    SELECT DISTINCT connection_id, usage_date FROM ops.load_days WHERE report IN ('costs', 'analytics')
),
used AS (
    SELECT connection_id, usage_date FROM raw.openai_completions
    UNION
    SELECT connection_id, usage_date FROM raw.openrouter_activity_by_key
    UNION
    SELECT connection_id, usage_date FROM raw.openrouter_activity
),
waiting AS (
    SELECT used.connection_id, used.usage_date
    FROM used
    LEFT JOIN arrived ON arrived.connection_id = used.connection_id AND arrived.usage_date = used.usage_date
    WHERE arrived.usage_date IS NULL
),
completions AS (
    SELECT
        priced.usage_date, priced.connection_id, priced.project_id AS account_id, priced.api_key_id,
        CASE WHEN priced.model LIKE 'ft:%' THEN 'ft-' || split_part(priced.model, ':', 2) ELSE priced.model END AS model,
        priced.unpriced_reason IS NULL AS is_priced,
        sum(priced.input_tokens + priced.output_tokens) AS tokens,
        sum(priced.estimated_cost_usd) AS cost_usd
    FROM staging.priced_completions AS priced
    JOIN waiting ON waiting.connection_id = priced.connection_id AND waiting.usage_date = priced.usage_date
    WHERE priced.minute_at IS NULL
    GROUP BY 1, 2, 3, 4, 5, 6
),
by_key AS (
    SELECT
        activity.usage_date, activity.connection_id, activity.key_hash, activity.model,
        sum(activity.requests) AS requests, sum(activity.cost_usd) AS cost_usd
    FROM raw.openrouter_activity_by_key AS activity
    JOIN waiting ON waiting.connection_id = activity.connection_id AND waiting.usage_date = activity.usage_date
    GROUP BY 1, 2, 3, 4
),
whole AS (
    SELECT
        activity.usage_date, activity.connection_id, activity.model,
        sum(activity.requests) AS requests, sum(activity.cost_usd) AS cost_usd
    FROM raw.openrouter_activity AS activity
    JOIN waiting ON waiting.connection_id = activity.connection_id AND waiting.usage_date = activity.usage_date
    GROUP BY 1, 2, 3
),
explained AS (
    SELECT usage_date, connection_id, model, sum(requests) AS requests, sum(cost_usd) AS cost_usd
    FROM by_key
    GROUP BY 1, 2, 3
),
activity AS (
    SELECT usage_date, connection_id, key_hash, model, requests, cost_usd FROM by_key
    UNION ALL
    SELECT
        whole.usage_date, whole.connection_id, '' AS key_hash, whole.model,
        whole.requests - coalesce(explained.requests, 0) AS requests,
        whole.cost_usd - coalesce(explained.cost_usd, 0) AS cost_usd
    FROM whole
    LEFT JOIN explained
        ON explained.usage_date = whole.usage_date
        AND explained.connection_id = whole.connection_id
        AND explained.model = whole.model
    WHERE whole.cost_usd > coalesce(explained.cost_usd, 0)
),
estimate AS (
    SELECT
        usage_date, 'openai' AS provider, connection_id, account_id, api_key_id, model,
        tokens AS quantity, 'tokens' AS quantity_unit, cost_usd, is_priced
    FROM completions
    UNION ALL
    SELECT
        usage_date, 'openrouter' AS provider, connection_id, key_hash AS account_id, key_hash AS api_key_id, model,
        requests AS quantity, 'requests' AS quantity_unit, cost_usd, true AS is_priced
    FROM activity
)
SELECT
    usage_date,
    provider,
    connection_id,
    account_id,
    api_key_id,
    model AS line_item,
    nullif(model, '') AS model,
    CAST(quantity AS DECIMAL(38, 9)) AS quantity,
    quantity_unit,
    CAST(cost_usd AS DECIMAL(38, 18)) AS cost_usd,
    is_priced
FROM estimate
