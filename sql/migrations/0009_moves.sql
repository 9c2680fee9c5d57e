-- Events that go from one calendar of a mailbox to another.
ALTER TABLE ledger
    -- A move that was sent, and of which nobody knows for sure what came: the attempt in the marker of the event that it
    -- makes (the row's own where the provider moves the event itself), and the calendar that it puts it into (null: the
    -- default one, if there is an attempt). With may_arrive, the event was seen where it had been, and the move might
    -- still arrive: it is sent again before anything else is.
    ADD COLUMN move_attempt uuid,
    ADD COLUMN move_to bigint REFERENCES calendars;

CREATE INDEX ledger_move ON ledger (move_to) WHERE move_to IS NOT NULL;
