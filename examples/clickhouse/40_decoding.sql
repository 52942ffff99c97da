-- From payloads to messages. The DNS message in each is decoded here: nothing that a sender puts
-- into it raises an error, for that would stop the reading of the topic. What cannot be read is NULL.

CREATE MATERIALIZED VIEW IF NOT EXISTS dnstap_unreadable_view TO dnstap_unreadable AS
SELECT
    if(given.error = '', 'not a message of dnstap', given.error) AS error,
    payload
FROM dnstap_payloads AS given
WHERE given.error != '' OR ifNull(given.type, 0) != 1 OR message.type IS NULL;

-- Read it from the innermost query outwards: each finds what the next one needs, once.

CREATE MATERIALIZED VIEW IF NOT EXISTS dnstap_view TO dnstap AS
SELECT
    fromUnixTimestamp64Nano(if(is_query, coalesce(asked, answered), coalesce(answered, asked)), 'UTC') AS time,
    identity_text AS identity,
    version_text AS version,
    dnstap_message_type(kind) AS type,
    client,
    client_port,
    server,
    server_port,
    family,
    protocol,
    http,
    if(length(wire) >= 2, dnstap_u16(wire, 1), NULL) AS id,
    if(has_header, dnstap_opcode(bitAnd(bitShiftRight(bits, 11), 15)), NULL) AS opcode,
    if(has_question,
       if(empty(labels), '.', concat(arrayStringConcat(arrayMap(label -> dnstap_escaped(label), labels), '.'), '.')),
       NULL) AS qname,
    if(has_question, dnstap_class(dnstap_u16(wire, after_name + 2)), NULL) AS qclass,
    if(has_question, dnstap_type(dnstap_u16(wire, after_name)), NULL) AS qtype,
    if(has_rcode,
       dnstap_rcode(header_rcode + if(has_edns AND is_response, reinterpretAsUInt8(substring(opt, 3)) * 16, 0)),
       NULL) AS rcode,
    if(has_header,
       trimRight(concat(bitTest(bits, 15) ? 'qr ' : '', bitTest(bits, 10) ? 'aa ' : '', bitTest(bits, 9) ? 'tc ' : '',
              bitTest(bits, 8) ? 'rd ' : '', bitTest(bits, 7) ? 'ra ' : '', bitTest(bits, 6) ? 'z ' : '',
              bitTest(bits, 5) ? 'ad ' : '', bitTest(bits, 4) ? 'cd ' : '')),
       NULL) AS flags,
    if(has_header, answer_count, NULL) AS answers,
    if(has_message, toUInt32(length(wire)), NULL) AS size,
    (if(has_edns, reinterpretAsUInt8(substring(opt, 4)), NULL),
     if(has_edns, dnstap_u16(opt, 1), NULL),
     if(has_edns, bitTest(dnstap_u16(opt, 5), 15), NULL),
     if(options.3 = 0, options.2, [])) AS edns,
    if(is_query, NULL, answered - asked) AS latency_ns,
    policy_text AS policy,
    extra_text AS extra,
    (nullIf(numbered[1], ''), toUInt64OrNull(numbered[2]), toUInt64OrNull(numbered[3])) AS sequence
FROM
(
    -- The options of EDNS.
    SELECT
        *,
        found.4 AS opt,
        length(opt) >= 8 AS has_edns,
        arrayFold(
            (rest, step) -> dnstap_next_option(rest),
            range(least(intDiv(length(opt), 4), 64)),
            (substring(opt, 9), CAST([], 'Array(UInt16)'), toUInt8(0))) AS options
    FROM
    (
        -- EDNS (RFC 6891). It is looked for in 4,096 octets behind the question, and in as many steps
        -- as there are records and some labels of their names.
        SELECT
            * EXCEPT name,
            name.2 AS labels,
            13 + length(name_octets) - length(name.1) AS after_name,
            name.3 = 1 AND length(wire) >= after_name + 3 AS has_question,
            has_header AND records > 0 AND (questions = 0 OR questions = 1 AND has_question) AS may_have_edns,
            arrayFold(
                (rest, step) -> dnstap_next_record(rest),
                range(if(may_have_edns, least(records + 32, 128), 0)),
                (if(may_have_edns, substring(wire, if(questions = 0, 13, after_name + 4), 4096), ''),
                 toInt32(records), toUInt8(0), '')) AS found
        FROM
        (
            -- The name of the first question, if the steps before were too few: a label may have the
            -- octet 0 in it.
            SELECT
                * EXCEPT most_of_name,
                arrayFold(
                    (name, step) -> dnstap_next_label(name),
                    range(if(has_header AND questions > 0 AND most_of_name.3 = 0, 128, 0)),
                    most_of_name) AS name
            FROM
            (
                -- That name, in as many steps as the first octet 0 allows. There is no compression in
                -- it: nothing is before it that a pointer could point to.
                SELECT
                    *,
                    substring(wire, 13, 255) AS name_octets,
                    arrayFold(
                        (name, step) -> dnstap_next_label(name),
                        range(if(has_header AND questions > 0, intDiv(position(name_octets, '\0'), 2) + 1, 0)),
                        (name_octets, CAST([], 'Array(String)'), toUInt8(0))) AS most_of_name
                FROM
                (
                    -- The fields of the payload, and the header of the DNS message (RFC 1035, 4.1.1).
                    SELECT
                        ifNull(message.type, 0) AS kind,
                        bitTest(kind, 0) = 1 AS is_query,
                        dnstap_nanoseconds(message.query_time_sec, ifNull(message.query_time_nsec, 0)) AS asked,
                        dnstap_nanoseconds(message.response_time_sec, ifNull(message.response_time_nsec, 0)) AS answered,
                        message.query_message AS query_message,
                        message.response_message AS response_message,
                        if(is_query, coalesce(query_message, response_message),
                           coalesce(response_message, query_message)) AS own,
                        own IS NOT NULL AS has_message,
                        ifNull(own, '') AS wire,
                        length(wire) >= 12 AS has_header,
                        dnstap_u16(wire, 3) AS bits,
                        dnstap_u16(wire, 5) AS questions,
                        dnstap_u16(wire, 7) AS answer_count,
                        toUInt32(answer_count) + dnstap_u16(wire, 9) + dnstap_u16(wire, 11) AS records,
                        length(ifNull(response_message, '')) >= 12 AS has_rcode,
                        bitAnd(dnstap_u16(ifNull(response_message, ''), 3), 15) AS header_rcode,
                        NOT is_query OR query_message IS NULL AS is_response,
                        dnstap_text(given.identity) AS identity_text,
                        dnstap_text(given.version) AS version_text,
                        dnstap_text(given.extra) AS extra_text,
                        extractGroups(ifNull(given.extra, ''),
                            '(?:^| )seq=([0-9a-f]{16})/([1-9][0-9]{0,18})/(0|[1-9][0-9]{0,18})$') AS numbered,
                        dnstap_address(message.query_address) AS client,
                        if(message.query_port < 65536, toUInt16(message.query_port), NULL) AS client_port,
                        dnstap_address(message.response_address) AS server,
                        if(message.response_port < 65536, toUInt16(message.response_port), NULL) AS server_port,
                        dnstap_family(message.socket_family) AS family,
                        dnstap_protocol(message.socket_protocol) AS protocol,
                        dnstap_http(message.http_protocol) AS http,
                        (dnstap_text(message.policy.type), dnstap_text(message.policy.rule),
                         dnstap_policy_action(message.policy.action), dnstap_policy_match(message.policy.match),
                         dnstap_text(message.policy.value)) AS policy_text
                    FROM dnstap_payloads AS given
                    WHERE given.error = '' AND given.type = 1 AND message.type IS NOT NULL
                )
            )
        )
    )
);
