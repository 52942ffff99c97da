-- Payloads, with their fields as in dnstap.proto. Nothing is kept here: the views of
-- 40_decoding.sql take what is inserted, whether it comes from Kafka (70_kafka.sql) or from a file:
--
--     INSERT INTO dnstap_payloads FROM INFILE 'dns.pb'
--     SETTINGS format_schema = 'dnstap.proto:Dnstap' FORMAT Protobuf
--
-- where `dnstap-logging read --protobuf dns.pb dns.fstrm` wrote the file. Enumerators are numbers,
-- since a later dnstap.proto may have others; ports and times are as large as a sender makes them.

CREATE TABLE IF NOT EXISTS dnstap_payloads
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
        http_protocol Nullable(Int64)),
    error String,
    payload String
)
ENGINE = Null;
