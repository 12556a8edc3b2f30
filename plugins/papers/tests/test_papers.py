"""What stepwell-papers promises of every preset."""

import stepwell_papers


def test_each_preset_is_offered_under_its_own_name() -> None:
    offered = stepwell_papers.presets()
    assert all(name == preset.name for name, preset in offered.items())
    assert len(offered) == len(stepwell_papers.PRESETS)
