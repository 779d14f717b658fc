"""The hedge as a service: sizing and risk over HTTP, each answer on record."""
