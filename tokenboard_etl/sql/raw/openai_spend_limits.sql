-- grain: project, of those that were asked about
-- key: project_id
-- owner: team:data
-- Asked and none set is a page that is `null`: a row without a limit. A project without a row was not asked about.
WITH page AS (
    SELECT
        context ->> '$.project_id' AS project_id,
        from_json(body, '{"threshold_amount": "BIGINT", "interval": "VARCHAR", "enforcement": {"status": "VARCHAR"}}') AS row
    FROM landed
)
SELECT
    project_id,
    row.threshold_amount AS limit_cents,
    row.interval AS "interval",
    row.enforcement.status AS enforcement_status
FROM page
