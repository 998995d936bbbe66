"""What unit and integration tests share: records, clocks, feeds, brokers made of lists."""
