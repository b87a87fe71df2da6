"""The RabbitMQ model: its rules, and what holds whatever happens."""
