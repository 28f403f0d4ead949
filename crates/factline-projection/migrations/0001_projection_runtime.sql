-- What a projection knows about its own progress. Lives in the database of the views that it
-- writes, because progress and effect are one transaction.
create schema if not exists projection;

-- How far each projection has come. One row a partition; moved by compare-and-set alone.
create table projection.checkpoints (
    projection  text        not null,
    topic       text        not null,
    partition   int         not null,
    position    bigint      not null default 0,   -- the last event that has had its effect
    next_offset bigint,                           -- where to go on reading; null: nothing read yet
    partitions  int         not null,             -- of the topic, when this row was made
    recorded_at timestamptz,                      -- of the event at `position`
    updated_at  timestamptz not null default now(),
    primary key (projection, topic, partition)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
-- Few rows, each updated with every batch: room on the page keeps the updates heap-only.

-- Batches in hand, of which nobody could tell if their process ended: the first one of an assignment, and
-- each one after a process has ended so. A row that nobody works at says that a process did.
create table projection.attempts (
    projection text   not null,
    topic      text   not null,
    partition  int    not null,
    position   bigint not null,                   -- the checkpoint that the batch begins at
    attempts   int    not null,                   -- how many have begun there
    primary key (projection, topic, partition)
);

-- Which events have had their effect. An id is inserted in the transaction of the effect. The id comes
-- first in the key: it grows with time and compares faster than a name.
create table projection.processed_events (
    projection   text        not null,
    event_id     uuid        not null,
    processed_at timestamptz not null default now(),
    primary key (event_id, projection)
);

-- Ids below this one are not kept there: such an event counts as one that has had its effect. One row.
create table projection.forgotten (below uuid not null);
create unique index forgotten_is_one_row on projection.forgotten ((true));
insert into projection.forgotten values ('00000000-0000-0000-0000-000000000000');

-- Streams that stand still because one of their events could not be applied.
create table projection.parked_streams (
    projection     text        not null,
    topic          text        not null,
    stream_id      text        not null,
    code           text        not null,
    detail         text        not null,
    fingerprint    text        not null,          -- equal for failures that look alike
    first_position bigint      not null,
    parked_at      timestamptz not null default now(),
    primary key (projection, topic, stream_id)
);

-- The poisoned event of each parked stream and every later one of it, as they came.
create table projection.parked_events (
    projection    text        not null,
    topic         text        not null,
    partition     int         not null,
    position      bigint      not null,
    stream_id     text        not null,
    version       bigint      not null,
    event_id      uuid        not null,
    event_type    text        not null,
    record_offset bigint,                         -- null: refilled from the log's history
    record_at_ms  bigint,
    record_key    bytea,
    record_value  bytea,
    header_names  text[]      not null,
    header_values bytea[]     not null,
    schema_json   text,                           -- with history alone, whose value is a bare datum
    code          text        not null,
    detail        text        not null,
    attempts      int         not null default 1,
    parked_at     timestamptz not null default now(),
    exported_at   timestamptz,
    primary key (projection, topic, partition, position)
);
create index parked_events_by_stream
    on projection.parked_events (projection, topic, stream_id, version);
create index parked_events_to_export
    on projection.parked_events (projection) where exported_at is null;

-- Records that are no event of ours: nothing says which stream or position they have.
create table projection.foreign_records (
    projection    text        not null,
    topic         text        not null,
    partition     int         not null,
    record_offset bigint      not null,
    record_at_ms  bigint,
    record_key    bytea,
    record_value  bytea,
    header_names  text[]      not null,
    header_values bytea[]     not null,
    code          text        not null,
    detail        text        not null,
    seen_at       timestamptz not null default now(),
    exported_at   timestamptz,
    primary key (projection, topic, partition, record_offset)
);
create index foreign_records_to_export
    on projection.foreign_records (projection) where exported_at is null;

-- What operators asked for: who, what, when and why, and what became of it. A projector's process
-- carries out what is asked; rows are never deleted by it, so this is the audit trail.
create table projection.operator_acts (
    id          bigint      generated always as identity primary key,
    asked_at    timestamptz not null default now(),
    who         text        not null check (who <> ''),
    act         text        not null check (act in ('retry', 'skip')),
    projection  text        not null,
    topic       text        not null,
    stream_id   text        not null,
    position    bigint,                           -- of the event to skip
    reason      text,
    dry_run     boolean     not null default false,
    attempts    int         not null default 0,   -- processes that have begun it and have not ended it
    state       text        not null default 'asked'
                            check (state in ('asked', 'done', 'refused')),
    outcome     jsonb,
    finished_at timestamptz,
    check (act = 'retry' or (position is not null and not dry_run)),
    check (act = 'retry' or (reason is not null and reason <> ''))
);
create index operator_acts_asked on projection.operator_acts (projection, id) where state = 'asked';

-- Where operators let a projection begin: the events behind `was` up to `after` have no effect in it.
-- Rows are never deleted: this is the audit trail, and tells a left-out event from a fork.
create table projection.beginnings (
    id         bigint      generated always as identity primary key,
    begun_at   timestamptz not null default now(),
    who        text        not null check (who <> ''),
    reason     text        not null check (reason <> ''),
    projection text        not null,
    topic      text        not null,
    partition  int         not null,
    was        bigint      not null,
    after      bigint      not null check (after >= was)
);
create index beginnings_by_place on projection.beginnings (projection, topic, partition);

-- Rebuilds of views: who asked for which and why, and what became of it. A process of the projector
-- carries out what is asked; rows are never deleted by it, so this is the audit trail.
create table projection.rebuilds (
    id                bigint      generated always as identity primary key,
    asked_at          timestamptz not null default now(),
    who               text        not null check (who <> ''),
    reason            text        not null check (reason <> ''),
    projection        text        not null,
    begins_with       text        not null default 'nothing'
                                  check (begins_with in ('nothing', 'previous')),  -- a rollback
    events_per_second int         check (events_per_second > 0),   -- null: as fast as it goes
    accept_difference boolean     not null default false,
    state             text        not null default 'asked'
                                  check (state in ('asked', 'building', 'ready', 'switched',
                                                   'cancelled', 'failed', 'rolled_back')),
    wish              text        check (wish in ('switch', 'cancel', 'drop_previous')), -- not yet done
    said              jsonb       not null default '[]',  -- every wish: what, who, when, why
    began_with        bigint      not null default 0,     -- events that the table had in it already
    started_at        timestamptz,
    finished_at       timestamptz,
    heads             jsonb,                              -- positions at which the tables were compared
    difference        jsonb,                              -- what the comparison found
    waiting           text,                               -- what it cannot go on without
    error             text
);
create unique index rebuilds_one_at_a_time
    on projection.rebuilds (projection) where state in ('asked', 'building', 'ready');

-- How far a table beside the live one has come. `projection` is NAME/next for the one that is being
-- built and NAME/previous for the one that is kept; parked rows of theirs are under these names too.
create table projection.rebuild_positions (
    projection text   not null,
    topic      text   not null,
    partition  int    not null,
    position   bigint not null default 0,
    primary key (projection, topic, partition)
);

-- The registry's answers, so that its outage does not stop a restart.
create table projection.known_schemas (
    id   bigint primary key,
    json text   not null
);
