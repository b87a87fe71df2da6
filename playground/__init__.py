"""The site: pages, rooms and sockets."""
