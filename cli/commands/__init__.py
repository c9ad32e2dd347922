"""The visible list of commands: word -> what it does. Each word is a module here with `command` or `group`.

Only the module of the word that was typed is imported, so `acis status` does not wait for libraries that it
does not use.
"""

COMMANDS = {
    "demo": "Set everything up and carry real data through one nightly run.",
    "doctor": "Check that this machine can run the platform.",
    "up": "Start everything on this machine; Ctrl-C stops it all.",
    "status": "Show what runs, what is loaded and what ran last.",
    "migrate": "Bring the database to the newest schema.",
    "data": "Load market data and show what is there.",
    "features": "Build the feature snapshots.",
    "regime": "Show the market regime of a session and what drove it.",
    "screen": "Show a strategy's top stocks of a session with their reasons.",
    "train": "Train screeners and allocators.",
    "models": "Show what models are worth and who serves; promote, roll back, hold.",
    "api": "Serve the API, or print its OpenAPI document.",
    "people": "Add and list those who work here.",
    "drift": "Show what has drifted; read it and act on it.",
    "keys": "List, trust and change the keys that models are signed with.",
    "audit": "Probe what the platform claims about itself: no leak from the future.",
    "reproduce": "Rebuild the tables of docs/results.md from the shipped data.",
    "nightly": "Run one night: from the day's bars to fills and the report.",
    "replay": "Run the nightly verbs over a stretch of history.",
    "job": "Show jobs and what they tell; ask for one, stop it, try it again.",
    "orders": "Show a night's recommendations; approve or reject what waits for a person.",
    "kill": "Stop orders from leaving: of a client, a strategy or the whole firm.",
    "explain": "Trace an order back to its reason, models, features and data.",
    "client": "Add and list clients.",
}
