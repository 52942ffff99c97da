-- The topic that handlers with kafka:// addresses write to. It is read as soon as the view is there,
-- so this file is the last one.
--
-- Write your brokers and topic here. A client may also give them with the CREATE TABLE statement, as
-- the parameters `brokers` and `topic` (over HTTP: ?param_brokers=...): these win over SET.
-- dnstap.proto has to be in the server's format_schemas folder.

SET param_brokers = 'localhost:9092';
SET param_topic = 'dnstap';

CREATE TABLE IF NOT EXISTS dnstap_kafka
(
    identity Nullable(String),
    version Nullable(String),
    extra Nullable(String),
    type Nullable(Int64),
    message Tuple(
        type Nullable(Int64),
        socket_family Nullable(Int64),
        socket_protocol Nullable(Int64),
        query_address Nullable(String),
        response_address Nullable(String),
        query_port Nullable(UInt64),
        response_port Nullable(UInt64),
        query_time_sec Nullable(UInt64),
        query_time_nsec Nullable(UInt32),
        query_message Nullable(String),
        response_time_sec Nullable(UInt64),
        response_time_nsec Nullable(UInt32),
        response_message Nullable(String),
        policy Tuple(
            type Nullable(String),
            rule Nullable(String),
            action Nullable(Int64),
            match Nullable(Int64),
            value Nullable(String)),
        http_protocol Nullable(Int64))
)
ENGINE = Kafka({brokers:String}, {topic:String}, 'clickhouse', 'ProtobufSingle')
SETTINGS
    kafka_schema = 'dnstap.proto:Dnstap',
    -- A record that cannot be read is a row with an error instead of the end of the reading.
    kafka_handle_error_mode = 'stream',
    -- Milliseconds after which what has come is written, if no block is full before.
    kafka_flush_interval_ms = 3000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dnstap_kafka_view TO dnstap_payloads AS
SELECT identity, version, extra, type, message, _error AS error, _raw_message AS payload
FROM dnstap_kafka;
