-- What is recorded and never derived: loads, the registry, margin rules, issued invoices; and the raw rows,
-- which are rebuilt from landings. No PRIMARY KEY or index anywhere: uniqueness is proved by check queries.
CREATE SCHEMA raw;
CREATE SCHEMA staging;
CREATE SCHEMA usage;
CREATE SCHEMA billing;
CREATE SCHEMA credits;
CREATE SCHEMA ops;
CREATE SCHEMA registry;
CREATE SCHEMA policy;

CREATE TABLE ops.loads (
    load_id VARCHAR NOT NULL,
    connection_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    report VARCHAR NOT NULL,
    window_start DATE NOT NULL,
    window_end DATE NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ NOT NULL,
    pages BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    seconds DECIMAL(18, 3) NOT NULL,
    result VARCHAR NOT NULL
);
COMMENT ON TABLE ops.loads IS 'One row per load: one report of one connection over one window, read to the end and loaded.';
COMMENT ON COLUMN ops.loads.load_id IS 'Start of the load and a random suffix; also the name of its landing folder.';
COMMENT ON COLUMN ops.loads.connection_id IS 'The provider account the load was read from.';
COMMENT ON COLUMN ops.loads.provider IS 'openai or openrouter.';
COMMENT ON COLUMN ops.loads.report IS 'Which of the provider''s reports.';
COMMENT ON COLUMN ops.loads.window_start IS 'First UTC day asked for.';
COMMENT ON COLUMN ops.loads.window_end IS 'UTC day after the last one asked for.';
COMMENT ON COLUMN ops.loads.started_at IS 'When the first request was sent.';
COMMENT ON COLUMN ops.loads.finished_at IS 'When the last page was on disk.';
COMMENT ON COLUMN ops.loads.pages IS 'Bodies received.';
COMMENT ON COLUMN ops.loads.rows IS 'Rows in the raw table after equal keys were summed.';
COMMENT ON COLUMN ops.loads.bytes IS 'Size of all bodies before compression.';
COMMENT ON COLUMN ops.loads.sha256 IS 'Checksum over the checksums of all bodies, in order.';
COMMENT ON COLUMN ops.loads.seconds IS 'From the first request to the last page.';
COMMENT ON COLUMN ops.loads.result IS 'loaded; superseded when all of its days had been loaded from a later read; refused when a figure was missing.';

CREATE TABLE ops.load_days (
    load_id VARCHAR NOT NULL,
    connection_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    report VARCHAR NOT NULL,
    usage_date DATE NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ NOT NULL,
    rows BIGINT NOT NULL,
    total_usd DECIMAL(38, 18)
);
COMMENT ON TABLE ops.load_days IS 'One row per load and UTC day the provider confirmed in it, days without any spend included.';
COMMENT ON COLUMN ops.load_days.load_id IS 'The load that confirmed the day.';
COMMENT ON COLUMN ops.load_days.connection_id IS 'The provider account.';
COMMENT ON COLUMN ops.load_days.provider IS 'openai or openrouter.';
COMMENT ON COLUMN ops.load_days.report IS 'Which of the provider''s reports.';
COMMENT ON COLUMN ops.load_days.usage_date IS 'The UTC day.';
COMMENT ON COLUMN ops.load_days.started_at IS 'When the load''s first request was sent.';
COMMENT ON COLUMN ops.load_days.finished_at IS 'When the load''s last page was on disk.';
COMMENT ON COLUMN ops.load_days.rows IS 'Raw rows of the day.';
COMMENT ON COLUMN ops.load_days.total_usd IS 'Sum of the day''s amounts in USD; NULL for reports without amounts.';

CREATE TABLE ops.dirty_months (month VARCHAR NOT NULL);
COMMENT ON TABLE ops.dirty_months IS 'Months whose input changed since the models were last built; emptied by the build.';
COMMENT ON COLUMN ops.dirty_months.month IS 'UTC month, YYYY-MM.';

CREATE TABLE ops.clock (as_of TIMESTAMPTZ NOT NULL, settle_days INTEGER NOT NULL);
COMMENT ON TABLE ops.clock IS 'One row: the instant and the settle time the models were last built with.';
COMMENT ON COLUMN ops.clock.as_of IS 'The instant taken as now.';
COMMENT ON COLUMN ops.clock.settle_days IS 'Days after a UTC day''s end until its figures count as settled.';

CREATE TABLE registry.tenants (
    tenant_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    industry VARCHAR,
    description VARCHAR NOT NULL,
    country VARCHAR,
    currency VARCHAR NOT NULL,
    billing_email VARCHAR,
    status VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE registry.tenants IS 'One row per tenant: a customer who is billed.';
COMMENT ON COLUMN registry.tenants.tenant_id IS 'Stable identity: lower-case letters, digits and hyphens.';
COMMENT ON COLUMN registry.tenants.name IS 'The name as given; data, never identity.';
COMMENT ON COLUMN registry.tenants.industry IS 'The tenant''s line of business.';
COMMENT ON COLUMN registry.tenants.description IS 'Project for {name} - {industry}.';
COMMENT ON COLUMN registry.tenants.country IS 'ISO 3166 two-letter code.';
COMMENT ON COLUMN registry.tenants.currency IS 'ISO 4217 code of the tenant''s invoices.';
COMMENT ON COLUMN registry.tenants.billing_email IS 'Where invoices go.';
COMMENT ON COLUMN registry.tenants.status IS 'active, suspended or offboarded.';
COMMENT ON COLUMN registry.tenants.created_at IS 'When the tenant was registered here.';

CREATE TABLE registry.accounts (
    tenant_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    account_id VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_until DATE,
    bound_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE registry.accounts IS 'One row per binding: whose spend a provider account is, from when until when.';
COMMENT ON COLUMN registry.accounts.tenant_id IS 'The tenant who pays.';
COMMENT ON COLUMN registry.accounts.provider IS 'openai or openrouter.';
COMMENT ON COLUMN registry.accounts.kind IS 'project or api_key (OpenAI), key (OpenRouter).';
COMMENT ON COLUMN registry.accounts.account_id IS 'The provider''s id: project id, API key id, or key hash.';
COMMENT ON COLUMN registry.accounts.valid_from IS 'First UTC day of the binding.';
COMMENT ON COLUMN registry.accounts.valid_until IS 'UTC day after the last one; NULL while it lasts.';
COMMENT ON COLUMN registry.accounts.bound_at IS 'When the binding was made.';

CREATE TABLE policy.margin_rules (
    rule_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    multiplier DECIMAL(9, 6) NOT NULL,
    valid_from DATE NOT NULL,
    valid_until DATE,
    seen_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE billing.invoices (
    invoice_number VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    month VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    currency VARCHAR NOT NULL,
    net_minor BIGINT NOT NULL,
    tax_minor BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    issued_at TIMESTAMPTZ NOT NULL,
    buyer_name VARCHAR NOT NULL,
    buyer_country VARCHAR,
    buyer_email VARCHAR,
    accepted_reason VARCHAR,
    template VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    policy_sha256 VARCHAR NOT NULL,
    corrects VARCHAR
);
COMMENT ON TABLE billing.invoices IS 'One row per issued document. Rows are only ever inserted.';
COMMENT ON COLUMN billing.invoices.invoice_number IS 'Gapless per year of issue.';
COMMENT ON COLUMN billing.invoices.tenant_id IS 'Who is billed.';
COMMENT ON COLUMN billing.invoices.month IS 'The UTC month billed, YYYY-MM.';
COMMENT ON COLUMN billing.invoices.kind IS 'invoice or credit_note.';
COMMENT ON COLUMN billing.invoices.status IS 'issued.';
COMMENT ON COLUMN billing.invoices.currency IS 'ISO 4217 code.';
COMMENT ON COLUMN billing.invoices.net_minor IS 'Sum of the lines, in minor units of the currency.';
COMMENT ON COLUMN billing.invoices.tax_minor IS 'Tax, in minor units.';
COMMENT ON COLUMN billing.invoices.total_minor IS 'Net and tax, in minor units.';
COMMENT ON COLUMN billing.invoices.issued_at IS 'When the number was allotted.';
COMMENT ON COLUMN billing.invoices.buyer_name IS 'The tenant''s name on the day of issue.';
COMMENT ON COLUMN billing.invoices.buyer_country IS 'The tenant''s country on the day of issue.';
COMMENT ON COLUMN billing.invoices.buyer_email IS 'The tenant''s billing address on the day of issue.';
COMMENT ON COLUMN billing.invoices.accepted_reason IS 'Why the month was closed although days were missing or provisional; NULL if none were.';
COMMENT ON COLUMN billing.invoices.template IS 'Template and version the document was rendered with.';
COMMENT ON COLUMN billing.invoices.sha256 IS 'SHA-256 of the HTML document.';
COMMENT ON COLUMN billing.invoices.policy_sha256 IS 'SHA-256 of the margin rules in force.';
COMMENT ON COLUMN billing.invoices.corrects IS 'The number of the document this one corrects.';

CREATE TABLE billing.invoice_lines (
    invoice_number VARCHAR NOT NULL,
    line_no INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    description VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    account_id VARCHAR NOT NULL,
    account_name VARCHAR NOT NULL,
    line_item VARCHAR NOT NULL,
    margin_rule_id VARCHAR NOT NULL,
    quantity DECIMAL(38, 9),
    unit VARCHAR,
    billed_exact DECIMAL(38, 24) NOT NULL,
    amount_minor BIGINT NOT NULL
);
COMMENT ON TABLE billing.invoice_lines IS 'One row per line of an issued document. Rows are only ever inserted.';
COMMENT ON COLUMN billing.invoice_lines.invoice_number IS 'The document.';
COMMENT ON COLUMN billing.invoice_lines.line_no IS 'Position, from 1.';
COMMENT ON COLUMN billing.invoice_lines.kind IS 'usage.';
COMMENT ON COLUMN billing.invoice_lines.description IS 'What is billed, as printed.';
COMMENT ON COLUMN billing.invoice_lines.provider IS 'openai or openrouter.';
COMMENT ON COLUMN billing.invoice_lines.account_id IS 'The provider''s id of the account that spent.';
COMMENT ON COLUMN billing.invoice_lines.account_name IS 'Its name when the invoice was issued.';
COMMENT ON COLUMN billing.invoice_lines.line_item IS 'The provider''s line item or model.';
COMMENT ON COLUMN billing.invoice_lines.margin_rule_id IS 'The rule that set the price.';
COMMENT ON COLUMN billing.invoice_lines.quantity IS 'How much, in unit; NULL where the provider does not say.';
COMMENT ON COLUMN billing.invoice_lines.unit IS 'Unit of the quantity.';
COMMENT ON COLUMN billing.invoice_lines.billed_exact IS 'The billed figure in USD before rounding, 24 decimals.';
COMMENT ON COLUMN billing.invoice_lines.amount_minor IS 'The printed amount, in minor units of the invoice''s currency.';

CREATE TABLE billing.closed_months (
    month VARCHAR NOT NULL,
    tenant_id VARCHAR,
    closed_at TIMESTAMPTZ NOT NULL,
    accepted_reason VARCHAR
);
COMMENT ON TABLE billing.closed_months IS 'One row per month that was invoiced: for all tenants, or for one.';
COMMENT ON COLUMN billing.closed_months.month IS 'UTC month, YYYY-MM.';
COMMENT ON COLUMN billing.closed_months.tenant_id IS 'The one tenant it was closed for; NULL for all.';
COMMENT ON COLUMN billing.closed_months.closed_at IS 'When.';
COMMENT ON COLUMN billing.closed_months.accepted_reason IS 'Why it was closed although days were missing or provisional; NULL if none were.';

CREATE TABLE raw.openai_costs (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, usage_date DATE NOT NULL,
    project_id VARCHAR NOT NULL, line_item VARCHAR NOT NULL, api_key_id VARCHAR NOT NULL,
    cost_usd DECIMAL(38, 18) NOT NULL, quantity DECIMAL(38, 9), quantity_unit VARCHAR, provider_rows BIGINT NOT NULL
);
CREATE TABLE raw.openai_costs_total (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, usage_date DATE NOT NULL, cost_usd DECIMAL(38, 18) NOT NULL
);
CREATE TABLE raw.openai_completions (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, usage_date DATE NOT NULL,
    project_id VARCHAR NOT NULL, model VARCHAR NOT NULL, api_key_id VARCHAR NOT NULL, user_id VARCHAR NOT NULL,
    batch VARCHAR NOT NULL, service_tier VARCHAR NOT NULL,
    input_tokens HUGEINT NOT NULL, input_uncached_tokens HUGEINT, input_cached_tokens HUGEINT,
    input_cache_write_tokens HUGEINT, output_tokens HUGEINT NOT NULL, input_audio_tokens HUGEINT,
    output_audio_tokens HUGEINT, input_image_tokens HUGEINT, output_image_tokens HUGEINT, requests HUGEINT NOT NULL
);
CREATE TABLE raw.openai_projects (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, snapshot_date DATE NOT NULL,
    project_id VARCHAR NOT NULL, name VARCHAR, status VARCHAR, created_at TIMESTAMPTZ NOT NULL, archived_at TIMESTAMPTZ,
    external_key_id VARCHAR
);
CREATE TABLE raw.openrouter_keys (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, snapshot_date DATE NOT NULL,
    key_hash VARCHAR NOT NULL, name VARCHAR NOT NULL, label VARCHAR NOT NULL, workspace_id VARCHAR, disabled BOOLEAN NOT NULL,
    limit_usd DECIMAL(38, 18), limit_remaining_usd DECIMAL(38, 18), limit_reset VARCHAR,
    usage_usd DECIMAL(38, 18) NOT NULL, byok_usage_usd DECIMAL(38, 18) NOT NULL, created_at VARCHAR NOT NULL
);
CREATE TABLE raw.openrouter_analytics (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, usage_date DATE NOT NULL,
    key_hash VARCHAR, model VARCHAR NOT NULL,
    cost_usd DECIMAL(38, 18) NOT NULL, byok_usage_usd DECIMAL(38, 18) NOT NULL, requests HUGEINT, provider_rows BIGINT NOT NULL
);
CREATE TABLE raw.openrouter_analytics_total (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, usage_date DATE NOT NULL, cost_usd DECIMAL(38, 18) NOT NULL
);
CREATE TABLE raw.openrouter_activity (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, usage_date DATE NOT NULL,
    model VARCHAR NOT NULL, model_permaslug VARCHAR NOT NULL, endpoint_id VARCHAR NOT NULL, provider_name VARCHAR NOT NULL,
    cost_usd DECIMAL(38, 18) NOT NULL, byok_usage_usd DECIMAL(38, 18) NOT NULL, requests HUGEINT NOT NULL,
    prompt_tokens HUGEINT NOT NULL, completion_tokens HUGEINT NOT NULL, reasoning_tokens HUGEINT NOT NULL
);
CREATE TABLE raw.openrouter_credits (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, snapshot_date DATE NOT NULL,
    granted_usd DECIMAL(38, 18), used_usd DECIMAL(38, 18)
);
