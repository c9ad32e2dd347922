"""The visible list of jobs: file name -> what it does.

A file holds the job as a function that a command calls in the foreground. One that may be queued also has
`perform(job, ticket) -> dict | None`, which the worker calls with the parsed payload and the `Ticket` of
`core/jobs.py`: the row's number, who asked, and the progress to hand on. What it returns (JSON, and nothing about a
client unless the row is private) is the job's result. A `Refused` or an `InputError` is an answer and final; where the
database, the disk or another server fails, the job is tried again, so it must be safe to run twice. Progress is also
where a job is stopped: a call may raise `Cancelled`. Only the file of the job at hand is imported, so a night does not
wait for the libraries of training.
"""

JOBS = {
    "apply_import": "Book holdings from a file, where they are too many to wait for.",
    "audit_leaks": "Probe the decision path for leaks.",
    "build_features": "Build the feature snapshots of the years that are stale.",
    "judge_models": "Let the gate judge the versions that may serve.",
    "cancel_orders": "Ask the brokers to take back orders that somebody wants back.",
    "compare_screeners": "The algorithms of the screeners side by side, over seeds and years.",
    "make_report": "Fill in a report on a client.",
    "nightly": "One night: from the day's bars to fills and the report.",
    "refresh_data": "Bring in the files that lie in the inbox.",
    "replay": "The nightly verbs over a stretch of history.",
    "respond_to_drift": "Retrain what has drifted and let the gate decide.",
    "run_backtest": "What a strategy would have earned, on stored scores.",
    "send_approved": "Send what an advisor approved by hand.",
    "sync_tracking": "Bring the models that MLflow does not hold yet to it.",
    "train_allocator": "Train the allocator folds that are missing.",
    "train_screener": "Train the screener folds that are missing.",
    "tune_screener": "Search for a screener's parameters and train its best configuration.",
    "watch_drift": "Read the drift of features and models, and alert.",
}
