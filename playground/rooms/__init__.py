"""Rooms: a scenario, a seed, a journal of commands and the rules, shown to whoever watches.

limits       every limit, with the sentence that is said when it is reached
wire         frames in and out: the bounded decode, the one encoder
permissions  who may say what
clock        what "now" means: pieces of simulated time over wall time
journal      the entries of a room, in order, each applied once
replica      one room's simulation, kept at the frontier; revises when an entry lies behind it
mailbox      what waits for one viewer, bounded
history      recordings: the past of rooms that nobody has touched
hub          drives all rooms of this process in small slices
consumers    the sockets: thin
"""
