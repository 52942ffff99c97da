-- The table of messages. Columns are named as those of `dnstap-logging read --parquet`
-- (docs/reference/columns.md); what a message does not say is NULL.
--
-- Times come from the senders, and one with a wrong clock must not make a partition for each of its
-- days: so the table is cut, and forgets, by the time at which a row was written here.

CREATE TABLE IF NOT EXISTS dnstap
(
    time Nullable(DateTime64(9, 'UTC')),
    identity LowCardinality(Nullable(String)),
    version LowCardinality(Nullable(String)),
    type LowCardinality(String),
    client Nullable(IPv6),
    client_port Nullable(UInt16),
    server Nullable(IPv6),
    server_port Nullable(UInt16),
    family LowCardinality(Nullable(String)),
    protocol LowCardinality(Nullable(String)),
    http LowCardinality(Nullable(String)),
    id Nullable(UInt16),
    opcode LowCardinality(Nullable(String)),
    qname Nullable(String),
    qclass LowCardinality(Nullable(String)),
    qtype LowCardinality(Nullable(String)),
    rcode LowCardinality(Nullable(String)),
    flags LowCardinality(Nullable(String)),
    answers Nullable(UInt16),
    size Nullable(UInt32),
    edns Tuple(version Nullable(UInt8), udp_size Nullable(UInt16), dnssec_ok Nullable(Bool), options Array(UInt16)),
    latency_ns Nullable(Int64),
    policy Tuple(type Nullable(String), rule Nullable(String), action Nullable(String), match Nullable(String), value Nullable(String)),
    extra Nullable(String),
    sequence Tuple(run Nullable(String), number Nullable(UInt64), dropped Nullable(UInt64)),
    written DateTime DEFAULT now()
)
ENGINE = MergeTree
PARTITION BY toDate(written)
ORDER BY time
TTL written + INTERVAL 30 DAY
SETTINGS allow_nullable_key = 1, ttl_only_drop_parts = 1;

-- What is no dnstap message, as it came, and why.

CREATE TABLE IF NOT EXISTS dnstap_unreadable
(
    written DateTime DEFAULT now(),
    error String,
    payload String
)
ENGINE = MergeTree
ORDER BY written
TTL written + INTERVAL 30 DAY;
