"""Submits a verb to a Ray cluster, follows its log and ends as it ends: jobs/submit.py VERB [OPTIONS]."""

from hummingbird_jobs.submission import main

if __name__ == "__main__":
    main()
