"""What an application says it did: its operations, read from files of the inbox."""
