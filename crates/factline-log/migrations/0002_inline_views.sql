-- Views that are kept in the append's own transaction: how far each has come. With a view at work that is
-- the partition's last position; behind it are those that were not at work in the process that appended.
create table log.inline_checkpoints (
    view      text    not null,
    topic     text    not null references log.topics,
    partition integer not null,
    position  bigint  not null default 0,
    primary key (view, topic, partition)
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

grant select, insert, update on log.inline_checkpoints to factline_log_writer;

-- Their tables, which the services that have them make.
create schema inline;
grant usage on schema inline to factline_log_writer;
alter default privileges in schema inline
    grant select, insert, update, delete on tables to factline_log_writer;
