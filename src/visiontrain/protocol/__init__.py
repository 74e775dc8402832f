"""What crosses stdio between a host and a worker: JSON-RPC 2.0, one message a line, standard library only."""
