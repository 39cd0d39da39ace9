-- How many tokens and requests stand behind a day's cost of one key and model.
-- grain: UTC day x connection x account x API key x model
-- key: usage_date, connection_id, account_id, api_key_id, model
-- owner: team:billing
-- OpenAI's completions, OpenRouter's activity of each key. A fine-tune is ft:base:organization:suffix:id in usage and
-- ft-base in costs; OpenRouter's analytics name a model without its version. Here both are spelled as in costs.
-- column usage_date: UTC day.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash; empty where the provider does not say.
-- column api_key_id: API key id or key hash; empty where the provider does not say.
-- column model: Model, as costs spell it.
-- column tokens: Input and output.
-- column requests: Model requests.
SELECT
    usage_date,
    connection_id,
    project_id AS account_id,
    api_key_id,
    CASE WHEN model LIKE 'ft:%' THEN 'ft-' || split_part(model, ':', 2) ELSE model END AS model,
    sum(input_tokens + output_tokens) AS tokens,
    sum(requests) AS requests
FROM raw.openai_completions
GROUP BY 1, 2, 3, 4, 5
UNION ALL
SELECT
    usage_date,
    connection_id,
    key_hash AS account_id,
    key_hash AS api_key_id,
    model,
    sum(prompt_tokens + completion_tokens) AS tokens,
    sum(requests) AS requests
FROM raw.openrouter_activity_by_key
GROUP BY 1, 2, 3, 4, 5
