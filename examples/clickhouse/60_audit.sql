-- Whether all messages of handlers with `sequence=True` are there. Of each run, which is one handler
-- in one process: how many numbers up to the last are missing, and how many messages came again.
-- What a run lost behind its last message cannot be seen here.
--
-- Kafka delivers again what a consumer did not commit before it ended, so that doubles are no fault
-- of a handler. `dropped` is what the handler itself dropped before it numbered it.

CREATE VIEW IF NOT EXISTS dnstap_audit AS
SELECT
    sequence.run AS run,
    arrayStringConcat(arraySort(groupUniqArray(16)(identity)), ', ') AS identities,
    min(sequence.number) AS first,
    max(sequence.number) AS last,
    uniqExact(sequence.number) AS count,
    last - count AS missing,
    count() - count AS twice,
    max(sequence.dropped) AS dropped
FROM dnstap
WHERE sequence.run IS NOT NULL
GROUP BY run
ORDER BY run;
