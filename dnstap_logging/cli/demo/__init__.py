"""``dnstap-logging demo``: a DNS server, a client and a collector on one machine."""
