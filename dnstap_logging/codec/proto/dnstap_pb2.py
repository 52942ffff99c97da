# Made by tools/generate_proto.py from dnstap.proto. Do not edit: run `make proto`.
"""The message classes and enums of dnstap.proto.

They live in a descriptor pool of their own and are not in protobuf's symbol database, so that
another package's dnstap schema can be imported too, before or after.
"""

from google.protobuf import descriptor_pool as _descriptor_pool
from google.protobuf import message_factory as _message_factory
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper

_POOL = _descriptor_pool.DescriptorPool()

DESCRIPTOR = _POOL.AddSerializedFile(
    b'\n\x0cdnstap.proto\x12\x06'
    b'dnstap"\x94\x01\n\x06Dnsta'
    b'p\x12\x10\n\x08identity\x18\x01 '
    b'\x01(\x0c\x12\x0f\n\x07version\x18\x02'
    b' \x01(\x0c\x12\r\n\x05extra\x18\x03 '
    b'\x01(\x0c\x12!\n\x04type\x18\x0f \x02('
    b'\x0e2\x13.dnstap.Dnsta'
    b'p.Type\x12 \n\x07messag'
    b'e\x18\x0e \x01(\x0b2\x0f.dnstap'
    b'.Message"\x13\n\x04Type'
    b'\x12\x0b\n\x07MESSAGE\x10\x01"\xa1\x02'
    b'\n\x06Policy\x12\x0c\n\x04type'
    b'\x18\x01 \x01(\t\x12\x0c\n\x04rule\x18\x02'
    b' \x01(\x0c\x12%\n\x06action\x18\x03'
    b' \x01(\x0e2\x15.dnstap.Po'
    b'licy.Action\x12#\n\x05m'
    b'atch\x18\x04 \x01(\x0e2\x14.dns'
    b'tap.Policy.Match'
    b'\x12\r\n\x05value\x18\x05 \x01(\x0c"'
    b'T\n\x06Action\x12\x0c\n\x08NXD'
    b'OMAIN\x10\x01\x12\n\n\x06NODAT'
    b'A\x10\x02\x12\x08\n\x04PASS\x10\x03\x12\x08\n'
    b'\x04DROP\x10\x04\x12\x0c\n\x08TRUNC'
    b'ATE\x10\x05\x12\x0e\n\nLOCAL_D'
    b'ATA\x10\x06"J\n\x05Match\x12\t'
    b'\n\x05QNAME\x10\x01\x12\r\n\tCLI'
    b'ENT_IP\x10\x02\x12\x0f\n\x0bRESP'
    b'ONSE_IP\x10\x03\x12\x0b\n\x07NS_'
    b'NAME\x10\x04\x12\t\n\x05NS_IP\x10'
    b'\x05"\xf9\x05\n\x07Message\x12"\n'
    b'\x04type\x18\x01 \x02(\x0e2\x14.dn'
    b'stap.Message.Typ'
    b'e\x12+\n\rsocket_fami'
    b'ly\x18\x02 \x01(\x0e2\x14.dnsta'
    b'p.SocketFamily\x12/'
    b'\n\x0fsocket_protoco'
    b'l\x18\x03 \x01(\x0e2\x16.dnstap'
    b'.SocketProtocol\x12'
    b'\x15\n\rquery_address'
    b'\x18\x04 \x01(\x0c\x12\x18\n\x10respon'
    b'se_address\x18\x05 \x01(\x0c'
    b'\x12\x12\n\nquery_port\x18\x06'
    b' \x01(\r\x12\x15\n\rresponse'
    b'_port\x18\x07 \x01(\r\x12\x16\n\x0eq'
    b'uery_time_sec\x18\x08 '
    b'\x01(\x04\x12\x17\n\x0fquery_tim'
    b'e_nsec\x18\t \x01(\x07\x12\x15\n\r'
    b'query_message\x18\n '
    b'\x01(\x0c\x12\x12\n\nquery_zon'
    b'e\x18\x0b \x01(\x0c\x12\x19\n\x11respo'
    b'nse_time_sec\x18\x0c \x01'
    b'(\x04\x12\x1a\n\x12response_t'
    b'ime_nsec\x18\r \x01(\x07\x12\x18'
    b'\n\x10response_messa'
    b'ge\x18\x0e \x01(\x0c\x12\x1e\n\x06poli'
    b'cy\x18\x0f \x01(\x0b2\x0e.dnsta'
    b'p.Policy\x12+\n\rhttp'
    b'_protocol\x18\x10 \x01(\x0e2'
    b'\x14.dnstap.HttpPro'
    b'tocol"\x95\x02\n\x04Type\x12\x0e'
    b'\n\nAUTH_QUERY\x10\x01\x12\x11'
    b'\n\rAUTH_RESPONSE\x10'
    b'\x02\x12\x12\n\x0eRESOLVER_QU'
    b'ERY\x10\x03\x12\x15\n\x11RESOLVE'
    b'R_RESPONSE\x10\x04\x12\x10\n\x0c'
    b'CLIENT_QUERY\x10\x05\x12\x13'
    b'\n\x0fCLIENT_RESPONS'
    b'E\x10\x06\x12\x13\n\x0fFORWARDER'
    b'_QUERY\x10\x07\x12\x16\n\x12FORW'
    b'ARDER_RESPONSE\x10\x08'
    b'\x12\x0e\n\nSTUB_QUERY\x10\t'
    b'\x12\x11\n\rSTUB_RESPONS'
    b'E\x10\n\x12\x0e\n\nTOOL_QUER'
    b'Y\x10\x0b\x12\x11\n\rTOOL_RESP'
    b'ONSE\x10\x0c\x12\x10\n\x0cUPDATE'
    b'_QUERY\x10\r\x12\x13\n\x0fUPDA'
    b'TE_RESPONSE\x10\x0e*#\n'
    b'\x0cSocketFamily\x12\x08\n'
    b'\x04INET\x10\x01\x12\t\n\x05INET6'
    b'\x10\x02*_\n\x0eSocketProt'
    b'ocol\x12\x07\n\x03UDP\x10\x01\x12\x07\n'
    b'\x03TCP\x10\x02\x12\x07\n\x03DOT\x10\x03\x12'
    b'\x07\n\x03DOH\x10\x04\x12\x0f\n\x0bDNSC'
    b'ryptUDP\x10\x05\x12\x0f\n\x0bDNS'
    b'CryptTCP\x10\x06\x12\x07\n\x03DO'
    b'Q\x10\x07*/\n\x0cHttpProto'
    b'col\x12\t\n\x05HTTP1\x10\x01\x12\t'
    b'\n\x05HTTP2\x10\x02\x12\t\n\x05HTT'
    b'P3\x10\x03'
)


def _message_class(name):
    descriptor = DESCRIPTOR.message_types_by_name[name]
    if hasattr(_message_factory, "GetMessageClass"):  # protobuf 4.22 and newer
        message_class = _message_factory.GetMessageClass(descriptor)
    else:
        message_class = _message_factory.MessageFactory(_POOL).GetPrototype(descriptor)
    message_class.__module__ = __name__
    return message_class


def _enum(name):
    return _enum_type_wrapper.EnumTypeWrapper(DESCRIPTOR.enum_types_by_name[name])


SocketFamily = _enum("SocketFamily")
INET = 1
INET6 = 2
SocketProtocol = _enum("SocketProtocol")
UDP = 1
TCP = 2
DOT = 3
DOH = 4
DNSCryptUDP = 5
DNSCryptTCP = 6
DOQ = 7
HttpProtocol = _enum("HttpProtocol")
HTTP1 = 1
HTTP2 = 2
HTTP3 = 3
Dnstap = _message_class("Dnstap")
Policy = _message_class("Policy")
Message = _message_class("Message")
