"""`python -m beam_jobs.land …`: submit the job."""

import sys

from beam_jobs.land.pipeline import build_pipeline, preflight
from beam_jobs.run import run_job

if __name__ == "__main__":
    sys.exit(run_job(None, preflight, build_pipeline))
