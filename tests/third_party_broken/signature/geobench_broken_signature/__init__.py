"""A plugin whose hook asks for an argument that geobench does not give."""

from geobench import hookimpl


@hookimpl
def geobench_models(favourite_colour):
    return []
