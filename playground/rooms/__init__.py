"""Rooms: a scenario, a seed, a journal of commands and the rules, shown to whoever watches.

limits       every limit, with the sentence that is said when it is reached
wire         frames in and out: the bounded decode, the one encoder
permissions  who may say what
clock        what "now" means: pieces of simulated time over wall time
journal      words: entries, branches, receipts; what the site asks of whoever keeps rooms
room         the transactions on a room, each command applied once; no I/O
database     keeps rooms: one transaction a command, under the room's lock
replica      one room's simulation, kept at the frontier; revises when an entry lies behind it
direct       past ASGI, for what goes to hundreds
mailbox      what waits for one viewer, bounded
history      recordings: the past of rooms that nobody has touched
past         the past of rooms, as chunks over HTTP
hub          drives all rooms of this process in small slices
consumers    the sockets: thin
"""
