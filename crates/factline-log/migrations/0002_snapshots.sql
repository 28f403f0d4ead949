-- Every snapshot of a stream is kept, not only the last: a command that is repeated late is answered
-- from the last snapshot before it, however long the stream has grown since. Still a cache: any of
-- them may be deleted at any time.
alter table log.snapshots drop constraint snapshots_pkey;
alter table log.snapshots add primary key (topic, stream_id, version);
