"""Records end: the purge, holds, evidence, and rows that change their class."""
