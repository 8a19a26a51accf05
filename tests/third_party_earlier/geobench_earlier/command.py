"""A command: what a catalog holds of this plugin's scores."""

import click

from geobench import Experiment, Observation, Plugin, Split, TestSplit
from geobench_catalog import KINDS, Catalog


@click.command()
@click.argument("folder")
def earlier(folder):
    """Count the scores of `earlier-crps` in a catalog."""
    from geobench_earlier.red_noise import RedNoise

    experiment = Experiment(
        simulator={"use": RedNoise.name},
        spin_up=1,
        train=Split(trajectories=2, steps=4),
        validation=Split(trajectories=2, steps=4),
        test=TestSplit(trajectories=2),
        leads=2,
        observation=Observation(error=0.5),
        assimilation={"use": "earlier-nudging"},
    )
    catalog = Catalog(folder)
    scores = catalog.query("kind = score and earlier-crps@1d < 99")
    shares = catalog.query("kind = score and earlier-crps.share@1d < 99")
    click.echo(f"steps {experiment.test_steps}")
    click.echo(f"plugins {issubclass(RedNoise, Plugin)}")
    click.echo(f"kinds {' '.join(KINDS)}")
    click.echo(f"scores {len(scores)}")
    click.echo(f"shares {len(shares)}")
