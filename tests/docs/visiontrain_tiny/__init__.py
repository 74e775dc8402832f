"""A framework without packages, so that the documentation's examples run in seconds: nothing is learnt."""
