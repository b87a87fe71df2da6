"""Apache Kafka: topics, producers, groups, replication and share groups, in Kafka's own words."""
