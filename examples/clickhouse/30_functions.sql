-- Functions that 40_decoding.sql is written with. Strings are octets; positions count from 1.

CREATE FUNCTION IF NOT EXISTS dnstap_u16 AS (octets, place) ->
    reinterpretAsUInt16(reverse(substring(octets, place, 2)));

-- A label as text (RFC 1035, 5.1): an octet that is not printable ASCII is \DDD, and what means
-- something in a zone file has a backslash before it.

CREATE FUNCTION IF NOT EXISTS dnstap_escaped AS (label) ->
    if(isValidUTF8(label) AND match(label, '^[!#%&\'*-:<-?A-\\[\\]-~]*$') AND position(label, '.') = 0,
       label,
       arrayStringConcat(arrayMap(
           octet -> multiIf(
               position('."$();@\\', octet) > 0, concat('\\', octet),
               reinterpretAsUInt8(octet) BETWEEN 33 AND 126, octet,
               concat('\\', leftPad(toString(reinterpretAsUInt8(octet)), 3, '0'))),
           arrayMap(place -> substring(label, place, 1), range(1, length(label) + 1)))));

-- An address of 4 or 16 octets; others are not known.

CREATE FUNCTION IF NOT EXISTS dnstap_address AS (octets) ->
    if(length(octets) IN (4, 16),
       CAST(toFixedString(
           multiIf(length(octets) = 4, concat(unhex('00000000000000000000FFFF'), octets),
                   length(octets) = 16, octets,
                   repeat('\0', 16)), 16) AS IPv6),
       NULL);

-- Nanoseconds since 1970; NULL where a DateTime64(9) cannot hold them.

CREATE FUNCTION IF NOT EXISTS dnstap_nanoseconds AS (seconds, nanoseconds) ->
    if(seconds < 9223372036 AND nanoseconds < 1000000000,
       toInt64(seconds) * 1000000000 + toInt64(nanoseconds),
       NULL);

-- Text as it was logged; empty is none.

CREATE FUNCTION IF NOT EXISTS dnstap_text AS (octets) -> nullIf(toValidUTF8(octets), '');

-- Steps of the folds over a DNS message, each in a state: 0: goes on, 1: came to its end, 2: cannot
-- be read. What is left of the octets is part of what they hand on, and nothing else of the message:
-- a fold copies all else that it uses for every step.

-- A label taken off a name: what is left, the labels, the state.

CREATE FUNCTION IF NOT EXISTS dnstap_next_label AS (name) ->
    multiIf(
        name.3 != 0, name,
        name.1 = '', (name.1, name.2, toUInt8(2)),
        reinterpretAsUInt8(name.1) = 0, (substring(name.1, 2), name.2, toUInt8(1)),
        reinterpretAsUInt8(name.1) > least(63, length(name.1) - 1), (name.1, name.2, toUInt8(2)),
        (substring(name.1, reinterpretAsUInt8(name.1) + 2),
         arrayPushBack(name.2, substring(name.1, 2, reinterpretAsUInt8(name.1))),
         toUInt8(0)));

-- A label of an owner's name, or the rest of a record: what is left, how many records, the state,
-- and of an OPT record all behind its type.

CREATE FUNCTION IF NOT EXISTS dnstap_next_record AS (rest) ->
    multiIf(
        rest.3 != 0, rest,
        rest.1 = '' OR rest.2 = 0, ('', rest.2, toUInt8(2), ''),
        reinterpretAsUInt8(rest.1) BETWEEN 1 AND 63,
            (substring(rest.1, reinterpretAsUInt8(rest.1) + 2), rest.2, toUInt8(0), ''),
        reinterpretAsUInt8(rest.1) BETWEEN 64 AND 191, ('', rest.2, toUInt8(2), ''),
        reinterpretAsUInt8(rest.1) = 0 AND dnstap_u16(rest.1, 2) = 41
                AND length(rest.1) >= 11 + dnstap_u16(rest.1, 10),
            ('', rest.2, toUInt8(1), substring(rest.1, 4, 8 + dnstap_u16(rest.1, 10))),
        (substring(rest.1, if(reinterpretAsUInt8(rest.1) = 0, 12, 13)
            + dnstap_u16(rest.1, if(reinterpretAsUInt8(rest.1) = 0, 10, 11))),
         toInt32(rest.2 - 1), toUInt8(0), ''));

-- An option of EDNS (RFC 6891, 6.1.2): what is left, the codes, the state.

CREATE FUNCTION IF NOT EXISTS dnstap_next_option AS (rest) ->
    if(
        length(rest.1) < 4 OR rest.3 != 0, rest,
        (substring(rest.1, 5 + dnstap_u16(rest.1, 3)), arrayPushBack(rest.2, dnstap_u16(rest.1, 1)),
         toUInt8(length(rest.1) < 4 + dnstap_u16(rest.1, 3))));

-- The names of numbers, from dnstap.proto and from IANA's registry of DNS parameters.

CREATE FUNCTION IF NOT EXISTS dnstap_message_type AS (number) -> transform(number,
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
    ['AUTH_QUERY', 'AUTH_RESPONSE', 'RESOLVER_QUERY', 'RESOLVER_RESPONSE',
     'CLIENT_QUERY', 'CLIENT_RESPONSE', 'FORWARDER_QUERY', 'FORWARDER_RESPONSE',
     'STUB_QUERY', 'STUB_RESPONSE', 'TOOL_QUERY', 'TOOL_RESPONSE', 'UPDATE_QUERY',
     'UPDATE_RESPONSE'],
    concat('TYPE', toString(number)));

CREATE FUNCTION IF NOT EXISTS dnstap_family AS (number) -> transform(number,
    [1, 2],
    ['INET', 'INET6'],
    concat('FAMILY', toString(number)));

CREATE FUNCTION IF NOT EXISTS dnstap_protocol AS (number) -> transform(number,
    [1, 2, 3, 4, 5, 6, 7],
    ['UDP', 'TCP', 'DOT', 'DOH', 'DNSCryptUDP', 'DNSCryptTCP', 'DOQ'],
    concat('PROTOCOL', toString(number)));

CREATE FUNCTION IF NOT EXISTS dnstap_http AS (number) -> transform(number,
    [1, 2, 3],
    ['HTTP1', 'HTTP2', 'HTTP3'],
    concat('HTTP_PROTOCOL', toString(number)));

CREATE FUNCTION IF NOT EXISTS dnstap_policy_action AS (number) -> transform(number,
    [1, 2, 3, 4, 5, 6],
    ['NXDOMAIN', 'NODATA', 'PASS', 'DROP', 'TRUNCATE', 'LOCAL_DATA'],
    concat('ACTION', toString(number)));

CREATE FUNCTION IF NOT EXISTS dnstap_policy_match AS (number) -> transform(number,
    [1, 2, 3, 4, 5],
    ['QNAME', 'CLIENT_IP', 'RESPONSE_IP', 'NS_NAME', 'NS_IP'],
    concat('MATCH', toString(number)));

CREATE FUNCTION IF NOT EXISTS dnstap_opcode AS (number) -> transform(number,
    [0, 1, 2, 4, 5, 6],
    ['QUERY', 'IQUERY', 'STATUS', 'NOTIFY', 'UPDATE', 'DSO'],
    concat('OPCODE', toString(number)));

CREATE FUNCTION IF NOT EXISTS dnstap_class AS (number) -> transform(number,
    [1, 3, 4, 254, 255],
    ['IN', 'CH', 'HS', 'NONE', 'ANY'],
    concat('CLASS', toString(number)));

CREATE FUNCTION IF NOT EXISTS dnstap_type AS (number) -> transform(number,
    [1, 2, 5, 6, 12, 13, 15, 16, 17, 24, 25, 28, 29, 33, 35, 37, 39, 41, 43, 44, 45, 46,
     47, 48, 49, 50, 51, 52, 53, 55, 59, 60, 61, 62, 63, 64, 65, 99, 108, 109, 249, 250,
     251, 252, 255, 256, 257],
    ['A', 'NS', 'CNAME', 'SOA', 'PTR', 'HINFO', 'MX', 'TXT', 'RP', 'SIG', 'KEY', 'AAAA',
     'LOC', 'SRV', 'NAPTR', 'CERT', 'DNAME', 'OPT', 'DS', 'SSHFP', 'IPSECKEY', 'RRSIG',
     'NSEC', 'DNSKEY', 'DHCID', 'NSEC3', 'NSEC3PARAM', 'TLSA', 'SMIMEA', 'HIP', 'CDS',
     'CDNSKEY', 'OPENPGPKEY', 'CSYNC', 'ZONEMD', 'SVCB', 'HTTPS', 'SPF', 'EUI48',
     'EUI64', 'TKEY', 'TSIG', 'IXFR', 'AXFR', 'ANY', 'URI', 'CAA'],
    concat('TYPE', toString(number)));

CREATE FUNCTION IF NOT EXISTS dnstap_rcode AS (number) -> transform(number,
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23],
    ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED', 'YXDOMAIN',
     'YXRRSET', 'NXRRSET', 'NOTAUTH', 'NOTZONE', 'DSOTYPENI', 'BADVERS', 'BADKEY',
     'BADTIME', 'BADMODE', 'BADNAME', 'BADALG', 'BADTRUNC', 'BADCOOKIE'],
    concat('RCODE', toString(number)));
