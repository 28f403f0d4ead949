-- The plan of log.append is cached for arrays of any length, of which the planner thinks that they
-- have ten elements: it joined events to groups by nested loops, so that a batch of n commands read
-- n x n rows. At 512 commands that was five sixths of the server's work for an append; see
-- docs/benchmarks.md. The probes of the indexes are subqueries, which this setting does not touch.
alter function log.append set enable_nestloop to off;
