"""Every limit of a scenario and a run, unit in the name, with one line of why."""

LENGTH_US_MIN = 1_000_000
LENGTH_US_MAX = 30 * 60 * 1_000_000
"""Half an hour: what one process replays in a few seconds."""

MESSAGES_MAX = 100_000
"""A room's messages are kept by number in arrays; more teaches nothing and costs memory."""

COPIES_ALIVE_MAX = 20_000
"""Copies that have not come to an end: bounds snapshots and a statement of the present."""

SYSTEMS_MAX = 3
PRODUCERS_MAX = 20
CONSUMERS_MAX = 50
EXCHANGES_MAX = 40
QUEUES_MAX = 40
BINDINGS_MAX = 200
TOPICS_MAX = 20
PARTITIONS_MAX = 50
BROKERS_MAX = 9
SHARE_GROUPS_MAX = 20
FAULTS_MAX = 100
KINDS_MAX = 50
"""What a stage can show and one process can drive."""

ACTORS_EVER_MAX = 300
"""Producers and consumers of one run, those removed included: each keeps its place in snapshots."""

NAME_CHARACTERS_MAX = 40
"""Names stand on nodes."""

TITLE_CHARACTERS_MAX = 120
TEXT_CHARACTERS_MAX = 500
SCENARIO_BYTES_MAX = 64 * 1024
"""A scenario is written by hand."""

RETRY_STEPS_MAX = 20
"""Each step may name a queue of its own, and a stage has 40 of them; who failed so often waits as before."""

PREFETCH_MAX = 65_535
"""basic.qos carries an unsigned 16-bit count."""

BINDING_ARGUMENTS_MAX = 10
"""Headers that one binding asks for, when somebody makes it: they stand on its wire."""

LINK_US_MIN = 1_000
LINK_US_MAX = 60_000_000
"""A link without delay would allow a loop without delay."""

RATE_PER_MINUTE_MAX = 60_000
"""1,000 messages a second: above that nothing can be seen."""

BURST_MAX = 1_000
ARRIVAL_TIMES_MAX = 1_000
WORK_US_MAX = 600_000_000
DURATION_US_MAX = 24 * 3_600 * 1_000_000

COPIES_OF_EVENT_MAX = 1_000
"""Copies that one event tells of: it has to fit a frame. What is told of more is told in several."""

SEED_MAX = (1 << 53) - 1
"""A seed given to a running room: browsers keep whole numbers exactly up to here."""

BATCH_BYTES_MAX = 1_048_576
"""message.max.bytes, about: no broker takes a larger batch."""

RETENTION_CHECK_MS_MIN = 1_000
"""log.retention.check.interval.ms; each looks at every partition, Kafka's own comes each 5 min."""

OFFSET_MAX = 1_000_000
"""An offset that a command names, or a shift by so many: ten times what a run can write."""

CLEANER_BACKOFF_MS_MIN = 1_000
"""log.cleaner.backoff.ms; each looks at every compacted log, Kafka's own comes each 15 s."""

POLL_RECORDS_MAX = 10_000
"""max.poll.records; twenty times Kafka's default, and what one event may tell of."""

SHARE_LOCK_MS_MIN = 15_000
SHARE_LOCK_MS_MAX = 60_000
"""share.record.lock.duration.ms: the bounds that brokers have by default (group.share.{min,max}.…)."""

SHARE_DELIVERIES_MIN = 2
SHARE_DELIVERIES_MAX = 10
"""share.delivery.count.limit: the bounds that brokers have by default."""

SHARE_LOCKS_MIN = 100
SHARE_LOCKS_MAX = 4_000
"""share.partition.max.record.locks: the bounds that brokers have by default."""
