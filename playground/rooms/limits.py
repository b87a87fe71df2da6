"""Every limit of rooms and sockets: unit in the name, one line of why, and the sentence people read."""

from __future__ import annotations

# -- time -----------------------------------------------------------------------------------------

TICK_US = 25_000
"""The grain of frames: small enough to be no delay, large enough to pay for its head."""

BATCH_US = 100_000
"""B, the period at which rooms are driven and viewers are told."""

TAKES_EFFECT_US = 150_000
"""How long after its stamp a clock entry takes effect: by then every screen has heard of it."""

COMMAND_LEAD_US = 200_000
"""How far beyond a batch a command is stamped: past what has been simulated, so that little is revised."""

LIGHT_US = 2_000_000
"""A room's clock goes on for this long after a process with a viewer was last seen alive."""

LIGHT_EVERY_US = 1_000_000
"""How often the light is renewed: twice within its length, so that one late batch darkens nothing."""

WALL_SET_BACK_US = 250_000
"""A wall clock that goes back by more has been set; by less it is noise, and the room waits for it."""

ANSWER_S = 0.5
"""How long a batch waits for the journal; then rooms go on by what they know, as long as they are lit."""

SILENT_US = 1_000_000
"""A journal that has not answered for this long is gone, and viewers are told."""

TRIES_US = 5_000_000
"""How long a command is tried again while the journal is away; then it is refused."""

LOOKED_AHEAD_US = 250_000
"""A browser's idea of now may be ahead of the journal's by this much; what lies further on was not shown."""

NEVER_US = 1 << 62
"""Later than everything."""

SLICE_S = 0.010
"""The longest that one room holds the event loop: sockets stay quick while rooms catch up."""

TOLD_AT_ONCE = 250
"""Viewers told in a row, about 20 µs each, before others have their turn."""

ADVANCE_EVENTS = 500
"""Events simulated between two looks at the slice's end."""

# -- memory ---------------------------------------------------------------------------------------

CHECKPOINT_TICKS = 200
"""A snapshot each 5 s: a revise simulates at most that much again."""

DIGEST_TICKS = 200
"""Each 5 s of a shown past one digest is stored: a row that costs less than a command does."""

TICKS_KEPT = 2_400
"""60 s of events for those who come back; whoever was away longer gets the present instead."""

ROOMS_MAX = 500
"""Rooms that one process shows at once; each costs some MB while it is watched."""
ROOMS_FULL = "There are too many rooms open just now: try again in some minutes."

ROOMS_STORED_MAX = 100_000
"""Rooms in the database; with an hour of clicking each is some hundred KB."""

ROOM_EXPIRES_US = 30 * 24 * 3600 * 1_000_000
"""A room that nobody has watched for 30 days is over; its page offers its scenario."""
ROOM_EXPIRED = "Nobody has watched this room for 30 days, so it is over: start its scenario anew."

ROOM_FORGOTTEN_US = 3 * ROOM_EXPIRES_US
"""By then an expired room's row goes too, and its address names nothing any more."""

VIEWERS_MAX = 1_000
"""Viewers of one room in one process: a large lecture."""
VIEWERS_FULL = "This room is full: 1,000 people are watching already."

SOCKETS_MAX = 4_000
"""Sockets of one process, below the usual limit of open files."""
SOCKETS_FULL = "This server is full just now: try again in some minutes."

JOURNAL_ENTRIES_MAX = 5_000
"""Commands in one room: more than anybody clicks, and a replay stays quick."""
JOURNAL_FULL = "This room has taken all the commands it can hold: start it anew."

# -- frames to the browser ------------------------------------------------------------------------

FRAME_BYTES_MAX = 32 * 1024
FRAME_EVENTS_MAX = 1_000
"""A frame is taken in within one animation frame on a slow phone."""

SINGLY_EVENTS_PER_S = 6_000
"""Events a second on the screen: 600 copies, about ten each. Above it nobody follows one of them, and a frame
would not hold a batch: such ticks go as numbers."""

SINGLY_AGAIN_EVENTS_PER_S = 4_000
"""Below it they are drawn singly again: two thirds, so that what wavers about the limit does not flicker."""

AGGREGATED_TICKS = 40
"""Ticks that one frame may sum up: whoever comes late sees numbers of each second."""

WINDOW_FRAMES = 8
"""Frames that a viewer may leave unacknowledged before it is told the present instead of the past."""

WAITING_FRAMES_MAX = 64
"""Frames waiting in a mailbox, answers included; a viewer that lets more pile up is disconnected."""
WAITING_TOO_LONG = "This connection does not keep up."

OUTBOX_BYTES_MAX = 256 * 1024
"""What one socket may leave unread, whatever it acknowledges; then it is cut off."""

# -- frames from the browser ----------------------------------------------------------------------

FRAME_IN_BYTES_MAX = 4 * 1024
"""No command needs more; what is larger is closed with 1009."""
FRAME_IN_TOO_LARGE = "A frame may have at most 4096 bytes."

SOCKET_MESSAGE_BYTES_MAX = 8 * 1024
"""What the server reads at all before it hangs up."""

FRAME_DEPTH_MAX = 6
"""Deeper nesting has no use and costs stack."""
FRAME_TOO_DEEP = "A frame may be nested at most 6 deep."

ID_CHARACTERS_MAX = 40
"""Ids are the browser's; they are kept for as long as the room."""

COMMANDS_BURST = 20
COMMANDS_PER_S = 5
"""A person in a hurry, not a program."""
TOO_FAST = "Too many commands at once: wait a second."

WATCHES_BURST = 10
WATCHES_PER_S = 1
"""Each watch makes the server begin anew; a browser says it once a connection."""
WATCHED_TOO_OFTEN = "This was asked for too often: wait a second."

FRAMES_IN_BURST = 400
FRAMES_IN_PER_S = 200
"""Twice what a browser acknowledges while it catches up as fast as it is let."""
FRAMES_TOO_FAST = "Too many frames at once: wait a second."

THROTTLED_MAX = 20
THROTTLED_PER_S = 0.2
"""Frames above a rate that are answered with `too_fast`, and how fast that is forgiven: a person notices."""
THROTTLED = "Too much was asked for too fast, for too long."

BAD_FRAMES_MAX = 20
BAD_FRAMES_PER_S = 0.05
"""Frames that make no sense before the connection is closed, and how fast they are forgiven: a broken or
hostile client, not one that has been open for a week."""
BAD_FRAMES = "Too many frames that make no sense."

# -- learners --------------------------------------------------------------------------------------

LEARNERS_BURST = 300
LEARNERS_PER_S = 20
"""Browsers that post something for the first time, on the whole site: each becomes rows that stay. A lecture
that begins together passes, a loop does not."""
LEARNERS_TOO_FAST = "Many people begin just now: wait a second and send it again."

GOALS_BURST = 60
GOALS_PER_S = 10
"""Goals judged on the whole site: each runs its lesson once, some 50 ms of a processor."""
GOALS_TOO_FAST = "Many goals are being judged just now: wait a second and check again."

# -- opening rooms --------------------------------------------------------------------------------

OPEN_BURST = 60
OPEN_PER_S = 5
"""Rooms opened on the whole site: a class that starts together passes, a loop does not."""
OPENED_TOO_FAST = "Many rooms are being opened just now: wait a second and try again."

OPEN_BODY_BYTES_MAX = 8 * 1024
OPEN_BODY_TOO_LARGE = "A room is opened with at most 8192 bytes."

CODE_CHARACTERS = 8
CODE_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""31 letters and digits that nobody mistakes for each other; eight of them are 8.5e11 codes."""

WRONG_CODES_BURST = 60
WRONG_CODES_PER_S = 10
"""Wrong codes on the whole site: guessing 8.5e11 of them takes for ever. Right codes are never held back."""
WRONG_CODES = "Too many wrong room addresses just now: check the address and try again in a minute."

HTTP_TIMEOUT_S = 30
"""A page that takes longer has failed."""

# -- recordings -----------------------------------------------------------------------------------

CHUNK_TICKS = 400
"""10 s of history under one address."""

PASTS_KEPT = 32
"""Branches whose past was asked for lately and is kept in memory; others are simulated anew."""

PASTS_BURST = 200
PASTS_PER_S = 2
"""Branches whose past is simulated anew, on the whole site, one after the other: each costs up to two seconds
of a core. All rooms at once may ask after a restart; a loop over old branches may not."""
PASTS_TOO_FAST = "Much of the past is being asked for just now: wait a second and try again."

RECORDING_FRAME_TICKS = 40
"""A recording goes over the socket a second at a time."""

RECORDING_FRAME_EVERY_S = 0.125
"""Eight simulated seconds a second: as fast as the fastest speed, no faster."""

# -- mass runs ------------------------------------------------------------------------------------

RUNS_OF_A_JOB = 1_000
"""A thousand runs show what happens once in a hundred, and take a minute on one core."""

JOBS_OF_A_SEAT_MAX = 2
"""Running at once for one browser: one to look at, one to compare it with."""
SEAT_HAS_JOBS = "You have two jobs running already: wait for one, or cancel it."

JOBS_RUNNING_MAX = 20
"""Running at once on the whole site: the last in line waits some twenty minutes."""
SITE_HAS_JOBS = "Too many jobs are running just now: try again in some minutes."

JOBS_KEPT_MAX = 200
"""Jobs that can still be looked at, about 100 KB each; the oldest that has ended makes place."""

PORTION_SEEDS = 20
"""Seeds that one worker holds at a time: what `kill -9` makes wait for its lease to run out."""

TASK_S = 1.0
"""How long one task goes on taking seeds: results are stored, and the bar moves, about that often."""

PULSE_S = 0.4
"""How often a lease is renewed and a cancellation noticed in the middle of a long run."""

LEASE_US = 5_000_000
"""A worker that has not been heard of for this long is taken for dead; it is heard of every 0.4 s."""

PORTION_TRIES_MAX = 5
"""Leases of one portion in a row that brought no result, before its job is given up."""
