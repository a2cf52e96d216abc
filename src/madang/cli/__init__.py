"""The command line: `madang NOUN VERB`, one module a resource, talking through the client only."""
