-- Sources: what to fetch, from where, when, and what came of it.
-- JSON of users' making is kept as json, not jsonb, which cannot hold U+0000; it is written in one canonical form,
-- so that equal values are equal texts.

-- What to fetch from an integration.
CREATE TABLE sync_jobs (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE, -- the order of lists
    integration_name text NOT NULL,
    args_schema json NOT NULL,                   -- JSON Schema of the arguments
    resources json NOT NULL,                     -- app.sources.jobs.Resource, in the order given
    environment_id text,                         -- the caller's own; kept and returned
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- With which connection.
CREATE TABLE integrated_accounts (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    integration_name text NOT NULL,
    base_url text NOT NULL,
    credentials bytea NOT NULL,                  -- encrypted by app.sources.secrets, bound to the id
    settings json NOT NULL,
    environment_id text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- When, by the clock.
CREATE TABLE sync_job_cron_triggers (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    sync_job_id uuid NOT NULL REFERENCES sync_jobs ON DELETE CASCADE,
    integrated_account_id uuid NOT NULL REFERENCES integrated_accounts ON DELETE CASCADE,
    cron_expression text NOT NULL,
    time_zone text NOT NULL,                     -- IANA
    args json NOT NULL,
    error_handling text NOT NULL,
    ignore_previous_run boolean NOT NULL,
    enabled boolean NOT NULL,
    next_run timestamptz,                        -- null: disabled
    last_run_id uuid,                            -- no reference: runs are forgotten earlier
    last_problem text,                           -- why the last time by the clock made no run
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX sync_job_cron_triggers_next ON sync_job_cron_triggers (next_run) WHERE next_run IS NOT NULL;

-- Once. The row is the job of a worker, as a mailbox's is: claimed, leased, fenced.
CREATE TABLE sync_job_runs (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    sync_job_id uuid NOT NULL REFERENCES sync_jobs ON DELETE CASCADE,
    integrated_account_id uuid NOT NULL REFERENCES integrated_accounts ON DELETE CASCADE,
    cron_trigger_id uuid,
    args json NOT NULL,                          -- defaults of the schema filled in
    resources json NOT NULL,                     -- as the job had them when the run was made
    digest bytea NOT NULL,                       -- of both: runs that have the same read the same
    error_handling text NOT NULL CHECK (error_handling IN ('ignore', 'fail_fast', 'batch')),
    ignore_previous_run boolean NOT NULL,
    confirm boolean NOT NULL,                    -- remove also what the guard would hold
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    cancelling boolean NOT NULL DEFAULT false,   -- somebody asked for its end
    previous_run_date timestamptz,               -- null: there is none to go on from
    counts json NOT NULL DEFAULT '{}',           -- app.sources.runs.Counts
    detail text,                                 -- why it failed, or what it is doing now
    clean boolean NOT NULL DEFAULT false,        -- done, with nothing left out: a later run may go on from it
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    owner uuid,                                  -- the worker that runs it now
    fence bigint,                                -- of the last claim; greater than that of every claim before it
    lease_until timestamptz,
    attempts integer NOT NULL DEFAULT 0          -- claims; more than one: it was lost with its worker
);

CREATE SEQUENCE sync_job_fences;
CREATE UNIQUE INDEX sync_job_runs_active ON sync_job_runs (sync_job_id, integrated_account_id)
WHERE state IN ('queued', 'running');
CREATE INDEX sync_job_runs_waiting ON sync_job_runs (number) WHERE state IN ('queued', 'running');
CREATE INDEX sync_job_runs_job ON sync_job_runs (sync_job_id, number);
CREATE INDEX sync_job_runs_account ON sync_job_runs (integrated_account_id);
CREATE INDEX sync_job_runs_fence ON sync_job_runs (fence);
CREATE INDEX sync_job_runs_finished ON sync_job_runs (finished_at) WHERE finished_at IS NOT NULL;

-- What went wrong in a run: the first ones, all are counted.
CREATE TABLE sync_job_run_errors (
    run_id uuid NOT NULL REFERENCES sync_job_runs ON DELETE CASCADE,
    number bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('record', 'read', 'user', 'run')),
    detail text NOT NULL,
    resource text,
    place text,
    username text,
    PRIMARY KEY (run_id, number)
);

-- Whose timetables a run has something to say about.
CREATE TABLE sync_job_run_users (
    run_id uuid NOT NULL REFERENCES sync_job_runs ON DELETE CASCADE,
    username text NOT NULL,
    incomplete boolean NOT NULL,                 -- something of theirs could not be read: they lose nothing
    applied boolean NOT NULL DEFAULT false,
    PRIMARY KEY (run_id, username)
);

-- What the resources with persist gave, as last read.
CREATE TABLE source_records (
    sync_job_id uuid NOT NULL REFERENCES sync_jobs ON DELETE CASCADE,
    integrated_account_id uuid NOT NULL REFERENCES integrated_accounts ON DELETE CASCADE,
    resource text NOT NULL,
    username text NOT NULL,                      -- '' where the record is nobody's
    id text NOT NULL,
    data json NOT NULL,                          -- as the source gave it
    event json,                                  -- providers.contract.Event; null where the record is none
    seen bigint NOT NULL,                        -- the fence of the run that has last read it
    PRIMARY KEY (sync_job_id, integrated_account_id, username, resource, id)
);

CREATE INDEX source_records_seen ON source_records (seen);
CREATE INDEX source_records_account ON source_records (integrated_account_id);

-- By what the next run can ask a source whether anything has changed (ETag, Last-Modified).
CREATE TABLE source_validators (
    sync_job_id uuid NOT NULL REFERENCES sync_jobs ON DELETE CASCADE,
    integrated_account_id uuid NOT NULL REFERENCES integrated_accounts ON DELETE CASCADE,
    resource text NOT NULL,
    key bytea NOT NULL,                          -- SHA-256 of the integration's own key
    content json NOT NULL,
    seen bigint NOT NULL,                        -- the fence of the run that has last asked: that of its records, too
    records bigint NOT NULL,                     -- how many those are
    made_at timestamptz NOT NULL,                -- when the run was made that has read them
    PRIMARY KEY (sync_job_id, integrated_account_id, resource, key)
);
