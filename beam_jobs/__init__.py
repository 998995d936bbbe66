"""The streaming jobs: io/ (Kafka source and sink, shared by all), recognise/, match/, land/."""
