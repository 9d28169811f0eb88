"""The first release, revision acdb961, as an archive, and a program that runs on either build.

`acdb961.tar.xz` is `git archive acdb961 durable`, so that it is there without the history.
"""
