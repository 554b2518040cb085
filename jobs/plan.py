"""Says what a plan costs and where it fits; with a budget, measures what matters and makes a plan."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("plan")
