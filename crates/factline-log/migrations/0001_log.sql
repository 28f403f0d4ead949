-- The log: append only, gapless positions per partition, one table that is also the outbox.
create schema log;

-- How many partitions a kind has. Fixed for ever: a stream's partition follows from it.
create table log.topics (
    topic      text primary key,
    partitions integer not null check (partitions between 1 and 1024)
);

-- The last position of each partition. Its row lock is what makes position order commit order.
-- Few rows, updated at every append: room on the page keeps the updates in place.
create table log.heads (
    topic     text    not null references log.topics,
    partition integer not null,
    position  bigint  not null default 0,
    primary key (topic, partition)
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Every schema that any event was ever written with: the store is readable without a registry.
create table log.schemas (
    schema_id smallint generated always as identity primary key,
    full_name text not null,
    json      text not null,
    unique (full_name, json)
);

create table log.events (
    topic               text        not null,
    partition           integer     not null,
    position            bigint      not null,
    stream_id           text        not null,
    version             bigint      not null,
    event_id            uuid        not null,
    schema_id           smallint    not null,
    payload             bytea       not null,
    correlation_id      uuid        not null,
    causation_id        uuid        not null,
    actor               text,
    traceparent         text,
    command_key         uuid,
    command_fingerprint bytea,
    occurred_at         timestamptz not null,
    recorded_at         timestamptz not null,
    primary key (topic, partition, position),
    unique (topic, partition, stream_id, version)
) with (fillfactor = 100);

-- A command's key stands on the first event that it wrote.
create unique index events_command_key on log.events (topic, partition, command_key)
    where command_key is not null;

-- A cache: any of them may be deleted at any time. Every snapshot of a stream is kept, not only the
-- last: a command that is repeated late is answered from the last snapshot before it, however long
-- the stream has grown since.
create table log.snapshots (
    topic         text        not null,
    stream_id     text        not null,
    version       bigint      not null,
    state_version integer     not null,
    state         jsonb       not null,
    created_at    timestamptz not null default now(),
    primary key (topic, stream_id, version)
);

-- The last position of each partition that Kafka acknowledged.
create table log.relay_cursors (
    topic     text    not null,
    partition integer not null,
    position  bigint  not null default 0,
    primary key (topic, partition)
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Locks the heads of some partitions until the transaction ends, always in the same order, and says
-- where they are.
create function log.lock_heads(p_topic text, p_partitions integer[])
returns table (partition integer, "position" bigint)
language sql as $$
    select h.partition, h.position from log.heads h
    where h.topic = p_topic and h.partition = any (p_partitions)
    order by h.partition
    for update
$$;

-- Appends groups of events, each group whole or not at all, and says which were not taken.
--
-- A group is what a batch holds for one stream: the version that its events were decided on, and its
-- events in order, each command's key on its first one. A key of a command without events is in
-- k_key. A group is taken when the stream is exactly at the expected version and none of its keys is
-- known; a group without events is only checked.
--
-- The table's unique indexes hold both conditions for whatever is inserted, so events are looked up
-- beforehand only if the caller says so (p_probe). Without it, one stream that has moved or one key
-- that is known fails the whole call with unique_violation, nothing is written, and the caller calls
-- again with p_probe. What inserts nothing is always looked up.
--
-- Positions go to the taken events in the order of the arrays, partition by partition, from the one
-- after `positions`, which are the heads as they were, one for each of `partitions`.
--
-- The probes are scalar subqueries with a limit because such a subquery is never turned into a join,
-- and they ask for an order that one index alone gives (a range leaves it open, an equality would
-- not): each is one probe of that index, also in a plan that was cached while the table was empty.
-- (As EXISTS, the planner took the primary key's prefix and read a whole partition for
-- every command: 300 commands a second instead of thousands.) The joins are of arrays, of which the
-- planner thinks that they have ten elements; a nested loop would read n x n for n of them.
create function log.append(
    p_topic         text,
    p_probe         boolean,
    g_partition     integer[],
    g_stream_id     text[],
    g_expected      bigint[],
    k_group         integer[],
    k_key           uuid[],
    e_group         integer[],
    e_version       bigint[],
    e_event_id      uuid[],
    e_schema_id     smallint[],
    e_payload       bytea[],
    e_correlation   uuid[],
    e_causation     uuid[],
    e_actor         text[],
    e_traceparent   text[],
    e_command_key   uuid[],
    e_fingerprint   bytea[],
    e_occurred_at   timestamptz[],
    out recorded    timestamptz,
    out partitions  integer[],
    out positions   bigint[],
    out refused     integer[]
) language plpgsql set enable_nestloop to off as $$
begin
    select array_agg(h.partition), array_agg(h.position) into partitions, positions
    from log.lock_heads(p_topic, g_partition) h;
    recorded := clock_timestamp();
    refused := '{}';

    -- A statement of its own, after the lock: a statement's snapshot is older than the locks that it
    -- takes itself.
    if p_probe or cardinality(k_key) > 0 then
        with groups as (
            select g.partition, g.stream_id, g.expected, g.ordinal::integer as ordinal
            from unnest(g_partition, g_stream_id, g_expected)
                 with ordinality as g (partition, stream_id, expected, ordinal)
        ), keys as (
            select k.grp, k.key from unnest(k_group, k_key) as k (grp, key)
            union all
            select e.grp, e.key from unnest(e_group, e_command_key) as e (grp, key)
            where p_probe and e.key is not null
        )
        select coalesce(array_agg(distinct r.ordinal), '{}') into refused
        from (
            select g.ordinal from groups g
            where (p_probe or g.ordinal not in (select unnest(e_group)))
              and g.expected <> coalesce((
                      select e.version from log.events e
                      where e.topic = p_topic and e.partition = g.partition
                        and e.stream_id = g.stream_id
                      order by e.version desc limit 1), 0)
            union all
            select g.ordinal from keys k join groups g on g.ordinal = k.grp
            where (select true from log.events e
                   where e.topic = p_topic and e.partition = g.partition
                     and e.command_key between k.key and k.key
                   order by e.command_key limit 1)
        ) r;
    end if;

    with inserted as (
        insert into log.events (topic, partition, position, stream_id, version, event_id, schema_id,
                payload, correlation_id, causation_id, actor, traceparent, command_key,
                command_fingerprint, occurred_at, recorded_at)
        select p_topic, g.partition,
               h.position + row_number() over (partition by g.partition order by e.ordinal),
               g.stream_id, e.version, e.event_id, e.schema_id, e.payload, e.correlation_id,
               e.causation_id, e.actor, e.traceparent, e.command_key, e.fingerprint,
               e.occurred_at, recorded
        from unnest(e_group, e_version, e_event_id, e_schema_id, e_payload, e_correlation,
                    e_causation, e_actor, e_traceparent, e_command_key, e_fingerprint, e_occurred_at)
             with ordinality as e (in_group, version, event_id, schema_id, payload, correlation_id,
                    causation_id, actor, traceparent, command_key, fingerprint, occurred_at, ordinal)
        join unnest(g_partition, g_stream_id)
             with ordinality as g (partition, stream_id, ordinal) on g.ordinal = e.in_group
        join unnest(partitions, positions) as h (partition, position) on h.partition = g.partition
        where e.in_group not in (select unnest(refused))
        order by g.partition, e.ordinal
        returning events.partition
    )
    update log.heads h set position = h.position + i.events
    from (select partition, count(*) as events from inserted group by partition) i
    where h.topic = p_topic and h.partition = i.partition;
end
$$;

-- The roles: the owner migrates; the writer appends and can never change history; the reader
-- reads. Roles belong to the whole server, so another database of it may have made them already.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['factline_log_writer', 'factline_log_reader'] loop
        begin
            execute format('create role %I login', v_role);
        exception when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;

grant usage on schema log to factline_log_writer, factline_log_reader;
grant select on all tables in schema log to factline_log_writer;
grant select on log.events, log.schemas, log.topics, log.heads to factline_log_reader;
grant insert on log.events, log.schemas to factline_log_writer;
grant update (position) on log.heads to factline_log_writer;
grant insert, update, delete on log.snapshots to factline_log_writer;
grant insert, update on log.relay_cursors to factline_log_writer;
