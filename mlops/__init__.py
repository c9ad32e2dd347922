"""Floor 8, a door: the nightly run, replay and training as jobs, their timetable, queue and tracking."""

from core.config import switch_telemetry_off

# Before anything of this room imports MLflow: what this firm trains and when is nobody else's business.
switch_telemetry_off()
