"""Job `recognise`: frames in, one read for each vehicle pass out."""
