"""What a dnstap message is: its fields, their values, a record's snapshot."""
