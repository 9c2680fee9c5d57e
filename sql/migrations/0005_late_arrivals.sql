-- The event that a lost create has made after all, noted before it is taken out: a copy that the person made of it has
-- the same attempt, and must not be taken for it when the one that is ours is gone.
ALTER TABLE lost_creates ADD COLUMN remote_id text;
