-- The monthly hard limit of each OpenAI project, as it was on each day it was asked for.
-- grain: UTC day x connection x project
-- key: snapshot_date, connection_id, project_id
-- owner: team:data
-- No row: not asked that day. A row without a limit: asked, and none is set.
-- column snapshot_date: UTC day it was read.
-- column connection_id: The OpenAI organization.
-- column project_id: The project.
-- column limit_usd: US dollars the project may spend in an interval; NULL where no limit is set.
-- column limit_interval: month; NULL where no limit is set.
-- column enforcement_status: enforcing once the limit stops requests, inactive before; NULL where the provider does not say.
SELECT
    snapshot_date,
    connection_id,
    project_id,
    CAST(limit_cents * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(38, 18)) AS limit_usd,
    "interval" AS limit_interval,
    enforcement_status
FROM raw.openai_spend_limits
