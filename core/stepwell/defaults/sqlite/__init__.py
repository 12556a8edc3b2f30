"""The embedded store: one SQLite file. All SQL of stepwell lives here.

Two kinds of tables, and one rule that forgetting rests on:

* Tables of *content* (`contents`, `keys`, `bodies`) hold everything a user said and all that is
  made from it. Their rows are only ever appended, and overwritten in place by as many zero bytes;
  never deleted, never resized. SQLite's `secure_delete` zeroes a deleted cell, but a cell that it
  moved while balancing pages may leave an old copy behind; rows that never move leave none.
* All other tables hold numbers, codes and keyed hashes, and may be edited freely.

`compact` is the one place where blanked rows go for good and the file shrinks.
"""
