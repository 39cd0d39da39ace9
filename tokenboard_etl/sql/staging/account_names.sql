-- The newest name each provider gave an account. Names are for people; nothing is joined on them.
-- grain: connection x account
-- key: connection_id, account_id
-- owner: team:data
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column account_id: Project, service account or API key id, or key hash.
-- column name: The newest name seen; the id itself where the provider gave none.
-- column seen_on: UTC day of the snapshot the name is from.
SELECT
    provider,
    connection_id,
    account_id,
    coalesce(name, account_id) AS name,
    last_seen AS seen_on
FROM ops.accounts
