-- People, as the frontend knows them. A username is opaque and compared exactly.
CREATE TABLE users (
    username text PRIMARY KEY,
    display_name text,
    locale text,
    attributes jsonb NOT NULL DEFAULT '[]',      -- [{"name", "values": []}], as given
    roles text[] NOT NULL DEFAULT '{}',
    -- The timetable as last published; null until there is one.
    timetable_revision bigint,
    timetable_changed_at timestamptz,            -- when a publication last changed it
    -- The revision whose removals whoever published it has confirmed (?confirm=true).
    confirmed_revision bigint,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- What is wanted: each user's timetable as last published, one row an event.
CREATE TABLE timetable_events (
    username text NOT NULL REFERENCES users ON DELETE CASCADE,
    uid text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    content jsonb NOT NULL,                      -- providers.contract.Event
    content_hash bytea NOT NULL,                 -- of the content, by app.timetables.event
    cancelled boolean NOT NULL DEFAULT false,    -- a cancelled event is not wanted in a mailbox
    wanted_since timestamptz,                    -- when it came into the timetable
    changed_at timestamptz,                      -- when it last changed there
    PRIMARY KEY (username, uid)
);

-- A mailbox is the unit of work: its row is the job. At most one worker owns it at a time, so nothing
-- that happens in a mailbox happens twice at once, however many synchronizations lead into it.
CREATE TABLE mailboxes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type text NOT NULL,
    address text NOT NULL,                       -- the one to reach it by, as last provisioned
    identity text,                               -- the provider's; null until it was reached once
    due_at timestamptz DEFAULT now(),            -- null: nothing to do until somebody asks
    wake bigint NOT NULL DEFAULT 0,              -- grows with every request for a run
    attempts integer NOT NULL DEFAULT 0,         -- failed runs in a row
    owner uuid,                                  -- the worker that runs it now
    fence bigint NOT NULL DEFAULT 0,             -- grows with every claim; an older one may not write
    lease_until timestamptz,
    UNIQUE (type, identity)
);

CREATE INDEX mailboxes_due ON mailboxes (type, due_at) WHERE due_at IS NOT NULL;

-- Who has a synchronization with which mailbox. Unlinked rows stay as long as the ledger needs them.
CREATE TABLE synchronizations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username text NOT NULL,                      -- no reference: the row outlives the user
    type text NOT NULL,
    mailbox_id bigint NOT NULL REFERENCES mailboxes,
    address text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    status text NOT NULL DEFAULT 'PENDING' CHECK (
        status IN (
            'PENDING', 'SYNCING', 'OK', 'THROTTLED', 'ERROR', 'PERMISSION_DENIED',
            'MAILBOX_NOT_FOUND', 'HELD', 'DISABLED'
        )
    ),
    last_error text,                             -- a sentence for an administrator
    last_resync timestamptz,                     -- end of the last complete run
    failing_since timestamptz,                   -- since when no run could be completed; null: the last one was
    held boolean NOT NULL DEFAULT false,         -- too much would go: nothing is written before an approval
    approved boolean NOT NULL DEFAULT false,     -- an administrator has approved what was held
    -- The preferences in effect, {"section.key": value}; kept as effective_preferences gives them.
    preferences jsonb NOT NULL DEFAULT '{}',
    -- What its shaped_events were made from; null: it has none, the timetable is wanted as it is.
    shaped_revision bigint,
    shaped_by jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    unlinked_at timestamptz                      -- null: current
);

CREATE INDEX synchronizations_username ON synchronizations (username, type);
CREATE INDEX synchronizations_mailbox ON synchronizations (mailbox_id);
CREATE INDEX synchronizations_current ON synchronizations (id) WHERE unlinked_at IS NULL;

-- Calendars that we made, or are to make, in a mailbox besides its default one.
CREATE TABLE calendars (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mailbox_id bigint NOT NULL REFERENCES mailboxes,
    name text NOT NULL,                          -- as it was made; the person may call it something else
    remote_id text,                              -- null: not there yet, or not any more
    UNIQUE (mailbox_id, name)
);

-- Work that somebody can watch: an unlinking, a bulk sync, a refresh.
CREATE TABLE runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('unlink', 'sync', 'refresh')),
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'done', 'failed', 'cancelled')),
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    total integer NOT NULL DEFAULT 0,            -- mailboxes to visit
    done integer NOT NULL DEFAULT 0,             -- mailboxes visited
    removed bigint NOT NULL DEFAULT 0,           -- events taken out
    last_error text,
    drift jsonb                                  -- how mailbox and ledger differed, by kind, as a refresh found it
);

CREATE INDEX runs_finished ON runs (finished_at) WHERE state <> 'active';

-- What an unlinking asked for, one row a synchronization and mailbox; the moment is fixed here.
CREATE TABLE unlinks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    mailbox_id bigint NOT NULL REFERENCES mailboxes,
    synchronization_id bigint REFERENCES synchronizations,  -- null: CLEANUP of a mailbox without one
    mode text NOT NULL CHECK (
        mode IN ('UNLINK_ONLY', 'DELETE_FUTURE_EVENTS', 'DELETE_ALL_EVENTS', 'CLEANUP')
    ),
    accepted_at timestamptz NOT NULL,
    marked_at timestamptz,                       -- its events are marked as deleting in the ledger
    done_at timestamptz
);

CREATE INDEX unlinks_open ON unlinks (mailbox_id) WHERE done_at IS NULL;
CREATE INDEX unlinks_run ON unlinks (run_id);

-- The ledger: every event that we put into a mailbox, are about to put there, or may have put there.
-- A row is committed before the provider hears of what it says, and goes when the event is known to be gone.
CREATE TABLE ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    synchronization_id bigint NOT NULL REFERENCES synchronizations,
    mailbox_id bigint NOT NULL REFERENCES mailboxes,
    calendar_id bigint REFERENCES calendars,     -- null: the default one
    uid text NOT NULL,
    state text NOT NULL CHECK (state IN ('creating', 'present', 'updating', 'deleting', 'refused')),
    -- Identity in the mailbox.
    attempt uuid NOT NULL DEFAULT gen_random_uuid(),
    may_arrive boolean NOT NULL DEFAULT false,   -- the attempt was sent, and could not be seen; it is to be sent again
    remote_id text,
    remote_version text,
    -- What the mailbox holds, as last confirmed; null before the first confirmation.
    content jsonb,
    content_hash bytea,
    starts_at timestamptz,
    ends_at timestamptz,
    pushed_at timestamptz,
    -- What is on its way: set before the call, cleared with its answer. Set at the start of a
    -- run, it means that the outcome is unknown.
    sent_at timestamptz,
    sent_content jsonb,
    sent_hash bytea,
    -- What the mailbox may hold as well as the content: updates whose outcome never became known.
    possible jsonb[] NOT NULL DEFAULT '{}',
    -- Refusals.
    tries integer NOT NULL DEFAULT 0,
    retry_at timestamptz,
    refused_hash bytea,                          -- the content that was refused; not sent again
    error_code text,
    error text,
    -- What the last reading found, where the event was not as it was pushed. Of one that was changed, what the mailbox
    -- holds is not known.
    drift text CHECK (drift IN ('missing', 'changed')),
    rewrites integer NOT NULL DEFAULT 0,         -- times in a row that it did not hold what had been pushed
    -- Which unlinking a deleting row belongs to, so that the run's end is known.
    unlink_id bigint REFERENCES unlinks ON DELETE SET NULL
);

CREATE UNIQUE INDEX ledger_event ON ledger (synchronization_id, uid);
CREATE INDEX ledger_work ON ledger (mailbox_id, state) WHERE state <> 'present';
CREATE INDEX ledger_unknown ON ledger (mailbox_id) WHERE sent_at IS NOT NULL;
CREATE INDEX ledger_mailbox ON ledger (mailbox_id, uid);
CREATE INDEX ledger_calendar ON ledger (calendar_id) WHERE calendar_id IS NOT NULL;
CREATE INDEX ledger_unlink ON ledger (unlink_id) WHERE unlink_id IS NOT NULL;

-- Creates believed lost that may yet arrive: looked for later, and taken out if they did.
CREATE TABLE lost_creates (
    attempt uuid PRIMARY KEY,
    mailbox_id bigint NOT NULL REFERENCES mailboxes,
    calendar_id bigint REFERENCES calendars ON DELETE CASCADE,
    checks integer NOT NULL DEFAULT 0,
    check_at timestamptz,                        -- null: looked for often enough; a reading may still find it
    -- The event that it has made after all, noted before that is taken out: a copy that the person made of it has
    -- the same attempt, and must not be taken for it when the one that is ours is gone.
    remote_id text
);

CREATE INDEX lost_creates_mailbox ON lost_creates (mailbox_id, check_at);

-- The providers' limits, shared by all workers. Keys: TYPE:account:NAME and TYPE:mailbox:IDENTITY.
CREATE TABLE quotas (
    key text PRIMARY KEY,
    paced_until timestamptz NOT NULL,            -- theoretical arrival time (GCRA, ITU-T I.371)
    blocked_until timestamptz,                   -- not before: the provider said so, or refuses us
    blocked_because text,                        -- a sentence, where it is not throttling
    rest interval                                -- how long an account that is refused rests, this time
);

-- Reserve room under several limits at once, or under none of them. cost is what the operations take
-- up (their number times the seconds each is worth), tolerance is how far ahead of an even pace one may
-- be. Returns when there is room: not later than "at" if it was reserved, else when to ask again.
-- A function, so that no client that stops in the middle ever holds a lock that all workers need.
CREATE FUNCTION reserve_quota(keys text[], costs interval[], tolerances interval[], at timestamptz)
RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    room_at timestamptz;
BEGIN
    INSERT INTO quotas (key, paced_until)
    SELECT DISTINCT k, at FROM unnest(keys) AS k
    WHERE NOT EXISTS (SELECT FROM quotas WHERE key = k)
    ORDER BY k
    ON CONFLICT DO NOTHING;

    PERFORM FROM quotas WHERE key = ANY (keys) ORDER BY key FOR UPDATE;

    SELECT max(greatest(
        quotas.blocked_until,
        greatest(quotas.paced_until, at) + asked.cost - asked.tolerance
    )) INTO room_at
    FROM unnest(keys, costs, tolerances) AS asked (key, cost, tolerance)
    JOIN quotas USING (key);

    IF room_at <= at THEN
        UPDATE quotas SET paced_until = greatest(quotas.paced_until, at) + asked.cost
        FROM unnest(keys, costs) AS asked (key, cost)
        WHERE quotas.key = asked.key;
    END IF;
    RETURN room_at;
END;
$$;

CREATE TABLE api_tokens (
    name text PRIMARY KEY,
    role text NOT NULL CHECK (role IN ('admin', 'frontend', 'reader')),
    hash bytea NOT NULL UNIQUE,                  -- SHA-256 of the token
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The rule of the four unlink modes (CONTRACT §4), used by the unlinking and by its preview alike:
-- whether an unlinking removes a ledger row.
CREATE FUNCTION unlink_removes(
    mode text, accepted_at timestamptz, same_synchronization boolean, starts_at timestamptz
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE mode
    WHEN 'UNLINK_ONLY' THEN false
    WHEN 'DELETE_FUTURE_EVENTS' THEN coalesce(same_synchronization AND starts_at > accepted_at, false)
    WHEN 'DELETE_ALL_EVENTS' THEN coalesce(same_synchronization, false)
    WHEN 'CLEANUP' THEN true
END;
