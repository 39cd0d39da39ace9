-- OpenRouter's usage per key, model and endpoint: a cross-check of each key's cost, and its tokens.
-- grain: UTC day x connection x key x endpoint x model x provider behind it
-- key: usage_date, connection_id, key_hash, endpoint_id, model_permaslug, provider_name
-- month: usage_date
-- owner: team:data
-- Only keys that were asked for: those that moved, and none at all where there are very many. Sums of it are no total.
-- column usage_date: UTC day.
-- column connection_id: The OpenRouter account.
-- column key_hash: The key.
-- column model: Model.
-- column model_permaslug: Model with its version.
-- column endpoint_id: Endpoint the requests went to.
-- column provider_name: Who ran the model.
-- column cost_usd: OpenRouter credits deducted.
-- column byok_usage_usd: What the provider charges the own key directly, at list price; never deducted from credits.
-- column requests: Requests.
-- column prompt_tokens: Input tokens.
-- column completion_tokens: Output tokens, reasoning included.
-- column reasoning_tokens: Reasoning part of the output.
SELECT
    usage_date,
    connection_id,
    key_hash,
    model,
    model_permaslug,
    endpoint_id,
    provider_name,
    cost_usd,
    byok_usage_usd,
    requests,
    prompt_tokens,
    completion_tokens,
    reasoning_tokens
FROM raw.openrouter_activity_by_key
