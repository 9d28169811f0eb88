"""Quorum: the engines and workers of an app as one body, which answers calls and takes notices.

commands.py    what a throttle may say
topics.py      which topics a throttle can be for
throttles.py   how fast each may claim, as stored
function_throttles.py  how workers of functions confirm a throttle
roster.py      the consumers that are alive
bus.py         what they say to each other: calls, answers, messages
activation.py  have every engine ready before one commit switches them all
back_pressure.py      how long consumers rest between claims when the database is overloaded
surroundings.py  what a profile says of a process and its machine
"""
