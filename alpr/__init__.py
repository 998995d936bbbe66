"""The vocabulary: frozen records and pure rules. No broker, engine, store, clock or file here."""
