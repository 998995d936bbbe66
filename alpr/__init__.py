"""The vocabulary: frozen records and pure rules. No broker, engine, store, web, clock or file in here."""
