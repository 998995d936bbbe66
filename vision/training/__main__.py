"""`python -m vision.training --help`."""

from vision.training.train import main

main()
