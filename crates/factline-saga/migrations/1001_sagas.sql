-- What a process that runs over several aggregates knows. One transaction takes in an input: the
-- instance's next state, its commands and its timers, and what says that the input was taken.
create schema if not exists saga;

-- One row per instance, named after the stream that began it.
create table saga.instances (
    saga           text        not null,
    instance       text        not null,
    definition     int         not null,             -- the version that it began with and keeps
    state          jsonb       not null,
    status         text        not null check (status in ('running', 'needs_attention',
                                                          'completed', 'compensated')),
    attention      text,                             -- why it needs a person
    attention_told boolean     not null default false,
    patient        boolean     not null,             -- waits for somebody outside, however long
    correlation_id uuid        not null,             -- of the flow that began it
    traceparent    text,                             -- of the event that began it
    causation_id   uuid        not null,             -- the event behind its last input
    begun_at       timestamptz not null default now(),
    moved_at       timestamptz not null default now(),
    ended_at       timestamptz,
    primary key (saga, instance),
    check ((status = 'needs_attention') = (attention is not null))
) with (fillfactor = 70); -- each is written some dozen times and then never again
create index instances_open on saga.instances (saga, moved_at)
    where status in ('running', 'needs_attention');

-- What instances ask of others. A step is taken once in an instance's life: hence the key.
create table saga.commands (
    saga            text        not null,
    instance        text        not null,
    step            text        not null,
    definition      int         not null,
    key             uuid        not null,            -- by which whoever carries it out knows a repeat
    command         jsonb       not null,
    correlation_id  uuid        not null,
    traceparent     text,
    causation_id    uuid        not null,
    state           text        not null default 'due'
                                check (state in ('due', 'accepted', 'refused', 'skipped')),
    attempts        int         not null default 0,
    next_attempt_at timestamptz not null default now(),
    created_at      timestamptz not null default now(),
    answered_at     timestamptz,
    code            text,                            -- of the refusal
    detail          text,                            -- of the refusal, or why it is tried again
    primary key (saga, instance, step)
) with (fillfactor = 70);
create index commands_due on saga.commands (saga, next_attempt_at) where state = 'due';

-- Timers that run, by the database's clock.
create table saga.timers (
    saga         text        not null,
    instance     text        not null,
    timer        text        not null,
    due_at       timestamptz not null,
    causation_id uuid        not null,
    primary key (saga, instance, timer)
);
create index timers_due on saga.timers (saga, due_at);

-- What came for an instance that needs a person: the first one is what it has no answer to, the others
-- came later. In order.
create table saga.waiting_inputs (
    saga         text        not null,
    instance     text        not null,
    place        bigint      generated always as identity,
    input        jsonb       not null,
    causation_id uuid        not null,
    arrived_at   timestamptz not null default now(),
    primary key (saga, instance, place)
);

-- What operators asked for: who, what, when and why, and what became of it. Rows are never deleted:
-- this is the audit trail.
create table saga.operator_acts (
    id          bigint      generated always as identity primary key,
    asked_at    timestamptz not null default now(),
    who         text        not null check (who <> ''),
    act         text        not null check (act in ('retry', 'skip', 'compensate')),
    saga        text        not null,
    instance    text        not null,
    reason      text        not null check (reason <> ''),
    state       text        not null default 'asked' check (state in ('asked', 'done', 'refused')),
    outcome     text,                                -- for a person
    finished_at timestamptz
);
create index operator_acts_asked on saga.operator_acts (saga, id) where state = 'asked';
create index operator_acts_by_instance on saga.operator_acts (saga, instance, id);
