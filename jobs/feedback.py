"""Makes a few-step model of a student: consistency distillation with an image and a video reward."""

from hummingbird_jobs.verbs import run

if __name__ == "__main__":
    run("feedback")
