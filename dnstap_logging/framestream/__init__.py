"""Frame Streams without I/O: frames, a decoder with limits, the state table, the two sessions.

The names are the specification's: a writer sends data frames to a reader, between the control
frames READY, ACCEPT, START, STOP and FINISH.
"""
