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

-- An event on its way into the log: what its writer says of it, and which place it takes among the
-- events that come into its partition with it, from 1.
create type log.new_event as (
    partition           integer,
    place               bigint,
    stream_id           text,
    version             bigint,
    event_id            uuid,
    schema_id           smallint,
    payload             bytea,
    correlation_id      uuid,
    causation_id        uuid,
    actor               text,
    traceparent         text,
    command_key         uuid,
    command_fingerprint bytea,
    occurred_at         timestamptz
);

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

-- Looks, under the locks of all the partitions that a batch touches, whether groups still fit: a group
-- does when its stream is exactly at the expected version and none of its keys is known. Gives the
-- places, from 1, of those that do not.
--
-- The looks are scalar subqueries with a limit because such a subquery is never turned into a join,
-- and they ask for an order that one index alone gives (a range leaves it open, an equality would
-- not): each is one probe of that index, also in a plan that was cached while the table was empty.
-- (As EXISTS, the planner took the primary key's prefix and read a whole partition for
-- every command: 300 commands a second instead of thousands.)
create function log.look(
    p_topic      text,
    p_partitions integer[],
    g_partition  integer[],
    g_stream_id  text[],
    g_expected   bigint[],
    k_group      integer[],
    k_key        uuid[]
) returns integer[] language plpgsql as $$
begin
    perform log.lock_heads(p_topic, p_partitions);
    -- A statement of its own, after the lock: a statement's snapshot is older than the locks that it
    -- takes itself.
    return (
        with groups as (
            select g.partition, g.stream_id, g.expected, g.ordinal::integer as ordinal
            from unnest(g_partition, g_stream_id, g_expected)
                 with ordinality as g (partition, stream_id, expected, ordinal)
        )
        select coalesce(array_agg(distinct r.ordinal), '{}')
        from (
            select g.ordinal from groups g
            where g.expected <> coalesce((
                      select e.version from log.events e
                      where e.topic = p_topic and e.partition = g.partition
                        and e.stream_id = g.stream_id
                      order by e.version desc limit 1), 0)
            union all
            select g.ordinal
            from unnest(k_group, k_key) as k (grp, key) join groups g on g.ordinal = k.grp
            where (select true from log.events e
                   where e.topic = p_topic and e.partition = g.partition
                     and e.command_key between k.key and k.key
                   order by e.command_key limit 1)
        ) r
    );
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
