"""`python -m beam_jobs.recognise …`: submit the job."""

import sys

from beam_jobs.recognise.pipeline import build_pipeline, preflight
from beam_jobs.run import run_job

if __name__ == "__main__":
    sys.exit(run_job(None, preflight, build_pipeline))
