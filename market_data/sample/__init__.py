"""The real data set that ships with the project: Parquet files, what they are made from, and how they are loaded."""
