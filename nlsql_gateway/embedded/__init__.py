"""The default that needs nothing installed: PostgreSQL, Triton and the model from wheels, and the demonstration.

child         a process that never outlives us
postgres      PostgreSQL 18 on a folder and a port of this machine
triton        Triton Inference Server on a model repository
model         the model's file: fetched once, verified, kept in the cache
retail        the demonstration database; ``retail.sql`` its tables, ``retail_*`` the rows
demo          all of it started with one command
tour          what the demonstration shows, each step checked against the database
gold SQL      what answers a question of the tour, run directly on PostgreSQL
part          one thing that the demonstration starts and stops
"""
