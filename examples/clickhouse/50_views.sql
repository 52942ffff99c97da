-- Questions that come every day. Each view looks at all messages: ask it for less,
-- SELECT * FROM dnstap_rates WHERE minute > now() - INTERVAL 1 HOUR.

-- Messages, minute by minute, of each server.

CREATE VIEW IF NOT EXISTS dnstap_rates AS
SELECT
    toStartOfMinute(time) AS minute,
    identity,
    countIf(endsWith(type, '_QUERY')) AS queries,
    countIf(endsWith(type, '_RESPONSE')) AS responses,
    round(queries / 60, 1) AS queries_per_second
FROM dnstap
GROUP BY minute, identity
ORDER BY minute, identity;

-- The busiest names, without regard to case.

CREATE VIEW IF NOT EXISTS dnstap_names AS
SELECT
    lower(qname) AS name,
    count() AS messages,
    countIf(endsWith(type, '_QUERY')) AS queries,
    countIf(rcode = 'NXDOMAIN') AS nxdomain,
    uniq(client) AS clients
FROM dnstap
WHERE qname IS NOT NULL
GROUP BY name
ORDER BY messages DESC, name;

-- Clients whose questions are for names that do not exist.

CREATE VIEW IF NOT EXISTS dnstap_nxdomain AS
SELECT
    replaceRegexpOne(toString(client), '^::ffff:', '') AS client,
    count() AS responses,
    countIf(rcode = 'NXDOMAIN') AS nxdomain,
    round(100 * nxdomain / responses, 1) AS percent,
    uniqIf(lower(qname), rcode = 'NXDOMAIN') AS names
FROM dnstap
WHERE type IN ('CLIENT_RESPONSE', 'AUTH_RESPONSE', 'UPDATE_RESPONSE') AND client IS NOT NULL
GROUP BY client
HAVING nxdomain > 0
ORDER BY nxdomain DESC, client;

-- Milliseconds from query to response, of each server, where responses have both times.

CREATE VIEW IF NOT EXISTS dnstap_latency AS
SELECT
    identity,
    type,
    count() AS responses,
    round(quantile(0.5)(latency_ns) / 1e6, 3) AS median_ms,
    round(quantile(0.95)(latency_ns) / 1e6, 3) AS p95_ms,
    round(quantile(0.99)(latency_ns) / 1e6, 3) AS p99_ms,
    round(max(latency_ns) / 1e6, 3) AS longest_ms
FROM dnstap
WHERE latency_ns >= 0
GROUP BY identity, type
ORDER BY identity, type;
